;; The built-in policy `second-factor`: a filter that asks for a second factor from everywhere but the networks it is given.
;;
;; Parameter: `networks`, from which the key alone is enough. Without any it is enough nowhere. A client that has a second factor
;; and is denied for want of one is told so; one that has none never gets past this policy from elsewhere.
;;
;; It opens nothing. Put it before a policy that does: chain = ["second-factor", "default"].
(module
  (import "knockgate:policy/event@1.0.0" "attr" (func $attr (param i32) (result i64)))
  (import "knockgate:policy/event@1.0.0" "has" (func $has (param i32) (result i32)))
  (import "knockgate:policy/journal@1.0.0" "log" (func $log (param i32 i32 i32)))

  (@custom "knockgate.manifest"
    "abi=1.0\0a"
    "name=second-factor\0a"
    "version=1.0\0a"
    "capabilities=log\0a"
    "causes=sequence packet renew\0a"
    "parameters=networks:networks\0a"
    "fuel=20000\0a"
    "pages=1\0a")

  (memory (export "memory") 1)
  (data (i32.const 0) "from an unknown network without a second factor: denied")

  ;; The keys of parameter 0: how many values it has, then the values; three for each network.
  (global $networks i32 (i32.const 65536))

  (func (export "decide") (result i32)
    (if (i32.or (i32.wrap_i64 (call $attr (i32.const 14))) (call $is_known)) ;; second-factor
      (then (return (i32.const 2)))) ;; abstain: the next policy decides
    (call $log (i32.const 3) (i32.const 0) (i32.const 55))
    (i32.const 1))

  ;; Whether the source address is in one of the networks. Without a source it is in none.
  (func $is_known (result i32)
    (local $high i64)
    (local $low i64)
    (local $key i32)
    (local $end i32)
    (if (i32.eqz (call $has (i32.const 20))) (then (return (i32.const 0)))) ;; address-high
    (local.set $high (call $attr (i32.const 20)))
    (local.set $low (call $attr (i32.const 21))) ;; address-low
    (local.set $key (i32.add (global.get $networks) (i32.const 1)))
    (local.set $end (i32.add (local.get $key) (i32.wrap_i64 (call $attr (global.get $networks)))))
    (block $done
      (loop $next
        (br_if $done (i32.ge_u (local.get $key) (local.get $end)))
        (if (call $is_within
              (i64.xor (local.get $high) (call $attr (local.get $key)))
              (i64.xor (local.get $low) (call $attr (i32.add (local.get $key) (i32.const 1))))
              (call $attr (i32.add (local.get $key) (i32.const 2))))
          (then (return (i32.const 1))))
        (local.set $key (i32.add (local.get $key) (i32.const 3)))
        (br $next)))
    (i32.const 0))

  ;; Whether two addresses that differ in these bits are alike in the first `bits` of their 128.
  (func $is_within (param $high i64) (param $low i64) (param $bits i64) (result i32)
    ;; A shift by 64 would be one by 0.
    (if (i64.eqz (local.get $bits)) (then (return (i32.const 1))))
    (if (i64.le_u (local.get $bits) (i64.const 64))
      (then (return (i64.eqz (i64.shr_u (local.get $high) (i64.sub (i64.const 64) (local.get $bits)))))))
    (i32.and
      (i64.eqz (local.get $high))
      (i64.eqz (i64.shr_u (local.get $low) (i64.sub (i64.const 128) (local.get $bits)))))))
