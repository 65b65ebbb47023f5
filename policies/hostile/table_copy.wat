;; Copies its table onto itself for ever: a single instruction that does a lot of work.
(module
  (@custom "knockgate.manifest"
    "abi=1.0\0aname=hostile\0aservices=*\0acapabilities=open log state\0a")
  (table 20000 funcref)
  (func (export "decide") (result i32)
    (loop $again
      (table.copy (i32.const 1) (i32.const 0) (i32.const 19999))
      (br $again))
    (unreachable)))
