;; Wants a memory from outside, which it might share with somebody.
(module
  (import "env" "memory" (memory 1))
  (@custom "knockgate.manifest"
    "abi=1.0\0aname=hostile\0aservices=*\0acapabilities=open log state\0a")
  (func (export "decide") (result i32)
    (i32.const 0)))
