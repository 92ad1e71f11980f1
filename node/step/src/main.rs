//! `rafterstepd FOLDER`: the supervisor of one job's batch script.
//!
//! ```text
//!   rafterd ──▶ rafterstepd (lock, socket) ──▶ exits 0
//!                    └─ fork, setsid ─▶ supervisor ─ fork, setsid ─▶ script ─▶ ...
//!                                        │  adopts, signals, kills, reaps all that descends
//!                                        └─ begun.json  started.json  ended.json
//! ```
//!
//! Single-threaded from beginning to end: between fork and exec all of Rust may be used, and no
//! lock is ever found taken.

mod detach;
mod job;
mod launch;
mod output;
mod server;
mod supervise;

use std::{
    env,
    io::{self, Write as _},
    path::PathBuf,
    process::ExitCode,
    time::{SystemTime, UNIX_EPOCH},
};

const USAGE: &str = "Usage: rafterstepd FOLDER

Runs the job whose manifest is in FOLDER, the spool's jobs/JOB.ATTEMPT, and supervises it until
nothing of it is left. Started by rafterd; returns as soon as the supervisor lives on its own.
";

fn main() -> ExitCode {
    let mut arguments = env::args_os().skip(1);
    let (Some(argument), None) = (arguments.next(), arguments.next()) else {
        eprint!("{USAGE}");
        return ExitCode::from(2);
    };
    match argument.to_str() {
        Some("-h" | "--help") => print!("{USAGE}"),
        Some("-V" | "--version") => println!("rafterstepd {}", env!("CARGO_PKG_VERSION")),
        _ => {
            if let Err(error) = detach::begin(&PathBuf::from(argument)) {
                eprintln!("rafterstepd: error: {}", chain(&error));
                return ExitCode::FAILURE;
            }
        }
    }
    ExitCode::SUCCESS
}

/// An error and its causes, in one line.
fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

/// Leaves a line in the supervisor's log. Its disk may be full, which must not end anything.
fn note(text: &str) {
    let _ = writeln!(io::stderr(), "{text}");
}

/// Milliseconds since the epoch.
fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
