// Opens on weekdays from 8 to 18 o'clock in the gate's time zone, at most two grants at a time for each client.
// What the policy says about itself, and which rights it asks for, stands in manifest.txt.
import { Attr, Level, Verdict, attr, has, head, log, open } from "./knockgate";

// Called for every knock, each time in a fresh instance: nothing is left over from the last knock.
export function decide(): u32 {
  // Without a clock nobody knows whether it is office hours.
  if (!has(Attr.Weekday)) return deny(Level.Warning, "no clock: denied");
  // 1 is Monday, 5 is Friday; minutes count from midnight.
  const weekday = attr(Attr.Weekday), minute = attr(Attr.Minute);
  if (weekday > 5 || minute < 8 * 60 || minute >= 18 * 60) {
    return deny(Level.Information, "outside office hours: denied");
  }
  const knock = head();
  if (knock.grants >= 2) return deny(Level.Information, "two grants are open already: denied");
  // Who asks for more time than is allowed gets as much as is allowed.
  const seconds = min<u64>(knock.seconds, attr(Attr.MaxSeconds));
  return open(knock.service, <u32>seconds) == 0 ? Verdict.Commit : Verdict.Deny;
}

function deny(level: u32, reason: string): u32 {
  log(level, reason);
  return Verdict.Deny;
}
