;; The built-in policy `limit-per-client`: opens what was asked for, as `default` does, but not too often to one client.
;;
;; Parameters: `open`, how many of its grants may be open at the same time (default 1), and `per-day`, how many knocks of it are
;; granted on one day of the gate's time zone (default: any number). A renewal keeps open what is open and counts as nothing.
;; With `per-day` it keeps one number for each client; where no more can be kept, and without a clock, it denies.
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
    "name=limit-per-client\0a"
    "version=1.0\0a"
    "services=*\0a"
    "capabilities=open open-prefix state log\0a"
    "optional=open-prefix\0a"
    "causes=sequence packet renew\0a"
    "parameters=open:number per-day:number\0a"
    "fuel=2000\0a"
    "pages=1\0a")

  (memory (export "memory") 1)
  (data (i32.const 0) "as many grants are open as may be: denied")
  (data (i32.const 41) "as many knocks were granted today as may be: denied")
  (data (i32.const 92) "no clock, so no count of today: denied")
  (data (i32.const 130) "cannot count today: denied")
  (data (i32.const 156) "nobody has proved who he is: denied")

  ;; The keys of the parameters: whether they are given; the value follows.
  (global $most_open i32 (i32.const 65536))
  (global $per_day i32 (i32.const 65792))

  (func (export "decide") (result i32)
    ;; There is no limit for somebody who could be anybody.
    (if (i32.eqz (call $has (i32.const 10))) ;; client
      (then
        (call $log (i32.const 2) (i32.const 156) (i32.const 35))
        (return (i32.const 1))))
    (if (i64.ne (call $attr (i32.const 4)) (i64.const 3)) ;; cause: anything but a renewal
      (then
        (if (i32.eqz (call $is_below_open)) (then (return (i32.const 1))))
        (if (call $has (global.get $per_day))
          (then (if (i32.eqz (call $count_today)) (then (return (i32.const 1))))))))
    ;; What was counted is kept only if this opens.
    (i32.ne (call $open_as_asked) (i32.const 0)))

  (func $is_below_open (result i32)
    (local $most i64)
    (local.set $most
      (if (result i64) (call $has (global.get $most_open))
        (then (call $attr (i32.add (global.get $most_open) (i32.const 1))))
        (else (i64.const 1))))
    (if (i64.lt_u (call $attr (i32.const 13)) (local.get $most)) ;; client-grants
      (then (return (i32.const 1))))
    (call $log (i32.const 3) (i32.const 0) (i32.const 41))
    (i32.const 0))

  ;; Counts this knock under the client's number, as the day in the upper half and the count in the lower. Answers whether it is
  ;; one of those that are allowed.
  (func $count_today (result i32)
    (local $client i32)
    (local $kept i64)
    (local $today i64)
    (local $count i64)
    (if (i32.eqz (i32.and (call $has (i32.const 1)) (call $has (i32.const 2)))) ;; time, weekday
      (then
        (call $log (i32.const 2) (i32.const 92) (i32.const 38))
        (return (i32.const 0))))
    (local.set $client (i32.wrap_i64 (call $attr (i32.const 10)))) ;; client
    (local.set $today (call $local_day))
    (local.set $kept (call $load (local.get $client)))
    (if (i64.eq (i64.shr_u (local.get $kept) (i64.const 32)) (local.get $today))
      (then (local.set $count (i64.and (local.get $kept) (i64.const 0xffffffff)))))
    (if (i64.ge_u (local.get $count) (call $attr (i32.add (global.get $per_day) (i32.const 1))))
      (then
        (call $log (i32.const 3) (i32.const 41) (i32.const 51))
        (return (i32.const 0))))
    (if (i32.eqz
          (call $store
            (local.get $client)
            (i64.or
              (i64.shl (local.get $today) (i64.const 32))
              (i64.add (local.get $count) (i64.const 1)))))
      (then (return (i32.const 1))))
    (call $log (i32.const 2) (i32.const 130) (i32.const 26))
    (i32.const 0))

  ;; Days since 1 January 1970 in the gate's time zone. `time` is in UTC, but `weekday` is not, and the two days are at most one
  ;; apart: the day by UTC plus -1, 0 or 1, so that its weekday is right. 1 January 1970 was a Thursday.
  (func $local_day (result i64)
    (local $day i64)
    (local $weekday i64)
    (local.set $day (i64.div_u (call $attr (i32.const 1)) (i64.const 86400))) ;; time
    (local.set $weekday
      (i64.add (i64.rem_u (i64.add (local.get $day) (i64.const 3)) (i64.const 7)) (i64.const 1)))
    (i64.sub
      (i64.add
        (local.get $day)
        (i64.rem_u
          (i64.sub (i64.add (call $attr (i32.const 2)) (i64.const 8)) (local.get $weekday)) ;; weekday
          (i64.const 7)))
      (i64.const 1)))

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
