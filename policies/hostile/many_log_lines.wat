;; Writes ten thousand lines with escape sequences in them.
(module
  (import "knockgate:policy/journal@1.0.0" "log" (func $log (param i32 i32 i32)))
  (@custom "knockgate.manifest"
    "abi=1.0\0aname=hostile\0aservices=*\0acapabilities=open log state\0a")
  (memory (export "memory") 1)
  (data (i32.const 0) "\1b[2J forged \0a line")
  (func (export "decide") (result i32)
    (local $left i32)
    (local.set $left (i32.const 10000))
    (loop $again
      (call $log (i32.const 1) (i32.const 0) (i32.const 65000))
      (br_if $again (local.tee $left (i32.sub (local.get $left) (i32.const 1)))))
    (i32.const 1)))
