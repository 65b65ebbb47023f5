;; The built-in policy `two-person`: opens what was asked for, as `default` does, once two clients want it.
;;
;; Parameter: `within`, how long one knock stands for another client's (default 60 seconds). A client gets in if another one has
;; knocked for the same service within that time; else its knock is remembered, nothing opens, and it knocks again after the
;; other. So both get in: the first knocks, the second knocks and is in, the first knocks again and is in. Only the latest knock
;; for each service is remembered, as the time in the upper half of a number and the client in the lower.
;;
;; A renewal is granted if another client has knocked within that time, and stands for nobody itself: a program that renews by
;; itself is no second person. Without a clock it denies.
(module
  (import "knockgate:policy/event@1.0.0" "attr" (func $attr (param i32) (result i64)))
  (import "knockgate:policy/event@1.0.0" "has" (func $has (param i32) (result i32)))
  (import "knockgate:policy/act@1.0.0" "open" (func $open (param i32 i32) (result i32)))
  (import "knockgate:policy/act@1.0.0" "open-prefix" (func $open_prefix (param i32 i32 i32) (result i32)))
  (import "knockgate:policy/state@1.0.0" "load" (func $load (param i32) (result i64)))
  (import "knockgate:policy/state@1.0.0" "store" (func $store (param i32 i64) (result i32)))
  (import "knockgate:policy/journal@1.0.0" "log" (func $log (param i32 i32 i32)))

  (@custom "knockgate.manifest"
    "abi=1.0\0a"
    "name=two-person\0a"
    "version=1.0\0a"
    "services=*\0a"
    "capabilities=open open-prefix state log\0a"
    "optional=open-prefix\0a"
    "causes=sequence packet renew\0a"
    "parameters=within:seconds\0a"
    "fuel=2000\0a"
    "pages=1\0a")

  (memory (export "memory") 1)
  (data (i32.const 0) "waits for a second person: not opened yet")
  (data (i32.const 41) "no clock, so no time between two knocks: denied")
  (data (i32.const 88) "nobody has proved who he is: denied")
  (data (i32.const 123) "cannot remember this knock: denied")
  (data (i32.const 157) "a renewal for which nobody else has knocked just now: denied")

  ;; The keys of the parameter: whether it is given; the value follows.
  (global $within i32 (i32.const 65536))

  (func (export "decide") (result i32)
    (local $service i32)
    (local $seconded i32)
    (if (i32.eqz (call $has (i32.const 1))) ;; time
      (then
        (call $log (i32.const 2) (i32.const 41) (i32.const 47))
        (return (i32.const 1))))
    (if (i32.eqz (call $has (i32.const 10))) ;; client
      (then
        (call $log (i32.const 2) (i32.const 88) (i32.const 35))
        (return (i32.const 1))))
    (local.set $service (i32.wrap_i64 (call $attr (i32.const 30)))) ;; service
    (local.set $seconded (call $is_seconded (call $load (local.get $service))))
    (if (i64.eq (call $attr (i32.const 4)) (i64.const 3)) ;; cause: a renewal
      (then (return (call $renew (local.get $seconded)))))
    ;; Every knock is remembered, also one that opens: the other client's next knock counts on it.
    (if (call $store
          (local.get $service)
          (i64.or
            (i64.shl (call $attr (i32.const 1)) (i64.const 32))
            (call $attr (i32.const 10))))
      (then
        (call $log (i32.const 2) (i32.const 123) (i32.const 34))
        (return (i32.const 1))))
    (if (local.get $seconded)
      (then (return (i32.ne (call $open_as_asked) (i32.const 0)))))
    (call $log (i32.const 3) (i32.const 0) (i32.const 41))
    ;; Commit: what is remembered is kept, and nothing opens.
    (i32.const 0))

  (func $renew (param $seconded i32) (result i32)
    (if (local.get $seconded)
      (then (return (i32.ne (call $open_as_asked) (i32.const 0)))))
    (call $log (i32.const 3) (i32.const 157) (i32.const 60))
    (i32.const 1))

  ;; Whether the remembered knock is of another client, and not too long ago. Of the time the lower 32 bits are kept, so the
  ;; difference is taken in 32 bits; a knock from the future, after the clock was set back, is 136 years ago.
  (func $is_seconded (param $kept i64) (result i32)
    (local $ago i64)
    (if (i64.eqz (local.get $kept)) (then (return (i32.const 0))))
    (if (i64.eq (i64.and (local.get $kept) (i64.const 0xffffffff)) (call $attr (i32.const 10)))
      (then (return (i32.const 0))))
    (local.set $ago
      (i64.and
        (i64.sub (call $attr (i32.const 1)) (i64.shr_u (local.get $kept) (i64.const 32)))
        (i64.const 0xffffffff)))
    (i64.le_u
      (local.get $ago)
      (if (result i64) (call $has (global.get $within))
        (then (call $attr (i32.add (global.get $within) (i32.const 1))))
        (else (i64.const 60)))))

  ;; Opens what was asked for, as the policy `default` does: for as long as was asked, at most as long as is allowed, and to the
  ;; whole prefix if that was asked. Answers 0 when it is queued.
  (func $open_as_asked (result i32)
    (local $seconds i64)
    (local $most i64)
    (local.set $seconds (call $attr (i32.const 32))) ;; seconds
    (local.set $most (call $attr (i32.const 33)))    ;; max-seconds
    (if (i64.gt_u (local.get $seconds) (local.get $most))
      (then (local.set $seconds (local.get $most))))
    (if (i32.eqz (call $has (i32.const 26))) ;; asked-prefix
      (then
        (return (call $open
          (i32.wrap_i64 (call $attr (i32.const 30))) ;; service
          (i32.wrap_i64 (local.get $seconds))))))
    (call $open_prefix
      (i32.wrap_i64 (call $attr (i32.const 30)))
      (i32.wrap_i64 (call $attr (i32.const 26)))
      (i32.wrap_i64 (local.get $seconds)))))
