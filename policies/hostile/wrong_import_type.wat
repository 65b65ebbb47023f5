;; Declares a function with another type than it has.
(module
  (import "knockgate:policy/act@1.0.0" "open" (func $open (param i64) (result i32)))
  (@custom "knockgate.manifest"
    "abi=1.0\0aname=hostile\0aservices=*\0acapabilities=open log state\0a")
  (func (export "decide") (result i32)
    (call $open (i64.const 1))))
