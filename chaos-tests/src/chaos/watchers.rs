//! Those who follow the events while the run goes on, and write down what they are told.

use std::{
    fs::File,
    io::{BufRead as _, BufReader},
    process::{Child, Stdio},
    sync::Mutex,
    thread::Scope,
};

use anyhow::{Context as _, Result};
use serde::Deserialize;

use super::{hosts::Role, world::World};
use crate::record::{Lines, Watched, now};

/// A line of `rafter events --json`.
#[derive(Deserialize)]
struct Event {
    index: u64,
    term: u64,
    at_ms: u64,
    kind: String,
    job: Option<u32>,
    node: Option<String>,
}

/// Ended when they are dropped.
#[derive(Default)]
pub(super) struct Watchers {
    children: Vec<Child>,
    seen: Vec<std::sync::Arc<Mutex<u64>>>,
}

impl Watchers {
    /// One on a client's host, and one on the driver's.
    ///
    /// # Errors
    /// Where the command can't be started.
    pub(super) fn start<'s>(scope: &'s Scope<'s, '_>, world: &'s World) -> Result<Self> {
        let mut watchers = Self::default();
        let mut hosts = world.hosts.names(Role::Client);
        hosts.truncate(1);
        hosts.push(super::hosts::WATCH.to_owned());
        for (number, host) in hosts.iter().enumerate() {
            let mut follow = world.daemons.command(host, "rafter");
            follow.args(["events", "--follow", "--json"]);
            let said = world.notes.path(&format!("w{}.err", number + 1));
            let mut child = follow
                .stdout(Stdio::piped())
                .stderr(File::create(said)?)
                .spawn()
                .context("rafter events --follow")?;
            let output = child.stdout.take().context("its output is a pipe")?;
            let mut lines = Lines::create(world.notes.folder().watch(&format!("w{}", number + 1)))?;
            let seen = std::sync::Arc::new(Mutex::new(0));
            watchers.children.push(child);
            watchers.seen.push(std::sync::Arc::clone(&seen));
            scope.spawn(move || {
                for line in BufReader::new(output).lines().map_while(Result::ok) {
                    let read = serde_json::from_str::<Event>(&line);
                    let written = read.map_err(anyhow::Error::from).and_then(|event| {
                        let Event { index, term, at_ms, kind, job, node } = event;
                        *seen.lock().expect("no holder panics") = index;
                        let seen = now();
                        Ok(lines.add(&Watched { seen, index, term, at_ms, kind, job, node })?)
                    });
                    if let Err(error) = written {
                        world.notes.marvel(format!("a watcher was told `{line}`: {error:#}"));
                    }
                }
            });
        }
        Ok(watchers)
    }

    /// The last entry that each has seen.
    pub(super) fn seen(&self) -> Vec<u64> {
        self.seen.iter().map(|seen| *seen.lock().expect("no holder panics")).collect()
    }
}

impl Drop for Watchers {
    fn drop(&mut self) {
        for child in &mut self.children {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}
