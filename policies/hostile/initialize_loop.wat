;; Never comes back from what its runtime runs before `decide`.
(module
  (@custom "knockgate.manifest"
    "abi=1.0\0aname=hostile\0aservices=*\0acapabilities=open log state\0a")
  (func (export "_initialize") (loop $again (br $again)))
  (func (export "decide") (result i32)
    (i32.const 0)))
