// Opens on weekdays from 8 to 18 o'clock in the gate's time zone, at most two grants at a time for each client.
#include "knockgate.h"

// What the policy says about itself. What it does not ask for here it does not have.
KNOCKGATE_MANIFEST(
    "abi=1.0\n"
    "name=office-hours\n"
    "version=1.0\n"
    "services=*\n"
    "capabilities=open log\n"
    "fuel=5000\n"
    "pages=1\n");

// Says why, and denies.
template <kg_u32 length>
static kg_u32 deny(kg_u32 level, const char (&reason)[length]) {
  kg_log(level, reason, length - 1);
  return KNOCKGATE_DENY;
}

// Called for every knock, each time in a fresh instance: nothing is left over from the last knock.
KNOCKGATE_DECIDE {
  // Without a clock nobody knows whether it is office hours.
  if (!kg_has(KNOCKGATE_ATTR_WEEKDAY)) return deny(KNOCKGATE_LOG_WARNING, "no clock: denied");
  // 1 is Monday, 5 is Friday; minutes count from midnight.
  const auto weekday = kg_attr(KNOCKGATE_ATTR_WEEKDAY), minute = kg_attr(KNOCKGATE_ATTR_MINUTE);
  const bool working = weekday <= 5 && minute >= 8 * 60 && minute < 18 * 60;
  if (!working) return deny(KNOCKGATE_LOG_INFORMATION, "outside office hours: denied");
  kg_head knock;
  kg_read_head(&knock);
  if (knock.grants >= 2) return deny(KNOCKGATE_LOG_INFORMATION, "two grants are open already: denied");
  // Who asks for more time than is allowed gets as much as is allowed.
  const auto most = kg_attr(KNOCKGATE_ATTR_MAX_SECONDS);
  const auto seconds = knock.seconds < most ? knock.seconds : static_cast<kg_u32>(most);
  return kg_open(knock.service, seconds) == 0 ? KNOCKGATE_COMMIT : KNOCKGATE_DENY;
}
