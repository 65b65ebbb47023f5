;; Its manifest asks for a capability that does not exist.
(module
  (@custom "knockgate.manifest" "abi=1.0\0aname=hostile\0acapabilities=everything\0a")
  (func (export "decide") (result i32)
    (i32.const 0)))
