;; Fills its table for ever: a single instruction that does a lot of work.
(module
  (@custom "knockgate.manifest"
    "abi=1.0\0aname=hostile\0aservices=*\0acapabilities=open log state\0a")
  (table 250 funcref)
  (func (export "decide") (result i32)
    (loop $again
      (table.fill (i32.const 0) (ref.null func) (i32.const 250))
      (br $again))
    (unreachable)))
