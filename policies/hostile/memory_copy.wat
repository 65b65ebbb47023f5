;; Copies its memory onto itself for ever: a single instruction that does a lot of work.
(module
  (@custom "knockgate.manifest"
    "abi=1.0\0aname=hostile\0aservices=*\0acapabilities=open log state\0a")
  (memory 1)
  (func (export "decide") (result i32)
    (loop $again
      (memory.copy (i32.const 1) (i32.const 0) (i32.const 65535))
      (br $again))
    (unreachable)))
