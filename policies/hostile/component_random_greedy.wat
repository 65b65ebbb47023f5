;; A component that asks for 4 MB of random bytes at once, of which the host would make a list first.
(component
  (@custom "knockgate.manifest"
    "abi=1.0\0aname=hostile\0aservices=*\0acapabilities=open log state\0a")
  (import "wasi:random/random@0.2.0"
    (instance $random (export "get-random-bytes" (func (param "len" u64) (result (list u8))))))
  (core module $room
    (memory (export "memory") 64)
    (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 0)))
  (core instance $room (instantiate $room))
  (core func $get
    (canon lower (func $random "get-random-bytes") 
      (memory (core memory $room "memory")) (realloc (core func $room "realloc"))))
  (core module $policy
    (import "random" "get" (func $get (param i64 i32)))
    (func (export "decide") (result i32)
      (loop $again
        (call $get (i64.const 4000000) (i32.const 8))
        (br $again))
      (unreachable)))
  (core instance $policy (instantiate $policy (with "random" (instance (export "get" (func $get))))))
  (func (export "decide") (result u32) (canon lift (core func $policy "decide"))))
