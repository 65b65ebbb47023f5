//! Starts that come to no end: a site that needs more memory than there is would restart the machine for ever, without a word
//! that anybody has time to read. After two of them the gate stays shut and says so.

use knockgate_gateway::board::Parts;
use knockgate_gateway::boot;
use knockgate_gateway::machine::Machine;

use crate::console::Console;
use crate::flash::Flash;
use crate::net::Port;
use crate::rng::Rng;
use crate::{clock, sys};

/// Unfinished starts after which none is tried. Two, because the first one may have been an image on trial, and the second goes
/// back to the one before it.
const MOST: u32 = 2;

/// Starts, unless the last starts have come to no end. That is forgotten when the power is taken away.
pub(crate) fn counted(
    parts: Parts<Port, Port, Flash, Rng, Console>,
) -> Machine<Port, Port, Flash, Rng, Console> {
    let unfinished = sys::unfinished_starts();
    let machine = if unfinished < MOST {
        sys::note_unfinished_starts(unfinished + 1);
        boot::start(parts, clock::now())
    } else {
        boot::stay_shut(parts, clock::now())
    };
    sys::note_unfinished_starts(0);
    machine
}
