//! What a snapshot costs the appends beside it: one controller's real log on a real disk.

use std::{
    collections::BTreeSet,
    ffi::OsString,
    path::Path,
    sync::Arc,
    time::{Duration, Instant, SystemTime},
};

use anyhow::{Context as _, Result, ensure};
use common::{
    id::{ClusterId, Term},
    machine::Entry,
};
use proto::convert::encode_batch;
use raft_store::{Identity, Log, Options};
use trust::{
    authority::{Authority, Validity},
    identity::{Identity as Certified, Subject},
    tls::Keyring,
};

use crate::leader::Leader;

/// Entries in one batch while the state is filled.
const BATCH: usize = 1_000;
/// Appends before the first snapshot begins, and after the last one has ended.
const BEFORE: u64 = 3_000;
const AFTER: usize = 100;
/// The second one replaces the first, which then leaves the disk.
const SNAPSHOTS: usize = 2;
/// More than they take of any state.
const BOUND: Duration = Duration::from_secs(600);

/// How long single appends took, before any snapshot, and while they came and went.
pub(crate) struct Stall {
    pub(crate) before: Times,
    pub(crate) during: Times,
}

#[derive(Default)]
pub(crate) struct Times(Vec<Duration>);

impl Times {
    pub(crate) fn json(&self) -> serde_json::Value {
        let mut sorted = self.0.clone();
        sorted.sort_unstable();
        let at = |hundredths: usize| {
            let place = (sorted.len() * hundredths).div_ceil(100).clamp(1, sorted.len());
            sorted[place - 1].as_secs_f64()
        };
        serde_json::json!({
            "appends": sorted.len(), "p50_s": at(50), "p99_s": at(99), "max_s": at(100),
        })
    }
}

/// Fills a log with `jobs` jobs, and appends on and on until a snapshot was taken and replaced.
pub(crate) fn measure(jobs: u32, folder: &Path) -> Result<Stall> {
    let scratch = tempfile::tempdir_in(folder)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let entries = 5 * jobs as usize;
        let snapshot_every = entries.div_ceil(BATCH) as u64 + BEFORE;
        let log = open(&scratch.path().join("store"), snapshot_every).await?;
        let stall = run(&log, jobs, &scratch.path().join("store/snapshots")).await;
        log.shutdown().await;
        stall
    })
}

async fn open(folder: &Path, snapshot_every: u64) -> Result<Log> {
    let authority = Authority::generate(SystemTime::now())?;
    let subject = Subject::Controller { name: "ctl1".to_owned() };
    let certified = Certified::checked(authority.cluster(), subject)?;
    let validity = Validity::from_now(SystemTime::now(), Duration::from_secs(24 * 3600));
    let keyring = Arc::new(Keyring::new(authority.issue(&certified, validity, &[])?)?);
    let identity = Identity {
        cluster: ClusterId(authority.cluster().0),
        raft_id: 1,
        name: "ctl1".to_owned(),
        address: "127.0.0.1:1".to_owned(),
    };
    Log::create(folder, &identity)?;
    let options = Options {
        snapshot_every,
        snapshot_bytes: u64::MAX,
        ..Options::new(folder.to_owned(), identity)
    };
    let log = Log::open(options, keyring).await?;
    log.form().await?;
    Ok(log)
}

async fn run(log: &Log, jobs: u32, snapshots: &Path) -> Result<Stall> {
    let mut leadership = log.leadership();
    let term = leadership.wait_for(|known| known.ready).await.context("the log stopped")?.term;
    let mut leader = Leader::new(Term(term))?;
    for job in 0..jobs {
        leader.live(job)?;
        if leader.log.len() >= BATCH {
            append(log, &mut leader.log, term).await?;
        }
    }
    append(log, &mut leader.log, term).await?;

    let (mut before, mut during) = (Times::default(), Times::default());
    let (started, mut seen, mut after) = (Instant::now(), Folder::default(), 0);
    while after < AFTER {
        ensure!(started.elapsed() < BOUND, "no snapshot was taken and replaced");
        leader.submit(0)?;
        let asked = Instant::now();
        append(log, &mut leader.log, term).await?;
        let took = asked.elapsed();
        seen.look(snapshots);
        let kept = if seen.begun { &mut during } else { &mut before };
        kept.0.push(took);
        if seen.named.len() >= SNAPSHOTS && !seen.retiring {
            after += 1;
        }
    }
    ensure!(!before.0.is_empty(), "the snapshot was there before the appends");
    Ok(Stall { before, during })
}

async fn append(log: &Log, entries: &mut Vec<Entry>, term: u64) -> Result<()> {
    if !entries.is_empty() {
        log.append(encode_batch(&std::mem::take(entries)), term).await?;
    }
    Ok(())
}

/// What was seen in the folder of snapshots.
#[derive(Default)]
struct Folder {
    /// One is being written, or was.
    begun: bool,
    /// The names of those that were whole.
    named: BTreeSet<OsString>,
    /// One that was replaced is on its way out.
    retiring: bool,
}

impl Folder {
    fn look(&mut self, folder: &Path) {
        self.retiring = false;
        for entry in folder.read_dir().into_iter().flatten().flatten() {
            let name = entry.file_name();
            let text = name.to_string_lossy();
            self.begun = true;
            if text.starts_with("snap-") {
                self.named.insert(name);
            } else if text != "unfinished-own" {
                self.retiring = true;
            }
        }
    }
}
