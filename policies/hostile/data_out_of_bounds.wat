;; Has a data segment that lies far outside of its memory.
(module
  (@custom "knockgate.manifest"
    "abi=1.0\0aname=hostile\0aservices=*\0acapabilities=open log state\0a")
  (memory 1)
  (data (i32.const 0x7fff0000) "far away")
  (func (export "decide") (result i32)
    (i32.const 0)))
