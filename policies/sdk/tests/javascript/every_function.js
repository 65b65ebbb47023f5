// Calls every function of the SDK; policies/host/tests/sdk.rs says what must come of it.
import {
  Attr, Bit, Level, Refusal, Verdict, attr, extend, has, load, lockout, log, notify, open, openPrefix, parameter,
  readHead, revoke, start, store,
} from "./knockgate.js";

export function decide() {
  if (!headIsWhatTheAttributesSay() || has(Attr.Grant)) return Verdict.Abstain;
  log(Level.Information, "names do not fit into numbers");
  return actsAreQueued() && open(0, 0) === Refusal.Invalid ? Verdict.Commit : Verdict.Deny;
}

function headIsWhatTheAttributesSay() {
  const head = readHead();
  return head.time === attr(Attr.Time) && head.client === attr(Attr.Client) &&
    head.addressHigh === attr(Attr.AddressHigh) && head.addressLow === attr(Attr.AddressLow) &&
    head.cause === attr(Attr.Cause) && head.service === attr(Attr.Service) && head.seconds === attr(Attr.Seconds) &&
    head.failures === attr(Attr.ClientFailures) && head.grants === attr(Attr.ClientGrants) &&
    head.bits === (Bit.Ipv6 | Bit.Time | Bit.Zone | Bit.Client | Bit.SecondFactor);
}

function actsAreQueued() {
  const grant = attr(Attr.OldestGrant);
  const [first = 7] = parameter(0);
  const second = parameter(1);
  const sum = second.reduce((all, value) => all + value, load(5) + second[2] + first + second.length);
  return open(1, 60) === 0 && openPrefix(2, 64, 59) === 0 && extend(grant, 62) === 0 && revoke(grant) === 0 &&
    lockout(63) === 0 && start(4) === 0 && notify(9, 64) === 0 && store(5, sum) === 0;
}
