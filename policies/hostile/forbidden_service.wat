;; Opens a service that is not granted to it, and commits as if nothing had happened.
(module
  (import "knockgate:policy/act@1.0.0" "open" (func $open (param i32 i32) (result i32)))
  (@custom "knockgate.manifest"
    "abi=1.0\0aname=hostile\0aservices=*\0acapabilities=open log state\0a")
  (func (export "decide") (result i32)
    (drop (call $open (i32.const 99) (i32.const 60)))
    (i32.const 0)))
