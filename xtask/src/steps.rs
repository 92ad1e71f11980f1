//! A list of steps with their durations, and the summary that closes it.

use std::{
    fmt::Write as _,
    time::{Duration, Instant},
};

use anyhow::{Result, bail};

/// How a step ended.
pub(crate) enum Outcome {
    Passed,
    /// It could not be tried here, and why.
    Skipped(String),
}

/// Steps that are run one after the other. One that fails does not stop those after it: a person
/// who waited for a quarter of an hour wants to know all that is wrong.
#[derive(Default)]
pub(crate) struct Steps {
    ended: Vec<Step>,
}

struct Step {
    name: &'static str,
    took: Duration,
    outcome: Result<Outcome>,
}

impl Steps {
    pub(crate) fn run(&mut self, name: &'static str, work: impl FnOnce() -> Result<Outcome>) {
        eprintln!("\n=== {name}");
        let started = Instant::now();
        let outcome = work();
        match &outcome {
            Ok(Outcome::Passed) => {}
            Ok(Outcome::Skipped(why)) => eprintln!("skipped: {why}"),
            Err(error) => eprintln!("{name}: {error:#}"),
        }
        self.ended.push(Step { name, took: started.elapsed(), outcome });
    }

    /// Prints the summary.
    ///
    /// # Errors
    /// Where a step failed.
    pub(crate) fn close(self) -> Result<()> {
        eprint!("\n{}", self.summary());
        let failed = self.ended.iter().filter(|step| step.outcome.is_err()).count();
        match failed {
            0 => Ok(()),
            1 => bail!("a step failed"),
            _ => bail!("{failed} steps failed"),
        }
    }

    fn summary(&self) -> String {
        let mut text = String::new();
        let total: Duration = self.ended.iter().map(|step| step.took).sum();
        for Step { name, took, outcome } in &self.ended {
            let word = match outcome {
                Ok(Outcome::Passed) => "passed".to_owned(),
                Ok(Outcome::Skipped(why)) => format!("skipped ({why})"),
                Err(error) => {
                    let error = error.to_string();
                    let first = error.lines().next().unwrap_or_default();
                    format!("FAILED: {first}")
                }
            };
            writeln!(text, "{name:<12} {:>7}  {word}", clock(*took)).expect("a String takes all");
        }
        writeln!(text, "{:<12} {:>7}", "total", clock(total)).expect("a String takes all");
        text
    }
}

/// A duration in minutes and seconds.
fn clock(time: Duration) -> String {
    let seconds = time.as_secs();
    format!("{}:{:02}", seconds / 60, seconds % 60)
}

#[cfg(test)]
mod tests {
    use anyhow::anyhow;

    use super::*;

    #[test]
    fn a_failure_is_counted_and_does_not_stop_the_rest() {
        let mut steps = Steps::default();
        let mut last_ran = false;
        steps.run("first", || Ok(Outcome::Passed));
        steps.run("second", || Err(anyhow!("broken\nin detail")));
        steps.run("third", || {
            last_ran = true;
            Ok(Outcome::Skipped("no tool".to_owned()))
        });
        assert!(last_ran);
        let expected = "first           0:00  passed\nsecond          0:00  FAILED: broken\n\
                        third           0:00  skipped (no tool)\ntotal           0:00\n";
        assert_eq!(steps.summary(), expected);
        assert_eq!(steps.close().expect_err("a step failed").to_string(), "a step failed");
    }

    #[test]
    fn a_duration_is_minutes_and_seconds() {
        assert_eq!(clock(Duration::from_secs(0)), "0:00");
        assert_eq!(clock(Duration::from_millis(671_900)), "11:11");
    }
}
