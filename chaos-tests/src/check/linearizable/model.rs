//! A job as clients see it.
//!
//! ```text
//!   absent ─submit▶ Pending ▶ Configuring ▶ Running ▶ Completing ▶ over ▶ absent (forgotten)
//!                      ▲                        │          │
//!                      └── a node's failure ────┴──────────┘  (restarts + 1)
//! ```
//!
//! It moves along this by itself, so two answers that were given one after the other must lie on
//! the way one after the other. What clients do bounds it further: a job that is cancelled, or that
//! the cluster calls finished, never waits or runs again, unless somebody asks for it. Its comment
//! and whether it is held change by what clients do alone.

use crate::record::{Call, Operation, Outcome, Seen};

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Model {
    life: Life,
    /// How far it is at least: restarts, and the stage after so many.
    reached: (u32, Stage),
    /// It is not to run again, whatever its nodes do.
    closing: bool,
    /// The restarts were told after it was closing: they stay.
    fixed: bool,
    held: Option<bool>,
    comment: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Life {
    /// Not yet.
    Unborn,
    Known,
    /// Over, and forgotten.
    Gone,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Stage {
    Pending,
    Configuring,
    Running,
    Completing,
    Over,
}

impl Stage {
    fn of(word: &str) -> Option<Self> {
        Some(match word {
            "PENDING" => Self::Pending,
            "CONFIGURING" => Self::Configuring,
            "RUNNING" => Self::Running,
            "COMPLETING" => Self::Completing,
            "COMPLETED" | "FAILED" | "CANCELLED" | "TIMEOUT" | "NODE_FAIL" | "OUT_OF_MEMORY" => {
                Self::Over
            }
            _ => return None,
        })
    }
}

impl Model {
    /// Before the first operation: of a job whose submission is among them, or is not.
    pub(super) fn before(submitted: bool) -> Self {
        let life = if submitted { Life::Unborn } else { Life::Known };
        // Nothing is known of one that somebody else has submitted.
        let reached = (0, Stage::Pending);
        Self { life, reached, closing: false, fixed: false, held: None, comment: None }
    }

    /// The job after the operation took effect with this answer; none where it can't have.
    pub(super) fn after(&self, operation: &Operation) -> Option<Self> {
        match &operation.outcome {
            Outcome::Refused { words } => self.refuses(&operation.call, words),
            Outcome::Seen(seen) => self.shows(seen),
            Outcome::Submitted { .. } | Outcome::Done | Outcome::Unknown { .. } => {
                self.changed(&operation.call)
            }
            Outcome::Listed { .. } => None,
        }
    }

    fn changed(&self, call: &Call) -> Option<Self> {
        let mut next = self.clone();
        if let Call::Submit { hold, .. } = call {
            next.life = Life::Known;
            (next.held, next.comment) = (Some(*hold), Some(String::new()));
            return (self.life == Life::Unborn).then_some(next);
        }
        if self.life != Life::Known {
            return None;
        }
        let (restarts, stage) = self.reached;
        match call {
            Call::Cancel { .. } => {
                if stage == Stage::Over {
                    return None;
                }
                next.reached = (restarts, stage.max(Stage::Completing));
                next.closing = true;
            }
            // Only of what is not over, nor about to be.
            Call::Hold { .. } if !self.closing => next.held = Some(true),
            Call::Release { .. } if !self.closing => next.held = Some(false),
            Call::Update { comment, .. } if !self.closing => next.comment = Some(comment.clone()),
            Call::Hold { .. } | Call::Release { .. } | Call::Update { .. } => return None,
            Call::Requeue { .. } => {
                // It ran: and if it is over, it waits again at once.
                next.reached = match stage {
                    Stage::Over => (restarts + 1, Stage::Pending),
                    Stage::Pending | Stage::Configuring | Stage::Running | Stage::Completing => {
                        (restarts, stage.max(Stage::Configuring))
                    }
                };
                (next.closing, next.fixed) = (false, false);
            }
            Call::Submit { .. } | Call::Query { .. } | Call::List => return None,
        }
        Some(next)
    }

    fn shows(&self, seen: &Seen) -> Option<Self> {
        let stage = Stage::of(&seen.state)?;
        let (least, before) = self.reached;
        if self.life != Life::Known {
            return None;
        }
        // Where restarts are not shown, as few as fit.
        let restarts = seen.restarts.unwrap_or(if stage < before { least + 1 } else { least });
        let closing =
            self.closing && (stage < Stage::Completing || self.fixed && restarts != least);
        if (restarts, stage) < self.reached || closing {
            return None;
        }
        let mut next = self.clone();
        next.reached = (restarts, stage);
        next.fixed |= self.closing && seen.restarts.is_some();
        // What is over stays so, until somebody asks for another run.
        next.closing |= stage == Stage::Over;
        next.fixed |= stage == Stage::Over && seen.restarts.is_some();
        if let Some(comment) = &seen.comment {
            if self.comment.as_ref().is_some_and(|known| known != comment) {
                return None;
            }
            next.comment = Some(comment.clone());
        }
        if let Some(priority) = seen.priority {
            if self.held.is_some_and(|held| held != (priority == 0)) {
                return None;
            }
            next.held = Some(priority == 0);
        }
        Some(next)
    }

    fn refuses(&self, call: &Call, words: &str) -> Option<Self> {
        let mut next = self.clone();
        let (restarts, stage) = self.reached;
        match words {
            "Invalid job id specified" => match self.life {
                Life::Unborn | Life::Gone => Some(next),
                // `scancel` says so of what is over, and of what is about to be.
                Life::Known if matches!(call, Call::Cancel { .. }) => {
                    next.reached = (restarts, stage.max(Stage::Completing));
                    Some(next)
                }
                Life::Known => {
                    next.life = Life::Gone;
                    Some(next)
                }
            },
            "Job/step already completing or completed" if self.life == Life::Known => {
                next.reached = (restarts, Stage::Over);
                next.closing = true;
                Some(next)
            }
            "Job has already finished" if self.life == Life::Known => {
                next.reached = (restarts, stage.max(Stage::Completing));
                next.closing = true;
                Some(next)
            }
            "Job is pending execution" if self.life == Life::Known && !self.closing => {
                next.reached = (restarts + u32::from(stage > Stage::Pending), Stage::Pending);
                Some(next)
            }
            // Refused for another reason than what the job is.
            _ => Some(next),
        }
    }
}
