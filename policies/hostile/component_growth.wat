;; A component of two modules, each of which grows its memory until somebody stops it.
(component
  (@custom "knockgate.manifest"
    "abi=1.0\0aname=hostile\0aservices=*\0acapabilities=open log state\0a")
  (core module $grower
    (memory 1)
    (func (export "decide") (result i32)
      (loop $again
        (drop (memory.grow (i32.const 16)))
        (br_if $again (i32.lt_u (memory.size) (i32.const 200))))
      (i32.const 0)))
  (core module $both
    (import "first" "decide" (func $first (result i32)))
    (import "second" "decide" (func $second (result i32)))
    (func (export "decide") (result i32)
      (i32.or (call $first) (call $second))))
  (core instance $first (instantiate $grower))
  (core instance $second (instantiate $grower))
  (core instance $policy (instantiate $both (with "first" (instance $first)) (with "second" (instance $second))))
  (func (export "decide") (result u32) (canon lift (core func $policy "decide"))))
