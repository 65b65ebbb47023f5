;; Its `decide` is a memory.
(module
  (@custom "knockgate.manifest"
    "abi=1.0\0aname=hostile\0aservices=*\0acapabilities=open log state\0a")
  (memory (export "decide") 1))
