//! Waiting for something to become true, with a bound, where people can see it; and for Ctrl-C.

use std::{
    fmt::Display,
    io::IsTerminal as _,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail};
use indicatif::{ProgressBar, ProgressStyle};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

/// Between two looks: the first, and the longest.
const PAUSE: (Duration, Duration) = (Duration::from_millis(5), Duration::from_millis(100));

/// How long a wait stays silent where there is no terminal.
const SILENT: Duration = Duration::from_secs(10);

/// Whether somebody wants us to stop. From here on a signal only says so: who waits asks for it,
/// and stops what it has started.
#[derive(Clone)]
pub(crate) struct Interrupt(Arc<AtomicBool>);

impl Interrupt {
    pub(crate) fn listen() -> Result<Self> {
        let flag = Arc::new(AtomicBool::new(false));
        for signal in [SIGINT, SIGTERM, SIGHUP] {
            signal_hook::flag::register(signal, Arc::clone(&flag))
                .context("signals can't be listened to")?;
        }
        Ok(Self(flag))
    }

    pub(crate) fn came(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    /// # Errors
    /// Where it came.
    pub(crate) fn check(&self) -> Result<()> {
        if self.came() {
            bail!("interrupted");
        }
        Ok(())
    }

    /// Looks with `found` until it finds something, `bound` has passed, or a signal came.
    ///
    /// # Errors
    /// Where nothing was found, or `found` says that nothing ever will be.
    pub(crate) fn until<T>(
        &self,
        what: impl Display,
        bound: Duration,
        mut found: impl FnMut() -> Result<Option<T>>,
    ) -> Result<T> {
        let shown = Waiting::show(&what);
        let started = Instant::now();
        let mut pause = PAUSE.0;
        let mut silent = !std::io::stderr().is_terminal();
        loop {
            self.check()?;
            if let Some(found) = found()? {
                return Ok(found);
            }
            if started.elapsed() >= bound {
                drop(shown);
                bail!("{what}: in vain, for {} s", bound.as_secs());
            }
            if silent && started.elapsed() >= SILENT {
                silent = false;
                eprintln!("still {what}");
            }
            thread::sleep(pause);
            pause = (pause * 2).min(PAUSE.1);
        }
    }
}

/// A line that turns on a terminal while something is waited for, and nothing elsewhere.
struct Waiting(Option<ProgressBar>);

impl Waiting {
    fn show(what: &impl Display) -> Self {
        let bar = std::io::stderr().is_terminal().then(|| {
            let form = "{spinner} {msg} {elapsed}";
            let style = ProgressStyle::with_template(form).expect("the template is well formed");
            let bar = ProgressBar::new_spinner().with_style(style).with_message(what.to_string());
            bar.enable_steady_tick(Duration::from_millis(100));
            bar
        });
        Self(bar)
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        if let Some(bar) = &self.0 {
            bar.finish_and_clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use anyhow::anyhow;

    use super::*;

    fn quiet() -> Interrupt {
        Interrupt(Arc::new(AtomicBool::new(false)))
    }

    #[test]
    fn a_wait_ends_when_it_finds_fails_or_is_interrupted() {
        let mut looks = 0;
        let found = quiet().until("three looks", Duration::from_secs(60), || {
            looks += 1;
            Ok((looks == 3).then_some("here"))
        });
        assert_eq!(found.expect("found"), "here");

        let hopeless = quiet().until("a wonder", Duration::from_secs(60), || {
            Err::<Option<()>, _>(anyhow!("there are none"))
        });
        assert_eq!(hopeless.expect_err("none").to_string(), "there are none");

        let late = quiet().until("nothing", Duration::ZERO, || Ok(None::<()>));
        assert_eq!(late.expect_err("late").to_string(), "nothing: in vain, for 0 s");

        let interrupt = quiet();
        interrupt.0.store(true, Ordering::Relaxed);
        let interrupted = interrupt.until("nothing", Duration::MAX, || Ok(None::<()>));
        assert_eq!(interrupted.expect_err("a signal").to_string(), "interrupted");
    }
}
