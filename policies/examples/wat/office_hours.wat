;; Opens on weekdays from 8 to 18 o'clock in the gate's time zone, at most two grants at a time for each client.
(module
  (import "knockgate:policy/event@1.0.0" "attr" (func $attr (param i32) (result i64)))
  (import "knockgate:policy/event@1.0.0" "has" (func $has (param i32) (result i32)))
  (import "knockgate:policy/act@1.0.0" "open" (func $open (param i32 i32) (result i32)))
  (import "knockgate:policy/journal@1.0.0" "log" (func $log (param i32 i32 i32))) ;; level, where, how long
  ;; What the policy says about itself. What it does not ask for here it does not have.
  (@custom "knockgate.manifest" "abi=1.0\0aname=office-hours\0aversion=1.0\0aservices=*\0a"
    "capabilities=open log\0afuel=5000\0apages=1\0a")
  (memory (export "memory") 1)
  (data (i32.const 0) "no clock: denied")
  (data (i32.const 16) "outside office hours: denied")
  (data (i32.const 44) "two grants are open already: denied")

  ;; Called for every knock, each time in a fresh instance: nothing is left over from the last knock.
  (func (export "decide") (result i32)
    (local $seconds i64)
    (local $most i64)
    ;; Without a clock nobody knows whether it is office hours. 2 is the attribute weekday, level 2 a warning.
    (if (i32.eqz (call $has (i32.const 2)))
      (then (call $log (i32.const 2) (i32.const 0) (i32.const 16)) (return (i32.const 1))))
    ;; Day 5 is Friday; minutes (attribute 3) count from midnight; minute - 480 is huge, as it has no sign, before 8 o'clock.
    (if (i32.or
          (i64.gt_u (call $attr (i32.const 2)) (i64.const 5))
          (i64.ge_u (i64.sub (call $attr (i32.const 3)) (i64.const 480)) (i64.const 600)))
      (then (call $log (i32.const 3) (i32.const 16) (i32.const 28)) (return (i32.const 1))))
    ;; 13 is client-grants.
    (if (i64.ge_u (call $attr (i32.const 13)) (i64.const 2))
      (then (call $log (i32.const 3) (i32.const 44) (i32.const 35)) (return (i32.const 1))))
    ;; Who asks for more seconds (32) than is allowed (max-seconds, 33) gets as much as is allowed.
    (local.set $seconds (call $attr (i32.const 32)))
    (local.set $most (call $attr (i32.const 33)))
    (if (i64.gt_u (local.get $seconds) (local.get $most)) (then (local.set $seconds (local.get $most))))
    ;; 30 is the service. 0 is "queued", then commit, which is 0 too; else deny, which is 1.
    (i32.ne (i32.const 0)
      (call $open (i32.wrap_i64 (call $attr (i32.const 30))) (i32.wrap_i64 (local.get $seconds))))))
