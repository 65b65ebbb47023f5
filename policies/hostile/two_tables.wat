;; Has two tables where one is allowed.
(module
  (@custom "knockgate.manifest"
    "abi=1.0\0aname=hostile\0aservices=*\0acapabilities=open log state\0a")
  (table 1 funcref)
  (table 1 funcref)
  (func (export "decide") (result i32)
    (i32.const 0)))
