//! What goes on, for who looks on: a line that is rewritten on a terminal, a line now and then
//! elsewhere.

use std::{
    io::{IsTerminal as _, Write as _, stderr},
    sync::{
        Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use super::{notes::Tally, world::World};

const EVERY_TERMINAL: Duration = Duration::from_millis(250);
const EVERY_LINE: Duration = Duration::from_secs(15);

#[derive(Debug)]
pub(super) struct Progress {
    began: Instant,
    terminal: bool,
    /// What is done at present, and for how long yet.
    phase: Mutex<(String, Option<Instant>)>,
    over: AtomicBool,
}

impl Progress {
    pub(super) fn new() -> Self {
        Self {
            began: Instant::now(),
            terminal: stderr().is_terminal(),
            phase: Mutex::new((String::new(), None)),
            over: AtomicBool::new(false),
        }
    }

    pub(super) fn phase(&self, what: &str, lasts: Option<Duration>) {
        let until = lasts.map(|lasts| Instant::now() + lasts);
        *self.phase.lock().expect("no holder panics") = (what.to_owned(), until);
        self.say(&format!("{}  {what}", clock(self.began.elapsed())));
    }

    /// A line that stays.
    pub(super) fn say(&self, line: &str) {
        let clear = if self.terminal { "\r\x1b[K" } else { "" };
        eprintln!("{clear}{line}");
    }

    pub(super) fn end(&self) {
        self.over.store(true, Ordering::Relaxed);
    }

    /// Shows how things are, until the end.
    pub(super) fn show(&self, world: &World) {
        let mut last = Instant::now();
        while !self.over.load(Ordering::Relaxed) && world.check().is_ok() {
            let every = if self.terminal { EVERY_TERMINAL } else { EVERY_LINE };
            if last.elapsed() >= every {
                last = Instant::now();
                self.line(world);
            }
            world.pass(Duration::from_millis(50));
        }
        if self.terminal {
            eprint!("\r\x1b[K");
        }
    }

    fn line(&self, world: &World) {
        let (phase, until) = self.phase.lock().expect("no holder panics").clone();
        let left = until.map(|until| until.saturating_duration_since(Instant::now()));
        let left = left.map_or(String::new(), |left| format!(", {} left", clock(left)));
        let Tally { answered, refused, unknown, .. } = world.notes.tally();
        let leader = world.monitor.leader().unwrap_or_else(|| "nobody".to_owned());
        let text = format!(
            "{}  {phase}{left}: {leader} leads, {} faults, {answered} answers, {refused} \
             refusals, {unknown} unknown",
            clock(self.began.elapsed()),
            world.notes.faults(),
        );
        if self.terminal {
            eprint!("\r\x1b[K\x1b[2m{text}\x1b[0m");
            // Where it can't be shown, nobody looks on.
            let _ = stderr().flush();
        } else {
            eprintln!("{text}");
        }
    }
}

fn clock(time: Duration) -> String {
    format!("{}:{:02}", time.as_secs() / 60, time.as_secs() % 60)
}
