;; A component that never comes back.
(component
  (@custom "knockgate.manifest"
    "abi=1.0\0aname=hostile\0aservices=*\0acapabilities=open log state\0a")
  (core module $policy
    (func (export "decide") (result i32)
      (loop $again (br $again))
      (unreachable)))
  (core instance $policy (instantiate $policy))
  (func (export "decide") (result u32) (canon lift (core func $policy "decide"))))
