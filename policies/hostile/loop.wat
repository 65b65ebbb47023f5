;; Never returns. Stopped by fuel.
(module
  (@custom "knockgate.manifest"
    "abi=1.0\0aname=hostile\0aservices=*\0acapabilities=open log state\0a")
  (func (export "decide") (result i32)
    (loop $again (br $again))
    (unreachable)))
