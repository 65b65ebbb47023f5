;; Uses vectors, which no policy may.
(module
  (@custom "knockgate.manifest"
    "abi=1.0\0aname=hostile\0aservices=*\0acapabilities=open log state\0a")
  (func (export "decide") (result i32)
    (i32x4.extract_lane 0 (v128.const i32x4 0 0 0 0))))
