//! What `scancel` says, and its exit code.

use common::machine::Refusal;

use super::target::{Filter, Target};
use crate::{say, trouble::Trouble};

/// What came of one job.
pub(super) enum Outcome {
    Done,
    /// There is no such thing.
    Unknown,
    Failed(Trouble),
}

pub(super) struct Report {
    verbosity: i16,
    exit: u8,
}

impl Report {
    pub(super) fn new(verbosity: i16) -> Self {
        Self { verbosity, exit: 0 }
    }

    pub(super) fn exit(&self) -> u8 {
        self.exit
    }

    /// A job that was named, but neither waits nor runs.
    pub(super) fn not_active(&mut self, target: &Target) {
        if self.verbosity >= 0 {
            say::error(&failed(target, "Invalid job id specified"));
        }
        self.exit = 1;
    }

    pub(super) fn none_active(&self, filter: &Filter) {
        if self.verbosity > 0 {
            say::error(&format!("No active jobs match ALL job filters, including: {filter}"));
        }
    }

    pub(super) fn tell(&mut self, target: &Target, signal: Option<u8>, outcome: Outcome) {
        if self.verbosity > 0 {
            match signal {
                None => say::info(&format!("Terminating job {target}")),
                Some(signal) => say::info(&format!("Signal {signal} to job {target}")),
            }
        }
        match outcome {
            Outcome::Done => {}
            Outcome::Unknown if self.verbosity > 0 => {
                say::error(&failed(target, "Invalid job id specified"));
            }
            Outcome::Unknown => {}
            Outcome::Failed(trouble) => self.fail(target, signal, &trouble),
        }
    }

    fn fail(&mut self, target: &Target, signal: Option<u8>, trouble: &Trouble) {
        let id = common::id::JobId(target.job().unwrap_or_default());
        let gone = trouble.is(&Refusal::NoSuchJob(id)) || trouble.is(&Refusal::AlreadyDone(id));
        // Nobody minds that a job to be ended is over already.
        if gone && signal.is_none() {
            if self.verbosity > 0 {
                say::error(&failed(target, &trouble.to_string()));
            }
            return;
        }
        trouble.report_error(&format!("Kill job error on job id {target}"));
        // Slurm ends with its own number, of which the shell sees the low byte: 2002 becomes 210.
        let low = |errno: u32| u8::try_from(errno & 0xff).expect("the low byte");
        self.exit = trouble.errno().map_or(1, low).max(self.exit);
    }
}

fn failed(target: &Target, why: &str) -> String {
    format!("Kill job error on job id {target}: {why}")
}

#[cfg(test)]
mod tests {
    use tonic::Code;

    use super::*;

    #[test]
    fn the_exit_code_is_slurms() {
        let failed = |errno| {
            let (message, code) = ("no".to_owned(), Code::FailedPrecondition);
            Outcome::Failed(Trouble::Refused { message, errno, detail: None, code })
        };
        let cases = [
            (None, Outcome::Done, 0),
            (None, Outcome::Unknown, 0),
            (None, failed(Some(2017)), 0),
            (None, failed(Some(2021)), 0),
            (None, failed(Some(2002)), 210),
            (None, failed(None), 1),
            (Some(10), failed(Some(2021)), 229),
        ];
        for (at, (signal, outcome, exit)) in cases.into_iter().enumerate() {
            let mut report = Report::new(0);
            report.tell(&Target::Job(7), signal, outcome);
            assert_eq!(report.exit(), exit, "case {at}");
        }
    }
}
