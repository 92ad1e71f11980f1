//! How runs end, and what may begin then.

use super::{Act, Agent, Run, Stage};
use crate::run::{End, RunId};

impl Agent {
    pub(super) fn ended(&mut self, run: RunId, end: End) -> Vec<Act> {
        match self.runs.get_mut(&run) {
            Some(state) if matches!(state.stage, Stage::Launching | Stage::Running) => {
                state.stage = Stage::Over(end);
            }
            Some(_) | None => return vec![],
        }
        self.over(run)
    }

    /// A run has ended that nobody has written an end of.
    pub(super) fn end_unwritten(&mut self, run: RunId, end: End) -> Vec<Act> {
        match self.runs.get(&run).map(|state| &state.stage) {
            Some(Stage::Preparing | Stage::Launching | Stage::Running) => self.record(run, end),
            Some(
                Stage::Waiting(_)
                | Stage::Idle
                | Stage::Recording(_)
                | Stage::Over(_)
                | Stage::Removing,
            )
            | None => vec![],
        }
    }

    pub(super) fn record(&mut self, run: RunId, end: End) -> Vec<Act> {
        let state = self.runs.entry(run).or_insert_with(|| Run::new(Stage::Preparing));
        state.stage = Stage::Recording(end.clone());
        vec![Act::Record { run, end }]
    }

    pub(super) fn recorded(&mut self, run: RunId) -> Vec<Act> {
        match self.runs.get_mut(&run) {
            Some(state) => match &state.stage {
                Stage::Recording(end) => state.stage = Stage::Over(end.clone()),
                Stage::Waiting(_)
                | Stage::Preparing
                | Stage::Idle
                | Stage::Launching
                | Stage::Running
                | Stage::Over(_)
                | Stage::Removing => return vec![],
            },
            None => return vec![],
        }
        self.over(run)
    }

    /// An earlier daemon had started its supervisor, which was slow: that one ends it.
    pub(super) fn held(&mut self, run: RunId) -> Vec<Act> {
        match self.runs.get_mut(&run) {
            Some(state) if matches!(state.stage, Stage::Recording(_)) => {
                state.stage = Stage::Launching;
                let doom = state.doom.map(|termination| Act::Terminate { run, termination });
                [Act::Watch(run)].into_iter().chain(doom).collect()
            }
            Some(_) | None => vec![],
        }
    }

    /// Reports an end, and begins what waited for it.
    fn over(&mut self, run: RunId) -> Vec<Act> {
        let mut acts = self.tell(run);
        acts.extend(self.begin_waiting());
        acts
    }

    /// Begins what waited and need not any more.
    pub(super) fn begin_waiting(&mut self) -> Vec<Act> {
        let mut acts = Vec::new();
        let waiting: Vec<RunId> = self
            .runs
            .iter()
            .filter(|(_, state)| matches!(state.stage, Stage::Waiting(_)))
            .map(|(run, _)| *run)
            .filter(|run| self.may_begin(*run))
            .collect();
        for next in waiting {
            let state = self.runs.get_mut(&next).expect("it was found a line above");
            let stage = std::mem::replace(&mut state.stage, Stage::Preparing);
            if let Stage::Waiting(launch) = stage {
                acts.push(Act::Prepare(launch));
            }
        }
        acts
    }
}
