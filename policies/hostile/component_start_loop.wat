;; A component that never comes back from its start function.
(component
  (@custom "knockgate.manifest"
    "abi=1.0\0aname=hostile\0aservices=*\0acapabilities=open log state\0a")
  (core module $policy
    (func $start (loop $again (br $again)))
    (start $start)
    (func (export "decide") (result i32) (i32.const 0)))
  (core instance $policy (instantiate $policy))
  (func (export "decide") (result u32) (canon lift (core func $policy "decide"))))
