;; Its `decide` returns 64 bits.
(module
  (@custom "knockgate.manifest"
    "abi=1.0\0aname=hostile\0aservices=*\0acapabilities=open log state\0a")
  (func (export "decide") (result i64)
    (i64.const 0)))
