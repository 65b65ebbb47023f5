// Calls every function of the SDK; policies/host/tests/sdk.rs says what must come of it.
#include "knockgate.h"

KNOCKGATE_MANIFEST(
    "abi=1.0\n"
    "name=every-function\n"
    "services=*\n"
    "capabilities=open open-prefix extend revoke lockout start notify state log\n"
    "parameters=first:number second:numbers\n");

static bool head_is_what_the_attributes_say() {
  kg_head head;
  kg_read_head(&head);
  return head.time == kg_attr(KNOCKGATE_ATTR_TIME) && head.client == kg_attr(KNOCKGATE_ATTR_CLIENT) &&
         head.address_high == kg_attr(KNOCKGATE_ATTR_ADDRESS_HIGH) &&
         head.address_low == kg_attr(KNOCKGATE_ATTR_ADDRESS_LOW) && head.cause == kg_attr(KNOCKGATE_ATTR_CAUSE) &&
         head.service == kg_attr(KNOCKGATE_ATTR_SERVICE) && head.seconds == kg_attr(KNOCKGATE_ATTR_SECONDS) &&
         head.failures == kg_attr(KNOCKGATE_ATTR_CLIENT_FAILURES) &&
         head.grants == kg_attr(KNOCKGATE_ATTR_CLIENT_GRANTS) &&
         head.bits == (KNOCKGATE_BIT_IPV6 | KNOCKGATE_BIT_TIME | KNOCKGATE_BIT_ZONE | KNOCKGATE_BIT_CLIENT |
                       KNOCKGATE_BIT_SECOND_FACTOR);
}

static bool acts_are_queued() {
  kg_u64 grant = kg_attr(KNOCKGATE_ATTR_OLDEST_GRANT), sum = 0;
  for (kg_u32 at = 0; at < kg_parameter_count(1); at++) sum += kg_parameter(1, at);
  sum += kg_load(5) + kg_parameter(1, 2) + kg_parameter_or(0, 7) + kg_parameter_count(1);
  return kg_open(1, 60) == 0 && kg_open_prefix(2, 64, 59) == 0 && kg_extend(grant, 62) == 0 &&
         kg_revoke(grant) == 0 && kg_lockout(63) == 0 && kg_start(4) == 0 && kg_notify(9, 64) == 0 &&
         kg_store(5, sum) == 0;
}

KNOCKGATE_DECIDE {
  if (!head_is_what_the_attributes_say() || kg_has(KNOCKGATE_ATTR_GRANT)) return KNOCKGATE_ABSTAIN;
  char name[64];
  kg_log(KNOCKGATE_LOG_INFORMATION, name, kg_read_text(KNOCKGATE_ATTR_CLIENT_NAME, name, sizeof(name)));
  return acts_are_queued() && kg_open(0, 0) == KNOCKGATE_INVALID ? KNOCKGATE_COMMIT : KNOCKGATE_DENY;
}
