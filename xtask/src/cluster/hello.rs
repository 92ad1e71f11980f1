//! The first job: submitted, followed to its end, and shown.

use std::{fs, time::Duration};

use anyhow::{Context as _, Result, bail};

use super::Cluster;
use crate::workspace::{output, root, run};

/// The job's own time limit, and some more.
const BOUND: Duration = Duration::from_secs(120);

/// The states that a job does not leave.
const ENDS: &[&str] =
    &["COMPLETED", "FAILED", "CANCELLED", "TIMEOUT", "NODE_FAIL", "OUT_OF_MEMORY"];

/// Runs `deploy/examples/hello.sbatch` and shows what became of it.
///
/// # Errors
/// Where it does not end well.
pub(super) fn hello(cluster: &Cluster) -> Result<()> {
    let script = root().join("deploy/examples/hello.sbatch");
    let mut submit = cluster.folder.command("sbatch");
    submit.arg("--parsable").arg(&script).current_dir(cluster.folder.path("jobs"));
    let said = output(&mut submit)?;
    // With a cluster's name after a semicolon where there are several.
    let job = said.trim().split(';').next().unwrap_or_default();
    eprintln!("submitted deploy/examples/hello.sbatch as job {job}");

    let mut last = String::new();
    let state = cluster.interrupt().until(format_args!("following job {job}"), BOUND, || {
        let shown = cluster.ask("scontrol", &["--oneliner", "show", "job", job])?;
        let state = field(&shown, "JobState").context("scontrol shows no JobState")?.to_owned();
        if state != last {
            eprintln!("job {job}: {state}");
            last.clone_from(&state);
        }
        Ok(ENDS.contains(&state.as_str()).then_some(state))
    })?;
    let shown = cluster.ask("scontrol", &["--oneliner", "show", "job", job])?;
    if state != "COMPLETED" {
        bail!("job {job} ended as {state}:\n{}", shown.trim_end());
    }
    let file = field(&shown, "StdOut").context("scontrol shows no StdOut")?;
    let said = fs::read_to_string(file).with_context(|| file.to_owned())?;
    if said.is_empty() {
        bail!("job {job} has written nothing into {file}");
    }
    println!("\n{file}:\n{}\n", indented(&said));
    println!("rafter status:");
    run(cluster.folder.command("rafter").arg("status"))
}

/// The value of `key` in a line of `KEY=VALUE`.
fn field<'l>(line: &'l str, key: &str) -> Option<&'l str> {
    line.split_whitespace().find_map(|word| word.strip_prefix(key)?.strip_prefix('='))
}

fn indented(text: &str) -> String {
    text.trim_end().lines().map(|line| format!("  {line}")).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_found_by_their_whole_name() {
        let line = "JobId=1 LastJobState=x JobState=COMPLETED StdOut=/a/b.out\n";
        assert_eq!(field(line, "JobState"), Some("COMPLETED"));
        assert_eq!(field(line, "StdOut"), Some("/a/b.out"));
        assert_eq!(field(line, "StdErr"), None);
    }
}
