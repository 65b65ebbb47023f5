;; The built-in policy `default`: open the service that was asked for, for as long as was asked, within the limits.
;;
;; Which services and how long at most is said by the configuration; the host refuses `open` beyond it, and then this policy
;; denies. A client that asks for more time than the service allows gets the longest time that it does allow. One that asks to
;; have its whole prefix let in gets that where the service is configured for it.
(module
  (import "knockgate:policy/event@1.0.0" "attr" (func $attr (param i32) (result i64)))
  (import "knockgate:policy/act@1.0.0" "open" (func $open (param i32 i32) (result i32)))
  (import "knockgate:policy/act@1.0.0" "open-prefix" (func $open_prefix (param i32 i32 i32) (result i32)))

  (@custom "knockgate.manifest"
    "abi=1.0\0a"
    "name=default\0a"
    "version=1.0\0a"
    "services=*\0a"
    "capabilities=open open-prefix\0a"
    "causes=sequence packet renew\0a"
    "fuel=1000\0a"
    "pages=1\0a")

  (func (export "decide") (result i32)
    (local $seconds i64)
    (local $most i64)
    (local.set $seconds (call $attr (i32.const 32))) ;; seconds
    (local.set $most (call $attr (i32.const 33)))    ;; max-seconds
    (if (i64.gt_u (local.get $seconds) (local.get $most))
      (then (local.set $seconds (local.get $most))))
    ;; Both acts answer 0 when they are queued: then commit (0), else deny (1).
    (i32.ne
      (if (result i32) (i64.eqz (call $attr (i32.const 26)))      ;; asked-prefix
        (then
          (call $open
            (i32.wrap_i64 (call $attr (i32.const 30)))            ;; service
            (i32.wrap_i64 (local.get $seconds))))
        (else
          (call $open_prefix
            (i32.wrap_i64 (call $attr (i32.const 30)))
            (i32.wrap_i64 (call $attr (i32.const 26)))
            (i32.wrap_i64 (local.get $seconds)))))
      (i32.const 0))))
