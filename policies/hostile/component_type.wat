;; A component whose `decide` answers nothing.
(component
  (@custom "knockgate.manifest"
    "abi=1.0\0aname=hostile\0aservices=*\0acapabilities=open log state\0a")
  (core module $policy (func (export "decide")))
  (core instance $policy (instantiate $policy))
  (func (export "decide") (canon lift (core func $policy "decide"))))
