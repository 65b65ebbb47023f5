//! What each refusal of a gate means to a person, with the next step.

use knockgate_core::Refusal;

use crate::print::Facts;

/// The reason of a refusal and the next step.
pub(crate) fn because(refusal: Refusal, facts: &Facts) -> String {
    let (host, profile) = (&facts.host, &facts.profile);
    let ask = format!("ask the administrator of {host}");
    match refusal {
        Refusal::Unsealed | Refusal::Unauthentic | Refusal::UnknownClient => {
            format!("it does not know this client; {ask} for a new profile")
        }
        Refusal::Replayed => format!(
            "it has seen a newer message of this client. Either profile \"{profile}\" is also used on a machine whose \
             clock is ahead, or this client's state was set back; correct the clock, or {ask} for a profile of your own"
        ),
        Refusal::Malformed => "it cannot read the request; install the same version on both sides".to_owned(),
        Refusal::WrongSource => {
            "the request does not come from the address that it names; knock without a relay in between"
                .to_owned()
        }
        Refusal::Unsupported => format!("it does not do what was asked; {ask} whether it is set up for it"),
        Refusal::Overloaded => "it has more requests than it can take; try again in a moment".to_owned(),
        Refusal::NotAllowed => format!("this client may not use that service; {ask} to allow it"),
        Refusal::LockedOut => "this client or its address is locked out; try again later".to_owned(),
        Refusal::Busy => {
            "another client holds a number of this book or at this address; try again".to_owned()
        }
        Refusal::Exhausted => format!("every number of the book has been used; {ask} for a new profile"),
        Refusal::WrongPort => format!(
            "a connection came to a wrong port. Either another program behind this address connects to the gate's \
             decoys, or the book in profile \"{profile}\" is not the gate's; try again once the lockout is over"
        ),
        Refusal::TooManyStrays => {
            format!(
                "more wrong probes came than it forgives, perhaps forged; try again, or {ask} for connect mode"
            )
        }
        Refusal::TooLate => format!(
            "the sequence was not complete in time. Either the way is too slow or it blocks some of the ports; \
             try again, or {ask} for a longer hold"
        ),
        Refusal::Superseded => format!(
            "a newer knock of this client took its place; \
             try again, and use profile \"{profile}\" on one machine at a time"
        ),
        Refusal::Denied => format!("its policy said no; {ask} what the policy allows, and when"),
        Refusal::PolicyFailed => {
            format!("its policy failed or did not decide in time; {ask}, whose log says why")
        }
        Refusal::Unavailable => format!("it could not store, watch or open; {ask}, whose log says why"),
        Refusal::Stale => {
            "the message is older than it accepts: this machine's clock is behind, or the network kept the \
             message back; correct the clock, or try again"
                .to_owned()
        }
        Refusal::CodeWanted => {
            "it wants a code of the second factor; give the one that your authenticator shows with --code"
                .to_owned()
        }
        Refusal::WrongCode => {
            "the code of the second factor is wrong or was used before; wait for the next one, and try again"
                .to_owned()
        }
        Refusal::NoGrant => {
            format!("nothing of that kind is open to this client; knock with `knockgate knock {profile}`")
        }
        Refusal::Unrecorded => {
            format!("it cannot write its audit log and opens nothing until it can; {ask} to make room for it")
        }
        Refusal::Expired => format!("the enrolment of this client has ended; {ask} to prolong it"),
    }
}
