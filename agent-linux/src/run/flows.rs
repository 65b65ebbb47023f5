//! Looks at the connections through grants that follow them, on a thread of its own: where a host has many connections, the
//! kernel takes its time to tell of them.

use std::sync::mpsc::{Receiver, Sender, channel};

use anyhow::Context;
use knockgate_core::{Flows, GrantId};

use crate::broker::FlowLever;
use crate::firewall::{self, FlowsError};

use super::input::{Input, Inputs};

/// Grants, and how the firewall knows them.
type Question = Vec<(GrantId, firewall::Grant)>;

/// The way to the thread. One question at a time.
pub(super) struct Lookout {
    questions: Sender<Question>,
    asked: bool,
}

impl Lookout {
    /// Starts the thread, which looks by this way.
    pub(super) fn start(flows: FlowLever, inputs: Inputs) -> anyhow::Result<Self> {
        let (questions, asked) = channel();
        std::thread::Builder::new()
            .name("flows".into())
            .spawn(move || look(flows, &asked, &inputs))
            .context("cannot start the thread that looks at connections")?;
        Ok(Self { questions, asked: false })
    }

    /// Asks which of these grants are in use, unless the answer before is still awaited.
    pub(super) fn ask(&mut self, grants: Question) {
        if !self.asked && !grants.is_empty() {
            // Without its thread, grants end at their deadlines.
            self.asked = self.questions.send(grants).is_ok();
        }
    }

    /// The answer has come.
    pub(super) fn answered(&mut self) {
        self.asked = false;
    }
}

fn look(mut flows: FlowLever, questions: &Receiver<Question>, inputs: &Inputs) {
    let mut troubled = false;
    while let Ok(question) = questions.recv() {
        let (ids, grants): (Vec<_>, Vec<_>) = question.into_iter().unzip();
        let seen = match seen(&mut flows, &grants) {
            Ok(seen) => ids.into_iter().zip(seen).collect(),
            Err(error) => {
                // Said once: while it lasts, grants that follow their connections end at their deadlines.
                if !std::mem::replace(&mut troubled, true) {
                    tracing::warn!("cannot follow connections: {error}");
                }
                Vec::new()
            }
        };
        if inputs.blocking_send(Input::Flows(seen)).is_err() {
            return;
        }
    }
}

fn seen(flows: &mut FlowLever, grants: &[firewall::Grant]) -> Result<Vec<Flows>, FlowsError> {
    let seen = flows.look(grants)?;
    Ok(seen.into_iter().map(in_cores_words).collect())
}

fn in_cores_words(flows: firewall::Flows) -> Flows {
    match flows {
        firewall::Flows::Alive => Flows::Alive,
        firewall::Flows::None => Flows::None,
    }
}
