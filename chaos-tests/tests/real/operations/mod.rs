//! What the pages of `docs/operations/` say, typed against real processes.

mod backup;
mod controllers;
mod disaster;
mod runbook;

fn words(line: &[String]) -> Vec<&str> {
    line.iter().map(String::as_str).collect()
}
