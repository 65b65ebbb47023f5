;; Its start function never returns, before `decide` is even called.
(module
  (@custom "knockgate.manifest"
    "abi=1.0\0aname=hostile\0aservices=*\0acapabilities=open log state\0a")
  (func $start
    (loop $again (br $again)))
  (start $start)
  (func (export "decide") (result i32)
    (i32.const 0)))
