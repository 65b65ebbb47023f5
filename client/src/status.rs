//! Asks what is open, and what became of the last knock.

use knockgate_core::Refusal;
use knockgate_core::message::{Answer, Kind, Request, Verdict};

use crate::opening::refused;
use crate::outcome::{Failure, because};
use crate::print::{Facts, LastKnock, Opened};
use crate::session::Session;

/// The gate's answer to a question of status.
pub(crate) struct Standing {
    pub(crate) open: Vec<Opened>,
    pub(crate) last_knock: LastKnock,
    /// About the last knock, where there is something to say.
    pub(crate) remark: Option<String>,
}

pub(crate) fn ask(session: &mut Session<'_>) -> Result<Standing, Failure> {
    let answered = session.ask(&Request::new(Kind::Status, 0))?;
    let answer = &answered.answer;
    if let Some(failure) = refusal_of_the_question(answer) {
        return Err(failure);
    }
    let age = answered.at.elapsed();
    let open = answer.open.iter().map(|open| Opened::new(open, &session.kept.profile, age)).collect();
    Ok(Standing { open, last_knock: LastKnock::of(answer), remark: remark(answer, session.facts) })
}

/// The gate refused to say anything, as opposed to telling that the last knock was refused.
fn refusal_of_the_question(answer: &Answer) -> Option<Failure> {
    let Verdict::Refused(code) = answer.verdict else { return None };
    let about_the_question = match Refusal::from_code(code) {
        Some(refusal) => match refusal {
            Refusal::Unsealed | Refusal::Unauthentic | Refusal::UnknownClient | Refusal::Replayed => true,
            Refusal::Malformed | Refusal::WrongSource | Refusal::Unsupported | Refusal::Overloaded => true,
            Refusal::LockedOut | Refusal::Stale | Refusal::Expired => true,
            Refusal::CodeWanted | Refusal::WrongCode | Refusal::NoGrant => false,
            Refusal::NotAllowed | Refusal::Busy | Refusal::Exhausted => false,
            Refusal::WrongPort | Refusal::TooManyStrays | Refusal::TooLate | Refusal::Superseded => false,
            Refusal::Denied | Refusal::PolicyFailed | Refusal::Unavailable | Refusal::Unrecorded => false,
        },
        None => true,
    };
    about_the_question.then(|| refused(code, answer))
}

fn remark(answer: &Answer, facts: &Facts) -> Option<String> {
    match answer.verdict {
        Verdict::Pending | Verdict::Offered => Some("a knock is under way".to_owned()),
        Verdict::Refused(_) => {
            answer.refusal().map(|refusal| format!("the last knock was refused: {}", because(refusal, facts)))
        }
        Verdict::Nothing | Verdict::Granted | Verdict::Confirm(_) | Verdict::Closed => None,
    }
}
