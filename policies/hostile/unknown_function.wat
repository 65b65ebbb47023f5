;; Wants a function that its interface does not have.
(module
  (import "knockgate:policy/act@1.0.0" "shell" (func $shell (param i32) (result i32)))
  (@custom "knockgate.manifest"
    "abi=1.0\0aname=hostile\0aservices=*\0acapabilities=open log state\0a")
  (func (export "decide") (result i32)
    (call $shell (i32.const 0))))
