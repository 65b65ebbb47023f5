;; Gives pointers to the host and does not export the memory that they point into.
(module
  (import "knockgate:policy/journal@1.0.0" "log" (func $log (param i32 i32 i32)))
  (@custom "knockgate.manifest"
    "abi=1.0\0aname=hostile\0aservices=*\0acapabilities=open log state\0a")
  (memory 1)
  (func (export "decide") (result i32)
    (call $log (i32.const 1) (i32.const 0) (i32.const 0))
    (i32.const 0)))
