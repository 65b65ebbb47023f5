/* Opens on weekdays from 8 to 18 o'clock in the gate's time zone, at most two grants at a time for each client. */
#include "knockgate.h"

/* What the policy says about itself. What it does not ask for here it does not have. */
KNOCKGATE_MANIFEST(
    "abi=1.0\n"
    "name=office-hours\n"
    "version=1.0\n"
    "services=*\n"
    "capabilities=open log\n"
    "fuel=5000\n"
    "pages=1\n");

/* Called for every knock, each time in a fresh instance: nothing is left over from the last knock. */
KNOCKGATE_DECIDE {
  kg_u64 weekday = kg_attr(KNOCKGATE_ATTR_WEEKDAY), minute = kg_attr(KNOCKGATE_ATTR_MINUTE);
  /* Without a clock nobody knows whether it is office hours. */
  if (!kg_has(KNOCKGATE_ATTR_WEEKDAY)) {
    KNOCKGATE_LOG(KNOCKGATE_LOG_WARNING, "no clock: denied");
    return KNOCKGATE_DENY;
  }
  /* 1 is Monday, 5 is Friday; minutes count from midnight. */
  if (weekday > 5 || minute < 8 * 60 || minute >= 18 * 60) {
    KNOCKGATE_LOG(KNOCKGATE_LOG_INFORMATION, "outside office hours: denied");
    return KNOCKGATE_DENY;
  }
  kg_head knock;
  kg_read_head(&knock);
  if (knock.grants >= 2) {
    KNOCKGATE_LOG(KNOCKGATE_LOG_INFORMATION, "two grants are open already: denied");
    return KNOCKGATE_DENY;
  }
  /* Who asks for more time than is allowed gets as much as is allowed. */
  kg_u64 most = kg_attr(KNOCKGATE_ATTR_MAX_SECONDS);
  kg_u32 seconds = knock.seconds < most ? knock.seconds : (kg_u32)most;
  return kg_open(knock.service, seconds) == 0 ? KNOCKGATE_COMMIT : KNOCKGATE_DENY;
}
