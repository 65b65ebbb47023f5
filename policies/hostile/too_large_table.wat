;; Wants a table of a million elements.
(module
  (@custom "knockgate.manifest"
    "abi=1.0\0aname=hostile\0aservices=*\0acapabilities=open log state\0a")
  (table 1000000 funcref)
  (func (export "decide") (result i32)
    (i32.const 0)))
