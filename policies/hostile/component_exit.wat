;; A component that ends itself by the operating system that is not there.
(component
  (@custom "knockgate.manifest"
    "abi=1.0\0aname=hostile\0aservices=*\0acapabilities=open log state\0a")
  (import "wasi:cli/exit@0.2.0" (instance $system (export "exit" (func (param "status" (result))))))
  (core func $exit (canon lower (func $system "exit")))
  (core module $policy
    (import "system" "exit" (func $exit (param i32)))
    (func (export "decide") (result i32)
      (call $exit (i32.const 0))
      (i32.const 0)))
  (core instance $policy (instantiate $policy (with "system" (instance (export "exit" (func $exit))))))
  (func (export "decide") (result u32) (canon lift (core func $policy "decide"))))
