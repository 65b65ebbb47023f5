// Calls every function of the SDK; policies/host/tests/sdk.rs says what must come of it.
package main

import kg "policy/knockgate"

func main() {}

//go:wasmexport decide
func decide() uint32 {
	if !headIsWhatTheAttributesSay() || kg.Has(kg.AttrGrant) {
		return kg.Abstain
	}
	kg.Log(kg.Information, kg.Text(kg.AttrClientName))
	if !actsAreQueued() || kg.Open(0, 0) != kg.Invalid {
		return kg.Deny
	}
	return kg.Commit
}

func headIsWhatTheAttributesSay() bool {
	head := kg.ReadHead()
	return head.Time == kg.Attr(kg.AttrTime) && head.Client == kg.Attr(kg.AttrClient) &&
		head.AddressHigh == kg.Attr(kg.AttrAddressHigh) && head.AddressLow == kg.Attr(kg.AttrAddressLow) &&
		uint64(head.Cause) == kg.Attr(kg.AttrCause) && uint64(head.Service) == kg.Attr(kg.AttrService) &&
		uint64(head.Seconds) == kg.Attr(kg.AttrSeconds) && uint64(head.Failures) == kg.Attr(kg.AttrClientFailures) &&
		uint64(head.Grants) == kg.Attr(kg.AttrClientGrants) &&
		head.Bits == kg.BitIpv6|kg.BitTime|kg.BitZone|kg.BitClient|kg.BitSecondFactor
}

func actsAreQueued() bool {
	grant := kg.Attr(kg.AttrOldestGrant)
	sum := kg.Load(5) + kg.Parameter(1, 2) + kg.ParameterOr(0, 7) + uint64(kg.ParameterCount(1))
	for at := range kg.ParameterCount(1) {
		sum += kg.Parameter(1, at)
	}
	return kg.Open(1, 60) == 0 && kg.OpenPrefix(2, 64, 59) == 0 && kg.Extend(grant, 62) == 0 &&
		kg.Revoke(grant) == 0 && kg.Lockout(63) == 0 && kg.Start(4) == 0 && kg.Notify(9, 64) == 0 &&
		kg.Store(5, sum) == 0
}
