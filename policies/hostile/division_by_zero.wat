;; Opens and then divides by zero.
(module
  (import "knockgate:policy/act@1.0.0" "open" (func $open (param i32 i32) (result i32)))
  (@custom "knockgate.manifest"
    "abi=1.0\0aname=hostile\0aservices=*\0acapabilities=open log state\0a")
  (func (export "decide") (result i32)
    (drop (call $open (i32.const 1) (i32.const 60)))
    (i32.div_u (i32.const 1) (i32.const 0))))
