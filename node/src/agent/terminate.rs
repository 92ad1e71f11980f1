//! How runs are brought to their ends, whatever they have come to.

use common::{
    id::Attempt,
    machine::Cause,
    time::{Span, Timestamp},
};

use super::{Act, Agent, Run, Stage, never_ran};
use crate::run::{RunId, Termination};

/// Slurm's default of `KillWait`, for a run whose leader has not said how long to wait.
const STALE_KILL_WAIT: Span = Span::from_seconds(30);

impl Agent {
    /// Brings a run to its end. One that the node does not know gets a recorded end at once: its
    /// launch may be lost, or be yet to come, and in either case the leader waits for an end.
    pub(super) fn terminate(
        &mut self,
        now: Timestamp,
        run: RunId,
        termination: Termination,
    ) -> Vec<Act> {
        let Some(state) = self.runs.get_mut(&run) else {
            return self.record(run, never_ran(now));
        };
        match state.stage {
            Stage::Waiting(_) => self.record(run, never_ran(now)),
            Stage::Idle => {
                state.doom = Some(termination);
                self.record(run, never_ran(now))
            }
            Stage::Preparing => {
                state.doom = Some(termination);
                vec![]
            }
            Stage::Launching | Stage::Running => {
                doom(run, state, termination).into_iter().collect()
            }
            Stage::Recording(_) | Stage::Removing => vec![],
            Stage::Over(_) => self.tell(run),
        }
    }

    /// Terminates the earlier attempts of a run's job: who orders a later one wants them no more.
    pub(super) fn clear_the_way(&mut self, now: Timestamp, run: RunId) -> Vec<Act> {
        let (from, to) = (RunId { attempt: Attempt(0), ..run }, run);
        let stale = Termination { cause: Cause::Stale, kill_wait: STALE_KILL_WAIT, at: now };
        let mut acts = Vec::new();
        let (mut dropped, mut idle) = (Vec::new(), Vec::new());
        for (earlier, state) in self.runs.range_mut(from..to) {
            match state.stage {
                Stage::Waiting(_) => dropped.push(*earlier),
                Stage::Preparing if state.doom.is_none() => state.doom = Some(stale),
                Stage::Idle => {
                    state.doom = Some(stale);
                    idle.push(*earlier);
                }
                Stage::Launching | Stage::Running if state.doom.is_none() => {
                    acts.extend(doom(*earlier, state, stale));
                }
                Stage::Preparing
                | Stage::Launching
                | Stage::Running
                | Stage::Recording(_)
                | Stage::Over(_)
                | Stage::Removing => {}
            }
        }
        for earlier in dropped {
            self.runs.remove(&earlier);
        }
        for earlier in idle {
            acts.extend(self.record(earlier, never_ran(now)));
        }
        acts
    }
}

/// Passes a termination on to a supervisor, once for each cause.
fn doom(run: RunId, state: &mut Run, termination: Termination) -> Option<Act> {
    if state.doom.is_some_and(|doom| doom.cause == termination.cause) {
        return None;
    }
    state.doom = Some(termination);
    Some(Act::Terminate { run, termination })
}
