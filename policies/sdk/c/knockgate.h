/* Knockgate policy ABI 1.0 for C and C++. Generated from the tables in policies/abi; do not edit. */
#ifndef KNOCKGATE_H
#define KNOCKGATE_H

typedef unsigned int kg_u32;
typedef int kg_s32;
typedef unsigned long long kg_u64;

#ifdef __cplusplus
extern "C" {
#endif

/* The manifest, once per policy: KNOCKGATE_MANIFEST("abi=1.0\nname=mine\n...") */
#define KNOCKGATE_MANIFEST(text) \
  __asm__(".section .custom_section.knockgate.manifest,\"\",@\n.ascii " #text "\n.text\n")

/* Every policy defines it: KNOCKGATE_DECIDE { ... return KNOCKGATE_COMMIT; } */
#define KNOCKGATE_DECIDE __attribute__((export_name("decide"))) kg_u32 decide(void)

#define KNOCKGATE_IMPORT(module, name) __attribute__((import_module(module), import_name(name)))

/* What decide returns; anything else denies. */
#define KNOCKGATE_COMMIT 0 /* Let everything that was queued happen. */
#define KNOCKGATE_DENY 1 /* Nothing happens. */
#define KNOCKGATE_ABSTAIN 2 /* Nothing happens here; ask the next policy. */

/* What an act answers; 0 is queued. */
#define KNOCKGATE_INVALID (-1)
#define KNOCKGATE_NOT_PERMITTED (-2)
#define KNOCKGATE_LIMIT_REACHED (-3)
#define KNOCKGATE_NO_SUCH_THING (-4)
#define KNOCKGATE_NOT_ON_THIS_HOST (-5)

/* Levels of log. */
#define KNOCKGATE_LOG_ERROR 1
#define KNOCKGATE_LOG_WARNING 2
#define KNOCKGATE_LOG_INFORMATION 3
#define KNOCKGATE_LOG_DEBUG 4

/* What happened. */
#define KNOCKGATE_CAUSE_SEQUENCE 1 /* A client has knocked with a sequence. */
#define KNOCKGATE_CAUSE_PACKET 2 /* A client has knocked with a packet. */
#define KNOCKGATE_CAUSE_RENEW 3 /* A client asks to keep a grant open for longer. */
#define KNOCKGATE_CAUSE_CLOSE 4 /* A client has closed its grant. */
#define KNOCKGATE_CAUSE_EXPIRY 5 /* A grant has reached its end. */
#define KNOCKGATE_CAUSE_LOCKOUT 6 /* A source or client has been locked out. */
#define KNOCKGATE_CAUSE_FAILED_ATTEMPT 7 /* An attempt has failed. */
#define KNOCKGATE_CAUSE_START_UP 8 /* The gate has started. */

/* Attributes of the event. */
#define KNOCKGATE_ATTR_TIME 1 /* number. Unix time in seconds; absent on a host without a clock. */
#define KNOCKGATE_ATTR_WEEKDAY 2 /* number. Day in the gate's time zone: 1 Monday to 7 Sunday; absent without a clock. */
#define KNOCKGATE_ATTR_MINUTE 3 /* number. Minute of the day in the gate's time zone: 0 to 1439; absent without a clock. */
#define KNOCKGATE_ATTR_CAUSE 4 /* number. What happened: a cause number. */
#define KNOCKGATE_ATTR_HOST_KIND 5 /* number. Where the policy runs: 1 Linux agent, 2 gateway. */
#define KNOCKGATE_ATTR_CLIENT 10 /* number. The client's number in the roster; absent when nobody has proved who he is. */
#define KNOCKGATE_ATTR_CLIENT_NAME 11 /* text. The client's name in the roster. */
#define KNOCKGATE_ATTR_CLIENT_FAILURES 12 /* number. Failed attempts of this client since its last grant. */
#define KNOCKGATE_ATTR_CLIENT_GRANTS 13 /* number. Grants of this client that are open now. */
#define KNOCKGATE_ATTR_SECOND_FACTOR 14 /* flag. A second factor was seen with this knock. */
#define KNOCKGATE_ATTR_ADDRESS_HIGH 20 /* number. Upper half of the source address; IPv4 is ::ffff:a.b.c.d. */
#define KNOCKGATE_ATTR_ADDRESS_LOW 21 /* number. Lower half of the source address; of IPv4 the low 32 bits are the address. */
#define KNOCKGATE_ATTR_FAMILY 22 /* number. Address family: 4 or 6. */
#define KNOCKGATE_ATTR_PREFIX 23 /* number. Bits of the source address that this gate counts as one source. */
#define KNOCKGATE_ATTR_SOURCE_FAILURES 24 /* number. Failed attempts from this source since its last grant. */
#define KNOCKGATE_ATTR_SOURCE_GRANTS 25 /* number. Grants of this source that are open now. */
#define KNOCKGATE_ATTR_ASKED_PREFIX 26 /* number. Bits of the prefix that the client wants it opened to; absent for its address alone. */
#define KNOCKGATE_ATTR_SERVICE 30 /* number. The service's number in the configuration. */
#define KNOCKGATE_ATTR_SERVICE_NAME 31 /* text. The service's name in the configuration. */
#define KNOCKGATE_ATTR_SECONDS 32 /* number. How long it shall be open: what the client asked, else the service's default. */
#define KNOCKGATE_ATTR_MAX_SECONDS 33 /* number. The longest time that `open` accepts from this policy here. */
#define KNOCKGATE_ATTR_SERVICE_GRANTS 34 /* number. Grants of this service that are open now. */
#define KNOCKGATE_ATTR_BOOK_NUMBER 40 /* number. Number of the knock in its knock book; absent for a packet. */
#define KNOCKGATE_ATTR_BOOK_LEFT 41 /* number. Knocks left in the client's book after this one. */
#define KNOCKGATE_ATTR_GRANT 50 /* number. The grant that is renewed, closed or expired. */
#define KNOCKGATE_ATTR_GRANT_LEFT 51 /* number. Seconds until that grant ends. */
#define KNOCKGATE_ATTR_GRANTS_OPEN 52 /* number. Grants open on the whole gate. */
#define KNOCKGATE_ATTR_OLDEST_GRANT 53 /* number. The oldest open grant of this client, for `extend` and `revoke`. */
#define KNOCKGATE_ATTR_LOCKOUT_SECONDS 60 /* number. How long the lockout lasts that is reported. */

/* Flags in kg_head.bits. */
#define KNOCKGATE_BIT_IPV6 1 /* The source address is IPv6. */
#define KNOCKGATE_BIT_TIME 2 /* `time` is known. */
#define KNOCKGATE_BIT_ZONE 4 /* `weekday` and `minute` are known. */
#define KNOCKGATE_BIT_CLIENT 8 /* The client has proved who it is. */
#define KNOCKGATE_BIT_SECOND_FACTOR 16 /* A second factor was seen. */

typedef struct {
  kg_u64 time, client, address_high, address_low;
  kg_u32 cause, service, seconds, failures, grants, bits;
} kg_head;

/* Functions of the host. */
KNOCKGATE_IMPORT("knockgate:policy/event@1.0.0", "attr")
kg_u64 kg_attr(kg_u32 key); /* A number or flag of the event, the length of a text; 0 when it is absent. */
KNOCKGATE_IMPORT("knockgate:policy/event@1.0.0", "has")
kg_u32 kg_has(kg_u32 key); /* 1 when the event has the attribute, else 0. */
KNOCKGATE_IMPORT("knockgate:policy/event@1.0.0", "text")
kg_u64 kg_text(kg_u32 key, kg_u32 offset); /* Eight bytes of a text attribute from byte `offset`, little-endian, zero-filled past its end. */
KNOCKGATE_IMPORT("knockgate:policy/event@1.0.0", "read-head")
void kg_read_head(kg_head *head); /* The attributes that almost every policy reads, in one call. */
KNOCKGATE_IMPORT("knockgate:policy/act@1.0.0", "open")
kg_s32 kg_open(kg_u32 service, kg_u32 seconds); /* Open a service to the knocker's address. */
KNOCKGATE_IMPORT("knockgate:policy/act@1.0.0", "open-prefix")
kg_s32 kg_open_prefix(kg_u32 service, kg_u32 bits, kg_u32 seconds); /* Open a service to the knocker's whole prefix of so many bits. */
KNOCKGATE_IMPORT("knockgate:policy/act@1.0.0", "extend")
kg_s32 kg_extend(kg_u64 grant, kg_u32 seconds); /* Let an open grant of the client last so many seconds from now. */
KNOCKGATE_IMPORT("knockgate:policy/act@1.0.0", "revoke")
kg_s32 kg_revoke(kg_u64 grant); /* Close an open grant of the client. */
KNOCKGATE_IMPORT("knockgate:policy/act@1.0.0", "lockout")
kg_s32 kg_lockout(kg_u32 seconds); /* Lock the source out for so many seconds. */
KNOCKGATE_IMPORT("knockgate:policy/act@1.0.0", "start")
kg_s32 kg_start(kg_u32 unit); /* Start a unit of the host's table. */
KNOCKGATE_IMPORT("knockgate:policy/act@1.0.0", "notify")
kg_s32 kg_notify(kg_u32 channel, kg_u32 code); /* Send a code to a channel of the host's table. */
KNOCKGATE_IMPORT("knockgate:policy/journal@1.0.0", "log")
void kg_log(kg_u32 level, const char *message, kg_u32 length); /* A line for the operator; a client never sees it. */
KNOCKGATE_IMPORT("knockgate:policy/state@1.0.0", "load")
kg_u64 kg_load(kg_u32 key); /* The number that this policy keeps under `key`, 0 when there is none. */
KNOCKGATE_IMPORT("knockgate:policy/state@1.0.0", "store")
kg_s32 kg_store(kg_u32 key, kg_u64 value); /* Keep a number under `key`; 0 forgets it. Happens only if `decide` commits. */

/* A line for the operator, from a string literal. */
#define KNOCKGATE_LOG(level, literal) kg_log(level, literal, sizeof(literal) - 1)

/* Reads a text attribute into a buffer and returns how many bytes it has there; 0 when the event does not have it. */
static inline kg_u32 kg_read_text(kg_u32 key, char *buffer, kg_u32 size) {
  kg_u32 length = (kg_u32)kg_attr(key);
  if (length > size) length = size;
  for (kg_u32 at = 0; at < length; at++) buffer[at] = (char)(kg_text(key, at & ~7u) >> (8 * (at & 7)));
  return length;
}

/* How many values parameter number `index` of the manifest has in the configuration; 0 when it is not given. */
static inline kg_u32 kg_parameter_count(kg_u32 index) { return (kg_u32)kg_attr(65536 + 256 * index); }

/* Value number `at` of a parameter. */
static inline kg_u64 kg_parameter(kg_u32 index, kg_u32 at) { return kg_attr(65536 + 256 * index + 1 + at); }

/* The first value of a parameter, or `otherwise` when it is not given. */
static inline kg_u64 kg_parameter_or(kg_u32 index, kg_u64 otherwise) {
  return kg_parameter_count(index) > 0 ? kg_parameter(index, 0) : otherwise;
}

#ifdef __cplusplus
}
#endif

#endif
