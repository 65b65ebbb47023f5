;; Opens ten thousand times. What is beyond the limit is refused, and then it commits.
(module
  (import "knockgate:policy/act@1.0.0" "open" (func $open (param i32 i32) (result i32)))
  (@custom "knockgate.manifest"
    "abi=1.0\0aname=hostile\0aservices=*\0acapabilities=open log state\0a")
  (func (export "decide") (result i32)
    (local $left i32)
    (local.set $left (i32.const 10000))
    (loop $again
      (drop (call $open (i32.const 1) (i32.const 60)))
      (br_if $again (local.tee $left (i32.sub (local.get $left) (i32.const 1)))))
    (i32.const 0)))
