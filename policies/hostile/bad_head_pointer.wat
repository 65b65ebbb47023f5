;; Lets the host write its record across the end of the address space.
(module
  (import "knockgate:policy/event@1.0.0" "read-head" (func $head (param i32)))
  (@custom "knockgate.manifest"
    "abi=1.0\0aname=hostile\0aservices=*\0acapabilities=open log state\0a")
  (memory (export "memory") 1)
  (func (export "decide") (result i32)
    (call $head (i32.const -8))
    (i32.const 0)))
