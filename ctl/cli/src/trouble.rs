//! Why a command got no answer, in Slurm's words.

use common::{id::NotHex, machine::Refusal};
use tonic::{Code, Status};
use trust::{
    controllers::{CallError, Failure},
    site::SiteError,
};

use crate::say;

/// The metadata that carries Slurm's number of a refusal, and what it says before the refusal.
const ERRNO: &str = "slurm-errno";
const DETAIL: &str = "slurm-detail";

/// What came of a call instead of an answer. The text is Slurm's; [`Trouble::report`] says the
/// cause as well, which Slurm has no words for.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Trouble {
    /// The controller refuses, and says why.
    #[error("{message}")]
    Refused { message: String, errno: Option<u32>, detail: Option<String>, code: Code },
    #[error("Unable to contact slurm controller (connect failure)")]
    Unreachable { cause: String },
    #[error("Socket timed out on send/recv operation")]
    Silent { cause: String },
    /// There is no trust between this user and the controllers.
    #[error("Protocol authentication error")]
    Untrusted { cause: String },
    /// The environment asks for what can't be: it is never passed over in silence.
    #[error("RAFTER_REQUEST_ID is no request id: {0}")]
    RequestId(#[from] NotHex),
    /// This host belongs to no cluster.
    #[error("Could not establish a configuration source")]
    NoSite(#[from] SiteError),
}

impl Trouble {
    /// Slurm's number for it, where there is one.
    pub(crate) fn errno(&self) -> Option<u32> {
        match self {
            Self::Refused { errno, .. } => *errno,
            Self::Unreachable { .. }
            | Self::Silent { .. }
            | Self::Untrusted { .. }
            | Self::RequestId(_)
            | Self::NoSite(_) => None,
        }
    }

    /// Whether the controller refuses for the same reason as `refusal`.
    pub(crate) fn is(&self, refusal: &Refusal) -> bool {
        self.errno().is_some() && self.errno() == refusal.errno()
    }

    /// Says the cause, where the text alone leaves a person helpless, and then `prefix` and the
    /// text, such as `slurm_load_jobs error: Unable to contact slurm controller (...)`.
    pub(crate) fn report(&self, prefix: &str) {
        self.report_cause();
        match self {
            Self::NoSite(_) => say::fatal(&self.to_string()),
            Self::Refused { .. }
            | Self::Unreachable { .. }
            | Self::Silent { .. }
            | Self::Untrusted { .. }
            | Self::RequestId(_) => say::err(&format!("{prefix}{self}\n")),
        }
    }

    fn report_cause(&self) {
        match self {
            Self::Refused { detail, .. } => detail.iter().for_each(|detail| say::error(detail)),
            Self::Unreachable { cause } | Self::Silent { cause } | Self::Untrusted { cause } => {
                say::error(cause);
            }
            Self::RequestId(_) => {}
            Self::NoSite(source) => say::error(&chain(source)),
        }
    }

    /// The same, as `sbatch: error: TEXT`.
    pub(crate) fn report_plain(&self) {
        self.report_cause();
        say::error(&self.to_string());
    }

    /// The same, as `sbatch: error: WHAT: TEXT`.
    pub(crate) fn report_error(&self, what: &str) {
        self.report_cause();
        if matches!(self, Self::NoSite(_)) {
            say::fatal(&self.to_string());
        } else {
            say::error(&format!("{what}: {self}"));
        }
    }
}

/// An error with all that caused it.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(source) = next {
        let part = source.to_string();
        // A transparent error says the same as its source.
        if !text.ends_with(&part) {
            text = format!("{text}: {part}");
        }
        next = source.source();
    }
    text
}

impl From<CallError> for Trouble {
    fn from(error: CallError) -> Self {
        let cause = chain(&error);
        match error {
            CallError::Refused(status) => status.into(),
            CallError::Unanswered { last, .. } => match last {
                Failure::Silent { .. } => Self::Silent { cause },
                Failure::Unreachable { .. } | Failure::Unavailable { .. } => {
                    Self::Unreachable { cause }
                }
                Failure::Untrusted { .. } => Self::Untrusted { cause },
            },
            CallError::Untrusted { .. } | CallError::Expired | CallError::Tls(_) => {
                Self::Untrusted { cause }
            }
            CallError::NoControllers | CallError::Address(_) => Self::Unreachable { cause },
        }
    }
}

impl From<Status> for Trouble {
    fn from(status: Status) -> Self {
        let metadata = |key| status.metadata().get(key).and_then(|value| value.to_str().ok());
        let errno = metadata(ERRNO).and_then(|value| value.parse().ok());
        let detail = metadata(DETAIL).map(str::to_owned);
        let barred = status.code() == Code::PermissionDenied && errno.is_none();
        let message = if barred { "Access/permission denied" } else { status.message() };
        Self::Refused { message: message.to_owned(), errno, detail, code: status.code() }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use common::id::JobId;

    use super::*;

    fn text(error: CallError) -> String {
        Trouble::from(error).to_string()
    }

    #[test]
    fn failures_have_slurm_s_texts() {
        let waited = Duration::from_secs(10);
        let controller = "ctl1".to_owned();
        let reason = "x".to_owned();
        let silent = Failure::Silent { controller: controller.clone(), after: waited };
        let unanswered = |last| text(CallError::Unanswered { waited, last });
        assert_eq!(unanswered(silent), "Socket timed out on send/recv operation");
        let unreachable = Failure::Unreachable { controller, reason };
        let contact = "Unable to contact slurm controller (connect failure)";
        assert_eq!(unanswered(unreachable.clone()), contact);
        assert_eq!(text(CallError::NoControllers), contact);
        assert_eq!(text(CallError::Expired), "Protocol authentication error");
        let trouble = Trouble::from(CallError::Unanswered { waited, last: unreachable });
        let Trouble::Unreachable { cause } = trouble else { panic!("{trouble:?}") };
        assert!(cause.contains("ctl1 can't be reached: x"), "{cause}");
    }

    #[test]
    fn refusals_are_told_apart_by_their_numbers() {
        let mut status = Status::failed_precondition("Invalid job id specified");
        status.metadata_mut().insert(ERRNO, "2017".parse().expect("metadata"));
        status.metadata_mut().insert(DETAIL, "more".parse().expect("metadata"));
        let trouble = Trouble::from(status);
        assert!(trouble.is(&Refusal::NoSuchJob(JobId(7))));
        assert!(!trouble.is(&Refusal::Denied) && !trouble.is(&Refusal::Token));
        assert_eq!(trouble.to_string(), "Invalid job id specified");
        let Trouble::Refused { detail, .. } = &trouble else { panic!("{trouble:?}") };
        assert_eq!(detail.as_deref(), Some("more"));
        let barred = Trouble::from(Status::permission_denied("the table says no"));
        assert_eq!(barred.to_string(), "Access/permission denied");
        assert!(!barred.is(&Refusal::Token), "neither has a number");
    }
}
