//! Sums over records, of which the state's digest is made.

use crate::{
    cpus::CpuSet,
    gres::Gres,
    job::{ArrayPart, Fate, Job, Phase, Preempted},
    node::Node,
    time::TimeLimit,
};

/// FNV-1a over 64-bit words: fixed for ever, unlike the standard library's hasher.
pub(super) struct Fingerprint(pub(super) u64);

impl Fingerprint {
    pub(super) fn new(kind: u64) -> Self {
        Self(0xCBF2_9CE4_8422_2325).with(kind)
    }

    pub(super) fn with(self, word: u64) -> Self {
        let mixed = (self.0 ^ word).wrapping_mul(0x0000_0100_0000_01B3);
        Self(mixed ^ (mixed >> 29))
    }

    pub(super) fn with_text(self, text: &str) -> Self {
        text.bytes().fold(self, |sum, byte| sum.with(u64::from(byte)))
    }
}

pub(super) fn fingerprint_job(job: &Job) -> u64 {
    let phase = match &job.phase {
        Phase::Pending => 0,
        Phase::Active(run) => 1 + run.stage as u64,
        Phase::Completing { end, .. } => 16 + end.state as u64,
        Phase::Ended { end, .. } => 32 + end.state as u64,
    };
    let sum = Fingerprint::new(1)
        .with(u64::from(job.id.0))
        .with(phase)
        .with(u64::from(job.attempt.0))
        .with(u64::from(job.priority))
        .with(job.hold as u64)
        .with(u64::from(job.signals_sent) << 32 | job.signals.len() as u64)
        .with(job.begin.map_or(0, |begin| begin.0));
    let run = job.run().iter().fold(sum, |sum, run| {
        run.places.iter().fold(sum.with(run.started.0).with(run.term.0), |sum, place| {
            let sum = sum.with_text(place.node.as_str()).with(u64::from(place.held.cpus));
            fingerprint_cpus(fingerprint_gres(sum, &place.gres), &place.cpus)
        })
    });
    let limit = job.run().and_then(|run| run.time_limit).and_then(TimeLimit::span);
    let run = limit.iter().fold(run, |sum, limit| sum.with(limit.0));
    let run = match &job.array {
        None => run,
        Some(ArrayPart::Waiting(tasks)) => run.with(u64::from(tasks.len())),
        Some(ArrayPart::Task { array, index }) => {
            run.with(u64::from(array.0) << 32 | u64::from(*index))
        }
    };
    let run = job.dependency.iter().flat_map(|all| &all.conditions).fold(run, |sum, condition| {
        match condition.fate {
            Fate::Open => sum.with(1),
            Fate::Due(at) => sum.with(2).with(at.0),
            Fate::Met => sum.with(3),
            Fate::Failed => sum.with(4),
        }
    });
    // Nothing where there is nothing: so a log of format 1 has the sums that it had.
    let run = job.run().and_then(|run| run.preempted).iter().fold(run, |sum, preempted| {
        let Preempted { at, by, until, requeue } = preempted;
        sum.with(at.0).with(u64::from(by.0)).with(until.0).with(u64::from(*requeue))
    });
    let run = if job.preemptor { run.with(0x5052) } else { run };
    job.end().iter().fold(run, |sum, end| sum.with(end.at.0).with(u64::from(end.exit.code))).0
}

/// Nothing where there is nothing: so a log of format 1 has the sums that it had.
fn fingerprint_gres(sum: Fingerprint, all: &[Gres]) -> Fingerprint {
    all.iter().fold(sum, |sum, gres| {
        let sum = sum.with_text(&gres.name).with(gres.count);
        gres.ids.iter().fold(sum, |sum, id| sum.with(u64::from(*id)))
    })
}

/// The same of CPUs.
fn fingerprint_cpus(sum: Fingerprint, cpus: &CpuSet) -> Fingerprint {
    let words = (0..).zip(cpus.words()).filter(|(_, word)| *word != 0);
    words.fold(sum, |sum, (at, word)| sum.with(at).with(word))
}

pub(super) fn fingerprint_node(node: &Node) -> u64 {
    let sum = Fingerprint::new(2)
        .with_text(node.name.as_str())
        .with(node.availability as u64)
        .with(u64::from(node.drain))
        .with(u64::from(node.used.cpus))
        .with(node.used.memory_mib)
        .with(u64::from(node.jobs));
    fingerprint_cpus(fingerprint_gres(sum, &node.gres_used), &node.cpus_used).0
}
