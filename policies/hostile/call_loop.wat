;; Calls the host for ever: host calls cost fuel too.
(module
  (import "knockgate:policy/event@1.0.0" "attr" (func $attr (param i32) (result i64)))
  (@custom "knockgate.manifest"
    "abi=1.0\0aname=hostile\0aservices=*\0acapabilities=open log state\0a")
  (func (export "decide") (result i32)
    (loop $again
      (drop (call $attr (i32.const 1)))
      (br $again))
    (unreachable)))
