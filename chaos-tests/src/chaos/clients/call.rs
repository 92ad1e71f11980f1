//! One command: what is typed, and what its answer says.

use anyhow::Result;
use fastrand::Rng;

use super::{Client, World};
use crate::record::{Call, Operation, Outcome, Seen, now};

/// What a command says that got no answer. Nothing is known then of what it asked for.
const UNANSWERED: &[&str] = &[
    "Unable to contact slurm controller (connect failure)",
    "Socket timed out on send/recv operation",
    "Protocol authentication error",
];

/// What a job does.
#[derive(Clone, Copy, Debug)]
pub(in super::super) struct Script {
    pub(in super::super) seconds: f64,
    /// Whether it passes over SIGTERM.
    pub(in super::super) stubborn: bool,
}

/// Calls a command, and writes down what came of it.
///
/// # Errors
/// Where the record can't be written, or the command can't be started.
pub(in super::super) fn perform(
    world: &World,
    client: &Client,
    rng: &mut Rng,
    call: Call,
    script: Option<Script>,
) -> Result<Outcome> {
    let (program, words) = typed(world, &call, script);
    let request = changes(&call).then(|| format!("{:032x}", rng.u128(..)));
    let mut command = world.daemons.command(&client.host, program);
    command.args(&words);
    if let Some(request) = &request {
        command.env("RAFTER_REQUEST_ID", request);
    }
    let start = now();
    let output = command.output()?;
    let end = now();
    let said = String::from_utf8_lossy(&output.stderr);
    let printed = String::from_utf8_lossy(&output.stdout);
    let outcome = match output.status.code() {
        // `scancel` of a job that is over succeeds, and only says so.
        Some(0) if said.contains("Kill job error") => failed(&said),
        Some(0) => read(&call, &printed).unwrap_or_else(|| Outcome::Unknown {
            words: format!("it printed `{}`", printed.trim_end()),
        }),
        Some(_) => failed(&said),
        None => Outcome::Unknown { words: format!("ended by {}", output.status) },
    };
    let operation = Operation {
        client: client.name.clone(),
        request,
        user: 0,
        call,
        start,
        end,
        outcome: outcome.clone(),
    };
    world.notes.operation(&operation)?;
    Ok(outcome)
}

fn changes(call: &Call) -> bool {
    match call {
        Call::Query { .. } | Call::List => false,
        Call::Submit { .. }
        | Call::Cancel { .. }
        | Call::Hold { .. }
        | Call::Release { .. }
        | Call::Requeue { .. }
        | Call::Update { .. } => true,
    }
}

/// The program, and its words.
fn typed(world: &World, call: &Call, script: Option<Script>) -> (&'static str, Vec<String>) {
    let owned = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
    let (program, words): (_, Vec<String>) = match call {
        Call::Submit { name, cpus, hold } => {
            let script = script.unwrap_or(Script { seconds: 0.1, stubborn: false });
            let witness = world.daemons.root().join("bin/rafter-witness");
            let folder = world.disks.root().join("mnt");
            let mut wrap = format!("exec {} --disks {}", witness.display(), folder.display());
            wrap.push_str(&format!(" --seconds {:.2}", script.seconds));
            if script.stubborn {
                wrap.push_str(" --stubborn");
            }
            let mut words: Vec<String> =
                owned(&["--parsable", "-o", "/dev/null", "-J", name, "-n", "1"]);
            words.extend(["-c".to_owned(), cpus.to_string(), format!("--wrap={wrap}")]);
            words.extend(hold.then(|| "--hold".to_owned()));
            ("sbatch", words)
        }
        Call::Cancel { job } => ("scancel", owned(&["-v", &job.to_string()])),
        Call::Hold { job } => ("scontrol", owned(&["hold", &job.to_string()])),
        Call::Release { job } => ("scontrol", owned(&["release", &job.to_string()])),
        Call::Requeue { job } => ("scontrol", owned(&["requeue", &job.to_string()])),
        Call::Update { job, comment } => {
            let (job, comment) = (format!("jobid={job}"), format!("comment={comment}"));
            ("scontrol", owned(&["update", &job, &comment]))
        }
        Call::Query { job } => ("scontrol", owned(&["-o", "show", "job", &job.to_string()])),
        Call::List => ("squeue", owned(&["-h", "-o", "%i %T"])),
    };
    (program, words)
}

/// What a command that succeeded printed. None where it is not understood.
fn read(call: &Call, printed: &str) -> Option<Outcome> {
    match call {
        Call::Submit { .. } => {
            let job = printed.trim().split(';').next()?.parse().ok()?;
            Some(Outcome::Submitted { job })
        }
        Call::Query { .. } => {
            let of = |key: &str| {
                let mut words = printed.split_whitespace();
                words.find_map(|word| word.strip_prefix(key)).map(str::to_owned)
            };
            let number = |key: &str| of(key).and_then(|word| word.parse().ok());
            Some(Outcome::Seen(Seen {
                state: of("JobState=")?,
                restarts: number("Restarts="),
                // A job without one is shown without the key.
                comment: of("Comment="),
                priority: number("Priority="),
            }))
        }
        Call::List => {
            let job = |line: &str| {
                let (id, state) = line.trim().split_once(' ')?;
                Some((id.parse().ok()?, state.to_owned()))
            };
            let jobs: Option<Vec<_>> = printed.lines().map(job).collect();
            Some(Outcome::Listed { jobs: jobs? })
        }
        Call::Cancel { .. }
        | Call::Hold { .. }
        | Call::Release { .. }
        | Call::Requeue { .. }
        | Call::Update { .. } => Some(Outcome::Done),
    }
}

/// What came of a command that failed and said so.
fn failed(said: &str) -> Outcome {
    let last = said.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or_default();
    let words = last.rsplit_once(':').map_or(last, |(_, words)| words).trim();
    // `scontrol` says of which job, too.
    let numbered = |(_, number): &(&str, &str)| number.bytes().all(|byte| byte.is_ascii_digit());
    let words = words.rsplit_once(" for job ").filter(numbered).map_or(words, |(words, _)| words);
    let words = words.to_owned();
    let known = UNANSWERED.iter().any(|unanswered| said.contains(unanswered));
    if known || words.is_empty() {
        Outcome::Unknown { words: said.trim().replace('\n', "; ") }
    } else {
        Outcome::Refused { words }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_read() {
        let submit = Call::Submit { name: "x".into(), cpus: 1, hold: false };
        assert_eq!(read(&submit, "17\n"), Some(Outcome::Submitted { job: 17 }));
        assert_eq!(read(&submit, "\n"), None);
        let shown = "JobId=7 JobName=x Priority=1 JobState=PENDING Restarts=2 Comment=c1\n";
        let seen = Seen {
            state: "PENDING".into(),
            restarts: Some(2),
            comment: Some("c1".into()),
            priority: Some(1),
        };
        assert_eq!(read(&Call::Query { job: 7 }, shown), Some(Outcome::Seen(seen)));
        let jobs = vec![(7, "RUNNING".to_owned()), (8, "PENDING".to_owned())];
        assert_eq!(read(&Call::List, "7 RUNNING\n8 PENDING\n"), Some(Outcome::Listed { jobs }));
    }

    #[test]
    fn who_was_refused_knows_and_who_was_not_answered_does_not() {
        let refused =
            failed("scancel: error: Kill job error on job id 7: Invalid job id specified");
        assert_eq!(refused, Outcome::Refused { words: "Invalid job id specified".into() });
        for said in
            ["slurm_suspend error:Job has already finished", "Job has already finished for job 7"]
        {
            let words = "Job has already finished".to_owned();
            assert_eq!(failed(said), Outcome::Refused { words });
        }
        for said in [
            "sbatch: error: ctl1: no answer\nsbatch: error: Batch job submission failed: \
             Unable to contact slurm controller (connect failure)\n",
            "slurm_suspend error: Socket timed out on send/recv operation\n",
            "",
        ] {
            assert!(matches!(failed(said), Outcome::Unknown { .. }), "{said}");
        }
    }
}
