//! One policy on three engines, each with numbers of its own to keep.

use std::sync::Arc;

use knockgate_policy_host::second::SecondPolicy;
use knockgate_policy_host::{
    Action, Capabilities, Decision, Event, MemoryState, Parameter, Policy, PolicyEngine, Profile, Rights,
    StateStore, Verdict, builtin,
};

use super::stage::rights;

/// What all three have said.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Said {
    pub(crate) verdict: Verdict,
    pub(crate) actions: Vec<Action>,
    pub(crate) log: Vec<String>,
}

pub(crate) struct Three {
    compiled: Policy,
    interpreted: Policy,
    second: SecondPolicy,
    states: [Arc<dyn StateStore>; 3],
}

/// The usual rights, and these parameters.
pub(crate) fn given(parameters: &[(&str, &str)]) -> Rights {
    let parameters = parameters.iter().map(|(name, text)| Parameter::new(name, [*text]));
    Rights { parameters: parameters.collect(), ..rights() }
}

impl Three {
    pub(crate) fn load(name: &str, rights: &Rights) -> Self {
        let module = builtin::find(name).unwrap().module;
        let all = Capabilities::ALL;
        let compiled = PolicyEngine::new(Profile::Edge, all).unwrap();
        let interpreted = PolicyEngine::on_pulley(Profile::Edge, all).unwrap();
        Self {
            compiled: compiled.load(name, module, rights).unwrap(),
            interpreted: interpreted.load(name, module, rights).unwrap(),
            second: SecondPolicy::load(name, module, rights, Profile::Edge, all).unwrap(),
            states: [(); 3].map(|()| -> Arc<dyn StateStore> { Arc::new(MemoryState::default()) }),
        }
    }

    /// Decides on all three and holds one against the others.
    pub(crate) fn decide(&self, event: &Event) -> Said {
        let [first, second, third] = &self.states;
        let compiled = self.compiled.decide(event, first);
        let interpreted = self.interpreted.decide(event, second);
        assert_eq!(compiled, interpreted, "Cranelift and Pulley differ");
        assert_eq!(compiled.failure, None, "a built-in policy failed");

        let answer = said(compiled);
        assert_eq!(answer, said(self.second.decide(event, third)), "wasmi differs");
        answer
    }

    /// How many numbers are kept.
    pub(crate) fn kept(&self) -> usize {
        let [first, second, third] = self.states.each_ref().map(|state| state.len());
        assert_eq!((first, first), (second, third));
        first
    }
}

fn said(decision: Decision) -> Said {
    Said {
        verdict: decision.verdict,
        actions: decision.actions.to_vec(),
        log: decision.log.iter().map(|line| line.text.to_string()).collect(),
    }
}
