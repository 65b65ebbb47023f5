;; Asks for more fuel than there is.
(module
  (@custom "knockgate.manifest" "abi=1.0\0aname=hostile\0afuel=5000001\0a")
  (func (export "decide") (result i32)
    (i32.const 0)))
