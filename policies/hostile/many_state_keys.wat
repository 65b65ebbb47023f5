;; Stores under ten thousand keys and commits.
(module
  (import "knockgate:policy/state@1.0.0" "store" (func $store (param i32 i64) (result i32)))
  (@custom "knockgate.manifest"
    "abi=1.0\0aname=hostile\0aservices=*\0acapabilities=open log state\0a")
  (func (export "decide") (result i32)
    (local $left i32)
    (local.set $left (i32.const 10000))
    (loop $again
      (drop (call $store (local.get $left) (i64.const 1)))
      (br_if $again (local.tee $left (i32.sub (local.get $left) (i32.const 1)))))
    (i32.const 0)))
