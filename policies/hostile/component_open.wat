;; A component that wants a module of others.
(component
  (@custom "knockgate.manifest"
    "abi=1.0\0aname=hostile\0aservices=*\0acapabilities=open log state\0a")
  (import "example" (core module $policy (export "decide" (func (result i32)))))
  (core instance $policy (instantiate $policy))
  (func (export "decide") (result u32) (canon lift (core func $policy "decide"))))
