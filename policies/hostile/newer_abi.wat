;; Was built for a newer ABI.
(module
  (@custom "knockgate.manifest" "abi=1.9\0aname=hostile\0a")
  (func (export "decide") (result i32)
    (i32.const 0)))
