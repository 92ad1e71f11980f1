//! What the pages of `docs/operations/` say, typed against real processes.

mod accounts;
mod backup;
mod certificates;
mod controllers;
mod disaster;
mod retention;
mod runbook;
mod upgrade;

fn words(line: &[String]) -> Vec<&str> {
    line.iter().map(String::as_str).collect()
}
