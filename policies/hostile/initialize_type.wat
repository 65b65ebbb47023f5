;; Its `_initialize` wants an argument, which nobody gives.
(module
  (@custom "knockgate.manifest"
    "abi=1.0\0aname=hostile\0aservices=*\0acapabilities=open log state\0a")
  (func (export "_initialize") (param i32))
  (func (export "decide") (result i32)
    (i32.const 0)))
