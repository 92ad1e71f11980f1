//! How far a long piece of work has come: a bar on a terminal, a line now and then elsewhere.

use std::{
    io::IsTerminal as _,
    sync::Mutex,
    time::{Duration, Instant},
};

use indicatif::{ProgressBar, ProgressStyle};

/// Between two lines where there is no terminal. Machines that run tests stop a job which is
/// silent for long.
const LINE_EVERY: Duration = Duration::from_secs(30);

/// A count that goes up to a total. The total may grow.
pub(crate) struct Progress {
    what: &'static str,
    bar: Option<ProgressBar>,
    plain: Mutex<Plain>,
}

struct Plain {
    done: u64,
    total: u64,
    said: Instant,
}

impl Progress {
    pub(crate) fn new(what: &'static str, total: u64) -> Self {
        let bar = std::io::stderr().is_terminal().then(|| {
            let form = "{msg} [{bar:32}] {pos}/{len} {elapsed} (about {eta} left)";
            let style = ProgressStyle::with_template(form).expect("the template is well formed");
            let bar = ProgressBar::new(total).with_style(style).with_message(what);
            bar.enable_steady_tick(Duration::from_millis(500));
            bar
        });
        if bar.is_none() {
            eprintln!("{what}: {total} parts");
        }
        Self { what, bar, plain: Mutex::new(Plain { done: 0, total, said: Instant::now() }) }
    }

    pub(crate) fn grow(&self, parts: u64) {
        self.plain.lock().expect("no holder panics").total += parts;
        if let Some(bar) = &self.bar {
            bar.inc_length(parts);
        }
    }

    pub(crate) fn advance(&self) {
        let mut plain = self.plain.lock().expect("no holder panics");
        plain.done += 1;
        match &self.bar {
            Some(bar) => bar.inc(1),
            None if plain.said.elapsed() >= LINE_EVERY => {
                plain.said = Instant::now();
                eprintln!("{}: {} of {}", self.what, plain.done, plain.total);
            }
            None => {}
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}
