//! The states of jobs, by Slurm's names.

use proto::types::EndState;

/// Where a job is, as `squeue` shows it.
///
/// A job that has nodes is `CONFIGURING` until its node has confirmed that the script was started:
/// nobody is told that something runs before it does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    Pending,
    Configuring,
    Running,
    /// Its end is decided, and its nodes are not clean yet.
    Completing(EndState),
    Ended(EndState),
}

impl State {
    /// Such as `NODE_FAIL`.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Pending => "PENDING",
            Self::Configuring => "CONFIGURING",
            Self::Running => "RUNNING",
            Self::Completing(_) => "COMPLETING",
            Self::Ended(end) => end_name(end),
        }
    }

    /// Such as `NF`.
    pub(crate) fn compact(self) -> &'static str {
        match self {
            Self::Pending => "PD",
            Self::Configuring => "CF",
            Self::Running => "R",
            Self::Completing(_) => "CG",
            Self::Ended(end) => match end {
                EndState::Completed | EndState::Unspecified => "CD",
                EndState::Failed => "F",
                EndState::Cancelled => "CA",
                EndState::Timeout => "TO",
                EndState::NodeFail => "NF",
                EndState::OutOfMemory => "OOM",
                EndState::Deadline => "DL",
                EndState::Preempted => "PR",
            },
        }
    }

    /// The state and its flags, as JSON has them.
    pub(crate) fn list(self) -> Vec<&'static str> {
        match self {
            Self::Pending | Self::Running | Self::Ended(_) => vec![self.name()],
            Self::Configuring => vec!["RUNNING", "CONFIGURING"],
            Self::Completing(end) => vec![end_name(end), "COMPLETING"],
        }
    }

    /// Whether it is over.
    pub(crate) fn is_ended(self) -> bool {
        matches!(self, Self::Ended(_))
    }
}

fn end_name(end: EndState) -> &'static str {
    match end {
        EndState::Completed | EndState::Unspecified => "COMPLETED",
        EndState::Failed => "FAILED",
        EndState::Cancelled => "CANCELLED",
        EndState::Timeout => "TIMEOUT",
        EndState::NodeFail => "NODE_FAIL",
        EndState::OutOfMemory => "OUT_OF_MEMORY",
        EndState::Deadline => "DEADLINE",
        EndState::Preempted => "PREEMPTED",
    }
}

/// A state that `--states` may name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wanted {
    Pending,
    Running,
    Configuring,
    Completing,
    Ended(EndState),
    /// `all`.
    Any,
    /// One of Slurm's in which no job of this version's can be.
    Never,
}

impl Wanted {
    /// Whether a job in this state is wanted. As in Slurm, a job that completes also counts for the
    /// state that it will end in; but one that is being configured does not count as running.
    pub(crate) fn has(self, state: State) -> bool {
        match self {
            Self::Pending => state == State::Pending,
            Self::Running => state == State::Running,
            Self::Configuring => state == State::Configuring,
            Self::Completing => matches!(state, State::Completing(_)),
            Self::Ended(end) => state == State::Completing(end) || state == State::Ended(end),
            Self::Any => true,
            Self::Never => false,
        }
    }
}

/// Slurm's states: names, short names, and what they mean here.
const STATES: &[(&str, &str, Wanted)] = &[
    ("pending", "pd", Wanted::Pending),
    ("running", "r", Wanted::Running),
    ("suspended", "s", Wanted::Never),
    ("completed", "cd", Wanted::Ended(EndState::Completed)),
    ("cancelled", "ca", Wanted::Ended(EndState::Cancelled)),
    ("failed", "f", Wanted::Ended(EndState::Failed)),
    ("timeout", "to", Wanted::Ended(EndState::Timeout)),
    ("node_fail", "nf", Wanted::Ended(EndState::NodeFail)),
    ("preempted", "pr", Wanted::Ended(EndState::Preempted)),
    ("boot_fail", "bf", Wanted::Never),
    ("deadline", "dl", Wanted::Ended(EndState::Deadline)),
    ("out_of_memory", "oom", Wanted::Ended(EndState::OutOfMemory)),
    ("completing", "cg", Wanted::Completing),
    ("configuring", "cf", Wanted::Configuring),
    ("expediting", "ex", Wanted::Never),
    ("resizing", "rs", Wanted::Never),
    ("resv_del_hold", "rd", Wanted::Never),
    ("requeued", "rq", Wanted::Never),
    ("requeue_fed", "rf", Wanted::Never),
    ("requeue_hold", "rh", Wanted::Never),
    ("revoked", "rv", Wanted::Never),
    ("signaling", "si", Wanted::Never),
    ("special_exit", "se", Wanted::Never),
    ("stage_out", "so", Wanted::Never),
    ("stopped", "st", Wanted::Never),
];

/// Reads `--states`: names or short names, in any case, separated by commas.
///
/// # Errors
/// What is no state.
pub(crate) fn parse(text: &str) -> Result<Vec<Wanted>, String> {
    let one = |name: &str| {
        let is = |known: &str| known.eq_ignore_ascii_case(name);
        let found = STATES.iter().find(|(long, short, _)| is(long) || is(short));
        match found {
            Some((.., wanted)) => Ok(*wanted),
            None if is("all") => Ok(Wanted::Any),
            None => Err(name.to_owned()),
        }
    };
    text.split(',').filter(|name| !name.is_empty()).map(one).collect()
}

/// All names, as Slurm lists them.
pub(crate) fn names() -> String {
    let names: Vec<_> = STATES.iter().map(|(name, ..)| *name).collect();
    names.join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn states_are_named_in_any_case_and_length() {
        let pending_and_failed = vec![Wanted::Pending, Wanted::Ended(EndState::Failed)];
        assert_eq!(parse("PD,failed"), Ok(pending_and_failed));
        assert_eq!(parse("ALL"), Ok(vec![Wanted::Any]));
        assert_eq!(parse("R,bogus"), Err("bogus".to_owned()));
    }

    #[test]
    fn what_is_not_confirmed_does_not_run() {
        assert!(!Wanted::Running.has(State::Configuring));
        assert!(Wanted::Ended(EndState::Timeout).has(State::Completing(EndState::Timeout)));
        assert_eq!(State::Configuring.compact(), "CF");
    }
}
