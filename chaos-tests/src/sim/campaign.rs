//! Many seeds, on as many threads as there are processors.

use std::{
    cell::RefCell,
    ops::Range,
    panic::{self, AssertUnwindSafe},
    sync::{
        Mutex, Once, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread,
};

use super::{Making, Options, Outcome, World};

/// A run in which an invariant did not hold.
#[derive(Clone, Debug)]
pub struct Failure {
    pub seed: u64,
    /// The invariant, in words, and where it is checked.
    pub what: String,
    /// What happened before.
    pub lines: Vec<String>,
}

/// What runs came to in all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    pub runs: u64,
    /// Simulated milliseconds.
    pub simulated_ms: u64,
    pub terms: u64,
    pub entries: u64,
    pub acknowledged: usize,
    pub launches: usize,
    pub reads: u64,
    /// Runs that were told to make way.
    pub preempted: usize,
    /// Controllers whose stores were damaged, and that were replaced.
    pub replaced: u64,
}

impl Totals {
    fn add(&mut self, other: &Self) {
        self.runs += other.runs;
        self.simulated_ms += other.simulated_ms;
        self.terms += other.terms;
        self.entries += other.entries;
        self.acknowledged += other.acknowledged;
        self.launches += other.launches;
        self.reads += other.reads;
        self.preempted += other.preempted;
        self.replaced += other.replaced;
    }
}

/// The cluster of a seed: every size has its turn.
#[must_use]
pub fn options(seed: u64) -> Options {
    let controllers = [1, 3, 3, 5][usize::try_from(seed % 4).expect("small")];
    let nodes = 1 + usize::try_from(seed % 5).expect("small");
    Options { controllers, nodes, making: Making::of(seed), ..Options::default() }
}

thread_local! {
    /// What the last panic of this thread said, where runs are told apart by it.
    static SAID: RefCell<Option<String>> = const { RefCell::new(None) };
    static RUNS: RefCell<bool> = const { RefCell::new(false) };
}

/// Takes a run's panics to where they are told, once, and leaves all others alone.
fn listen() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let before = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            if RUNS.with_borrow(|runs| *runs) {
                let at = info.location().map_or(String::new(), |at| format!(" ({at})"));
                let text = info.payload_as_str().unwrap_or("a panic without words");
                SAID.set(Some(format!("{text}{at}")));
            } else {
                before(info);
            }
        }));
    });
}

/// Runs a cluster from `seed` to its end.
///
/// # Errors
/// Where an invariant does not hold.
pub fn try_run(seed: u64, options: Options) -> Result<Outcome, Failure> {
    listen();
    let mut world = World::new(seed, options);
    RUNS.set(true);
    let ran = panic::catch_unwind(AssertUnwindSafe(|| world.run()));
    RUNS.set(false);
    match ran {
        Ok(()) => Ok(world.outcome()),
        Err(_) => {
            let what = SAID.take().unwrap_or_default();
            Err(Failure { seed, what, lines: world.trace.lines().to_vec() })
        }
    }
}

/// Runs all seeds, or until one fails: then the lowest that does is the failure.
///
/// # Errors
/// Where an invariant does not hold.
pub fn campaign(seeds: Range<u64>) -> Result<Totals, Box<Failure>> {
    let (next, stop) = (AtomicU64::new(seeds.start), AtomicBool::new(false));
    let totals = Mutex::new(Totals::default());
    let failed: Mutex<Option<Failure>> = Mutex::new(None);
    let threads = thread::available_parallelism().map_or(1, usize::from);
    thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                while !stop.load(Ordering::Relaxed) {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= seeds.end {
                        return;
                    }
                    match try_run(seed, options(seed)) {
                        Ok(outcome) => {
                            totals
                                .lock()
                                .unwrap_or_else(PoisonError::into_inner)
                                .add(&outcome.totals);
                        }
                        Err(failure) => {
                            stop.store(true, Ordering::Relaxed);
                            let mut failed = failed.lock().unwrap_or_else(PoisonError::into_inner);
                            if failed.as_ref().is_none_or(|known| known.seed > failure.seed) {
                                *failed = Some(failure);
                            }
                        }
                    }
                }
            });
        }
    });
    match failed.into_inner().unwrap_or_else(PoisonError::into_inner) {
        Some(failure) => Err(Box::new(failure)),
        None => Ok(totals.into_inner().unwrap_or_else(PoisonError::into_inner)),
    }
}
