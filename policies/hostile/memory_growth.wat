;; Grows its memory until somebody stops it.
(module
  (@custom "knockgate.manifest"
    "abi=1.0\0aname=hostile\0aservices=*\0acapabilities=open log state\0a")
  (memory 1)
  (func (export "decide") (result i32)
    (loop $again
      (drop (memory.grow (i32.const 16)))
      (br $again))
    (unreachable)))
