// Calls every function of the SDK; policies/host/tests/sdk.rs says what must come of it.
import {
  Attr, Bit, Level, Refusal, Verdict, attr, extend, has, head, lockout, log, notify, open, openPrefix, parameter,
  parameterCount, parameterOr, revoke, start, stateLoad, stateStore, text,
} from "./knockgate";

export function decide(): u32 {
  if (!headIsWhatTheAttributesSay() || has(Attr.Grant)) return Verdict.Abstain;
  log(Level.Information, text(Attr.ClientName));
  return actsAreQueued() && open(0, 0) == Refusal.Invalid ? Verdict.Commit : Verdict.Deny;
}

function headIsWhatTheAttributesSay(): bool {
  const it = head();
  return it.time == attr(Attr.Time) && it.client == attr(Attr.Client) && it.addressHigh == attr(Attr.AddressHigh) &&
    it.addressLow == attr(Attr.AddressLow) && it.cause == attr(Attr.Cause) && it.service == attr(Attr.Service) &&
    it.seconds == attr(Attr.Seconds) && it.failures == attr(Attr.ClientFailures) &&
    it.grants == attr(Attr.ClientGrants) &&
    it.bits == (Bit.Ipv6 | Bit.Time | Bit.Zone | Bit.Client | Bit.SecondFactor);
}

function actsAreQueued(): bool {
  const grant = attr(Attr.OldestGrant);
  let sum = stateLoad(5) + parameter(1, 2) + parameterOr(0, 7) + parameterCount(1);
  for (let at: u32 = 0; at < parameterCount(1); at++) sum += parameter(1, at);
  return open(1, 60) == 0 && openPrefix(2, 64, 59) == 0 && extend(grant, 62) == 0 && revoke(grant) == 0 &&
    lockout(63) == 0 && start(4) == 0 && notify(9, 64) == 0 && stateStore(5, sum) == 0;
}
