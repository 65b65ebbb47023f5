;; The built-in policy `office-hours`: a filter that passes on what comes at the right time and denies the rest.
;;
;; Parameters: `days` (default mon-fri), `from` (default 08:00) and `until` (default 18:00, not included), in the gate's time
;; zone. When `until` is not after `from` the hours go over midnight and belong to the day on which they begin: 22:00 to 06:00 on
;; fri ends on Saturday morning. Without a clock nobody knows whether it is time: deny.
;;
;; It opens nothing. Put it before a policy that does: chain = ["office-hours", "default"].
(module
  (import "knockgate:policy/event@1.0.0" "attr" (func $attr (param i32) (result i64)))
  (import "knockgate:policy/event@1.0.0" "has" (func $has (param i32) (result i32)))
  (import "knockgate:policy/journal@1.0.0" "log" (func $log (param i32 i32 i32)))

  (@custom "knockgate.manifest"
    "abi=1.0\0a"
    "name=office-hours\0a"
    "version=1.0\0a"
    "capabilities=log\0a"
    "causes=sequence packet renew\0a"
    "parameters=days:days from:minute until:minute\0a"
    "fuel=1000\0a"
    "pages=1\0a")

  (memory (export "memory") 1)
  (data (i32.const 0) "no clock: denied")
  (data (i32.const 16) "outside office hours: denied")

  ;; Parameter i has the keys 65536 + 256 * i: how many values it has, then the values.
  (global $days i32 (i32.const 65536))
  (global $from i32 (i32.const 65792))
  (global $until i32 (i32.const 66048))

  (func (export "decide") (result i32)
    (local $day i64)
    (local $minute i64)
    (local $from i64)
    (local $until i64)
    (if (i32.eqz (call $has (i32.const 3))) ;; minute
      (then
        (call $log (i32.const 2) (i32.const 0) (i32.const 16))
        (return (i32.const 1))))
    (local.set $day (call $attr (i32.const 2))) ;; weekday
    (local.set $minute (call $attr (i32.const 3)))
    (local.set $from (call $minute_or (global.get $from) (i64.const 480)))
    (local.set $until (call $minute_or (global.get $until) (i64.const 1080)))
    (if (call $in_hours (local.get $day) (local.get $minute) (local.get $from) (local.get $until))
      (then (return (i32.const 2)))) ;; abstain: the next policy decides
    (call $log (i32.const 3) (i32.const 16) (i32.const 28))
    (i32.const 1))

  ;; What the configuration gives for a parameter, else a default.
  (func $minute_or (param $key i32) (param $default i64) (result i64)
    (if (result i64) (call $has (local.get $key))
      (then (call $attr (i32.add (local.get $key) (i32.const 1))))
      (else (local.get $default))))

  (func $in_hours (param $day i64) (param $minute i64) (param $from i64) (param $until i64) (result i32)
    (if (i64.lt_u (local.get $from) (local.get $until))
      (then
        (if (i64.lt_u (local.get $minute) (local.get $from)) (then (return (i32.const 0))))
        (if (i64.ge_u (local.get $minute) (local.get $until)) (then (return (i32.const 0))))
        (return (call $is_chosen (local.get $day)))))
    ;; Over midnight: the evening of this day, or the morning after the day before.
    (if (i64.ge_u (local.get $minute) (local.get $from))
      (then (if (call $is_chosen (local.get $day)) (then (return (i32.const 1))))))
    (if (i64.ge_u (local.get $minute) (local.get $until)) (then (return (i32.const 0))))
    (call $is_chosen (call $day_before (local.get $day))))

  (func $day_before (param $day i64) (result i64)
    (if (result i64) (i64.eq (local.get $day) (i64.const 1))
      (then (i64.const 7))
      (else (i64.sub (local.get $day) (i64.const 1)))))

  ;; Whether the day, 1 Monday to 7 Sunday, is among `days`.
  (func $is_chosen (param $day i64) (result i32)
    (local $left i32)
    (local.set $left (i32.wrap_i64 (call $attr (global.get $days))))
    (if (i32.eqz (local.get $left))
      (then (return (i64.le_u (local.get $day) (i64.const 5))))) ;; Monday to Friday
    (loop $next
      (if (i64.eq (call $attr (i32.add (global.get $days) (local.get $left))) (local.get $day))
        (then (return (i32.const 1))))
      (br_if $next (local.tee $left (i32.sub (local.get $left) (i32.const 1)))))
    (i32.const 0)))
