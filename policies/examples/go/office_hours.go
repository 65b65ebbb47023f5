// Opens on weekdays from 8 to 18 o'clock in the gate's time zone, at most two grants at a time for each client.
// What the policy says about itself, and which rights it asks for, stands in manifest.txt.
package main

import kg "policy/knockgate"

// Go wants it; it is never called.
func main() {}

// Called for every knock, each time in a fresh instance: nothing is left over from the last knock.
//
//go:wasmexport decide
func decide() uint32 {
	// Without a clock nobody knows whether it is office hours.
	if !kg.Has(kg.AttrWeekday) {
		return deny(kg.Warning, "no clock: denied")
	}
	// 1 is Monday, 5 is Friday; minutes count from midnight.
	weekday, minute := kg.Attr(kg.AttrWeekday), kg.Attr(kg.AttrMinute)
	if weekday > 5 || minute < 8*60 || minute >= 18*60 {
		return deny(kg.Information, "outside office hours: denied")
	}
	knock := kg.ReadHead()
	if knock.Grants >= 2 {
		return deny(kg.Information, "two grants are open already: denied")
	}
	// Who asks for more time than is allowed gets as much as is allowed.
	seconds := min(uint64(knock.Seconds), kg.Attr(kg.AttrMaxSeconds))
	if kg.Open(knock.Service, uint32(seconds)) != 0 {
		return kg.Deny
	}
	return kg.Commit
}

func deny(level uint32, reason string) uint32 {
	kg.Log(level, reason)
	return kg.Deny
}
