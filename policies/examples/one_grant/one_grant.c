/* One open grant for a client at a time: while one is open, the next knock is denied. */
#include "knockgate.h"

KNOCKGATE_MANIFEST(
    "abi=1.0\n"
    "name=one-grant\n"
    "version=1.0\n"
    "services=*\n"
    "capabilities=open log\n"
    "fuel=5000\n"
    "pages=1\n");

KNOCKGATE_DECIDE {
  kg_head knock;
  kg_read_head(&knock);
  if (knock.grants > 0) {
    KNOCKGATE_LOG(KNOCKGATE_LOG_INFORMATION, "a grant is open already: denied");
    return KNOCKGATE_DENY;
  }
  return kg_open(knock.service, knock.seconds) == 0 ? KNOCKGATE_COMMIT : KNOCKGATE_DENY;
}
