;; A component that calls what no host has, although it says that it can do without, and returns the answer.
(component
  (@custom "knockgate.manifest" "abi=1.0\0aname=hostile\0aoptional=example:shell/run@1.0.0\0a")
  (import "example:shell/run@1.0.0" (instance $shell (export "run" (func (result s32)))))
  (core func $run (canon lower (func $shell "run")))
  (core module $policy
    (import "shell" "run" (func $run (result i32)))
    (func (export "decide") (result i32) (call $run)))
  (core instance $policy (instantiate $policy (with "shell" (instance (export "run" (func $run))))))
  (func (export "decide") (result u32) (canon lift (core func $policy "decide"))))
