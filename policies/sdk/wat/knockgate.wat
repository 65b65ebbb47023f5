;; Knockgate policy ABI 1.0 in WebAssembly text. Generated from the tables in policies/abi; do not edit.
;;
;; A policy that denies everything, with every import and every number: copy it and take out what yours does not need. What
;; is not called costs a few bytes, but `read-head` and `log` need the memory.
(module
  ;; What the host offers.
  ;; A number or flag of the event, the length of a text; 0 when it is absent.
  (import "knockgate:policy/event@1.0.0" "attr" (func $attr (param $key i32) (result i64)))
  ;; 1 when the event has the attribute, else 0.
  (import "knockgate:policy/event@1.0.0" "has" (func $has (param $key i32) (result i32)))
  ;; Eight bytes of a text attribute from byte `offset`, little-endian, zero-filled past its end.
  (import "knockgate:policy/event@1.0.0" "text" (func $text (param $key i32) (param $offset i32) (result i64)))
  ;; The attributes that almost every policy reads, in one call.
  (import "knockgate:policy/event@1.0.0" "read-head" (func $read_head (param $head i32)))
  ;; Open a service to the knocker's address.
  (import "knockgate:policy/act@1.0.0" "open" (func $open (param $service i32) (param $seconds i32) (result i32)))
  ;; Open a service to the knocker's whole prefix of so many bits.
  (import "knockgate:policy/act@1.0.0" "open-prefix" (func $open_prefix (param $service i32) (param $bits i32) (param $seconds i32) (result i32)))
  ;; Let an open grant of the client last so many seconds from now.
  (import "knockgate:policy/act@1.0.0" "extend" (func $extend (param $grant i64) (param $seconds i32) (result i32)))
  ;; Close an open grant of the client.
  (import "knockgate:policy/act@1.0.0" "revoke" (func $revoke (param $grant i64) (result i32)))
  ;; Lock the source out for so many seconds.
  (import "knockgate:policy/act@1.0.0" "lockout" (func $lockout (param $seconds i32) (result i32)))
  ;; Start a unit of the host's table.
  (import "knockgate:policy/act@1.0.0" "start" (func $start (param $unit i32) (result i32)))
  ;; Send a code to a channel of the host's table.
  (import "knockgate:policy/act@1.0.0" "notify" (func $notify (param $channel i32) (param $code i32) (result i32)))
  ;; A line for the operator; a client never sees it.
  (import "knockgate:policy/journal@1.0.0" "log" (func $log (param $level i32) (param $message i32) (param $length i32)))
  ;; The number that this policy keeps under `key`, 0 when there is none.
  (import "knockgate:policy/state@1.0.0" "load" (func $load (param $key i32) (result i64)))
  ;; Keep a number under `key`; 0 forgets it. Happens only if `decide` commits.
  (import "knockgate:policy/state@1.0.0" "store" (func $store (param $key i32) (param $value i64) (result i32)))

  (@custom "knockgate.manifest"
    "abi=1.0\0a"
    "name=deny\0a"
    "version=1.0\0a"
    "services=*\0a"
    "capabilities=open log\0a"
    "fuel=1000\0a"
    "pages=1\0a")

  (memory (export "memory") 1)

  ;; What decide returns; anything else denies.
  (global $COMMIT i32 (i32.const 0)) ;; Let everything that was queued happen.
  (global $DENY i32 (i32.const 1)) ;; Nothing happens.
  (global $ABSTAIN i32 (i32.const 2)) ;; Nothing happens here; ask the next policy.

  ;; What an act answers; 0 is queued.
  (global $INVALID i32 (i32.const -1))
  (global $NOT_PERMITTED i32 (i32.const -2))
  (global $LIMIT_REACHED i32 (i32.const -3))
  (global $NO_SUCH_THING i32 (i32.const -4))
  (global $NOT_ON_THIS_HOST i32 (i32.const -5))

  ;; Levels of log.
  (global $LOG_ERROR i32 (i32.const 1))
  (global $LOG_WARNING i32 (i32.const 2))
  (global $LOG_INFORMATION i32 (i32.const 3))
  (global $LOG_DEBUG i32 (i32.const 4))

  ;; What happened.
  (global $CAUSE_SEQUENCE i32 (i32.const 1)) ;; A client has knocked with a sequence.
  (global $CAUSE_PACKET i32 (i32.const 2)) ;; A client has knocked with a packet.
  (global $CAUSE_RENEW i32 (i32.const 3)) ;; A client asks to keep a grant open for longer.
  (global $CAUSE_CLOSE i32 (i32.const 4)) ;; A client has closed its grant.
  (global $CAUSE_EXPIRY i32 (i32.const 5)) ;; A grant has reached its end.
  (global $CAUSE_LOCKOUT i32 (i32.const 6)) ;; A source or client has been locked out.
  (global $CAUSE_FAILED_ATTEMPT i32 (i32.const 7)) ;; An attempt has failed.
  (global $CAUSE_START_UP i32 (i32.const 8)) ;; The gate has started.

  ;; Flags in the last field of the record of read-head.
  (global $BIT_IPV6 i32 (i32.const 1)) ;; The source address is IPv6.
  (global $BIT_TIME i32 (i32.const 2)) ;; `time` is known.
  (global $BIT_ZONE i32 (i32.const 4)) ;; `weekday` and `minute` are known.
  (global $BIT_CLIENT i32 (i32.const 8)) ;; The client has proved who it is.
  (global $BIT_SECOND_FACTOR i32 (i32.const 16)) ;; A second factor was seen.

  ;; Attributes of the event.
  (global $ATTR_TIME i32 (i32.const 1)) ;; Unix time in seconds; absent on a host without a clock.
  (global $ATTR_WEEKDAY i32 (i32.const 2)) ;; Day in the gate's time zone: 1 Monday to 7 Sunday; absent without a clock.
  (global $ATTR_MINUTE i32 (i32.const 3)) ;; Minute of the day in the gate's time zone: 0 to 1439; absent without a clock.
  (global $ATTR_CAUSE i32 (i32.const 4)) ;; What happened: a cause number.
  (global $ATTR_HOST_KIND i32 (i32.const 5)) ;; Where the policy runs: 1 Linux agent, 2 gateway.
  (global $ATTR_CLIENT i32 (i32.const 10)) ;; The client's number in the roster; absent when nobody has proved who he is.
  (global $ATTR_CLIENT_NAME i32 (i32.const 11)) ;; The client's name in the roster.
  (global $ATTR_CLIENT_FAILURES i32 (i32.const 12)) ;; Failed attempts of this client since its last grant.
  (global $ATTR_CLIENT_GRANTS i32 (i32.const 13)) ;; Grants of this client that are open now.
  (global $ATTR_SECOND_FACTOR i32 (i32.const 14)) ;; A second factor was seen with this knock.
  (global $ATTR_ADDRESS_HIGH i32 (i32.const 20)) ;; Upper half of the source address; IPv4 is ::ffff:a.b.c.d.
  (global $ATTR_ADDRESS_LOW i32 (i32.const 21)) ;; Lower half of the source address; of IPv4 the low 32 bits are the address.
  (global $ATTR_FAMILY i32 (i32.const 22)) ;; Address family: 4 or 6.
  (global $ATTR_PREFIX i32 (i32.const 23)) ;; Bits of the source address that this gate counts as one source.
  (global $ATTR_SOURCE_FAILURES i32 (i32.const 24)) ;; Failed attempts from this source since its last grant.
  (global $ATTR_SOURCE_GRANTS i32 (i32.const 25)) ;; Grants of this source that are open now.
  (global $ATTR_ASKED_PREFIX i32 (i32.const 26)) ;; Bits of the prefix that the client wants it opened to; absent for its address alone.
  (global $ATTR_SERVICE i32 (i32.const 30)) ;; The service's number in the configuration.
  (global $ATTR_SERVICE_NAME i32 (i32.const 31)) ;; The service's name in the configuration.
  (global $ATTR_SECONDS i32 (i32.const 32)) ;; How long it shall be open: what the client asked, else the service's default.
  (global $ATTR_MAX_SECONDS i32 (i32.const 33)) ;; The longest time that `open` accepts from this policy here.
  (global $ATTR_SERVICE_GRANTS i32 (i32.const 34)) ;; Grants of this service that are open now.
  (global $ATTR_BOOK_NUMBER i32 (i32.const 40)) ;; Number of the knock in its knock book; absent for a packet.
  (global $ATTR_BOOK_LEFT i32 (i32.const 41)) ;; Knocks left in the client's book after this one.
  (global $ATTR_GRANT i32 (i32.const 50)) ;; The grant that is renewed, closed or expired.
  (global $ATTR_GRANT_LEFT i32 (i32.const 51)) ;; Seconds until that grant ends.
  (global $ATTR_GRANTS_OPEN i32 (i32.const 52)) ;; Grants open on the whole gate.
  (global $ATTR_OLDEST_GRANT i32 (i32.const 53)) ;; The oldest open grant of this client, for `extend` and `revoke`.
  (global $ATTR_LOCKOUT_SECONDS i32 (i32.const 60)) ;; How long the lockout lasts that is reported.

  ;; Parameter i of the manifest: its number of values is the attribute PARAMETERS + PARAMETER_KEYS * i, value j is
  ;; the attribute PARAMETERS + PARAMETER_KEYS * i + 1 + j.
  (global $PARAMETERS i32 (i32.const 65536))
  (global $PARAMETER_KEYS i32 (i32.const 256))

  (func (export "decide") (result i32)
    (global.get $DENY)))
