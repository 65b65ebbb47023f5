;; Wants more memory than there is before it does anything.
(module
  (@custom "knockgate.manifest"
    "abi=1.0\0aname=hostile\0aservices=*\0acapabilities=open log state\0a")
  (memory 300)
  (func (export "decide") (result i32)
    (i32.const 0)))
