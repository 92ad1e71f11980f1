//! The load, and what is measured meanwhile.

#![expect(clippy::cast_precision_loss, reason = "figures to look at")]

use std::{
    fs::File,
    io::{BufWriter, Write as _},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail};
use tokio::{
    sync::Semaphore,
    time::{MissedTickBehavior, interval},
};

use super::{
    Options,
    ends::{Follower, Tally},
    sample::{Premises, Sample},
};
use crate::load::{Last, Load, Seen, plain_job};

/// How long nothing may move. Counted in samples: a machine that stood still is forgiven.
const STALL_S: f64 = 180.0;

/// How long a submission may take. None is given up as long as anything moves.
const PATIENCE: Duration = Duration::from_secs(3_600);

/// Between two lines that say how far it is.
const LINE_EVERY: Duration = Duration::from_secs(20);

/// What came of it.
pub(super) struct Driven {
    pub(super) samples: Vec<Sample>,
    pub(super) seen: Seen,
    /// From the first submission to the last end.
    pub(super) took: Duration,
}

/// Submits all jobs, waits for their ends, and samples.
pub(super) async fn drive(options: &Options, premises: &Premises) -> Result<Driven> {
    let tally = Arc::new(Tally::default());
    let room = Arc::new(Semaphore::new(options.window));
    let follower = Follower::start(premises, &tally, &room)?;
    let acknowledged = Arc::new(AtomicU64::new(0));
    let load = Load {
        connections: options.connections,
        spec: plain_job("rafter-soak")?,
        script: "#!/bin/sh\ntrue\n".to_owned(),
        // What is kept of scripts must go with the jobs.
        distinct: true,
        last: Last::Jobs(options.jobs),
        patience: PATIENCE,
        room: Some(room),
        rate: options.rate,
        acknowledged: Arc::clone(&acknowledged),
    };
    let mut sampler = Sampler::new(options, acknowledged, tally)?;
    let load = tokio::spawn(load.run());
    let mut ticks = interval(Duration::from_secs_f64(options.every));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let submitted = load.is_finished();
        let ended = sampler.sample(premises)?;
        if submitted && ended {
            break;
        }
        if follower.is_over() {
            bail!("`rafter events --follow` has ended");
        }
        sampler.must_move()?;
    }
    let took = sampler.started.elapsed();
    let seen = load.await.context("the clients")??;
    sampler.lines.flush()?;
    Ok(Driven { samples: sampler.samples, seen, took })
}

struct Sampler {
    jobs: u64,
    every_s: f64,
    acknowledged: Arc<AtomicU64>,
    tally: Arc<Tally>,
    started: Instant,
    said: Instant,
    samples: Vec<Sample>,
    /// How many samples in a row were as the one before.
    still: u32,
    lines: BufWriter<File>,
}

impl Sampler {
    fn new(options: &Options, acknowledged: Arc<AtomicU64>, tally: Arc<Tally>) -> Result<Self> {
        let file = File::create(options.out.join("samples.jsonl"))?;
        Ok(Self {
            jobs: options.jobs,
            every_s: options.every,
            acknowledged,
            tally,
            started: Instant::now(),
            said: Instant::now(),
            samples: Vec::new(),
            still: 0,
            lines: BufWriter::new(file),
        })
    }

    /// Adds a sample, and says whether each acknowledged job has ended.
    fn sample(&mut self, premises: &Premises) -> Result<bool> {
        let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        // In this order: what is forgotten was submitted before.
        let (forgotten, ended) = (count(&self.tally.forgotten), count(&self.tally.ended));
        let (acknowledged, submitted) = (count(&self.acknowledged), count(&self.tally.submitted));
        let mut sample = Sample {
            at_s: self.started.elapsed().as_secs_f64(),
            acknowledged,
            ended,
            live: submitted.saturating_sub(forgotten),
            submissions_per_s: 0.0,
            ends_per_s: 0.0,
            controllers: premises.usage()?,
            fleet_rss_kib: premises.fleet_rss_kib()?,
        };
        let mut moves = true;
        if let Some(before) = self.samples.last() {
            let time = (sample.at_s - before.at_s).max(f64::MIN_POSITIVE);
            let rate = |now: u64, before: u64| now.saturating_sub(before) as f64 / time;
            sample.submissions_per_s = rate(acknowledged, before.acknowledged);
            sample.ends_per_s = rate(ended, before.ended);
            let moved = |of: fn(&Sample) -> u64| of(&sample) != of(before);
            moves = moved(|it| it.acknowledged) || moved(|it| it.ended) || moved(|it| it.live);
        }
        self.still = if moves { 0 } else { self.still + 1 };
        serde_json::to_writer(&mut self.lines, &sample)?;
        writeln!(self.lines)?;
        if self.said.elapsed() >= LINE_EVERY {
            self.said = Instant::now();
            self.lines.flush()?;
            let most = sample.controllers.values().map(|usage| usage.rss_kib / 1024).max();
            eprintln!(
                "{ended} of {} jobs have ended, {:.0} a second; {} are live; at most {} MiB",
                self.jobs,
                sample.ends_per_s,
                sample.live,
                most.unwrap_or(0)
            );
        }
        self.samples.push(sample);
        Ok(ended >= acknowledged)
    }

    /// # Errors
    /// Where nothing has moved for long.
    fn must_move(&self) -> Result<()> {
        if f64::from(self.still) * self.every_s < STALL_S {
            return Ok(());
        }
        let last = self.samples.last().context("a sample was just taken")?;
        bail!(
            "nothing moves: {} jobs are acknowledged, {} have ended",
            last.acknowledged,
            last.ended
        )
    }
}
