;; Has no `decide`.
(module
  (@custom "knockgate.manifest"
    "abi=1.0\0aname=hostile\0aservices=*\0acapabilities=open log state\0a")
  (func (export "decides") (result i32)
    (i32.const 0)))
