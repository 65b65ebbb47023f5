;; Writes behind the end of its memory.
(module
  (@custom "knockgate.manifest"
    "abi=1.0\0aname=hostile\0aservices=*\0acapabilities=open log state\0a")
  (memory 1)
  (func (export "decide") (result i32)
    (i32.store (i32.const 65533) (i32.const 1))
    (i32.const 0)))
