//! Three controllers in trouble, by a seed: `SEED=7` repeats it.

use std::{
    collections::BTreeSet,
    time::{Instant, SystemTime, UNIX_EPOCH},
};

use common::id::JobId;
use proto::convert::encode_batch;

use crate::{
    story::Head,
    world::{BOUND, World},
};

const STEPS: u32 = 30;

/// More jobs than that are acknowledged before all is looked at.
const LEAST: usize = 10;

/// A little random numbers (xorshift, Marsaglia 2003).
struct Dice(u64);

impl Dice {
    fn new() -> Self {
        let seed = std::env::var("SEED").ok().and_then(|seed| seed.parse().ok());
        let seed = seed.unwrap_or_else(|| {
            let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970");
            u64::from(now.subsec_nanos())
        });
        println!("SEED={seed}");
        Self(seed | 1)
    }

    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % end as u64).expect("it is below")
    }
}

struct Trouble {
    world: World,
    dice: Dice,
    acknowledged: BTreeSet<JobId>,
    scripts: u32,
}

impl Trouble {
    /// Batches in flight together, each with its own jobs; some are answered, and some perhaps
    /// not.
    fn append(&mut self) {
        let leader = self.world.leader();
        let mut head = self.world.lead(leader);
        let log = self.world.log(leader);
        let mut flights = Vec::new();
        for _ in 0..=self.dice.below(12) {
            let mut entries = Vec::new();
            let mut jobs = Vec::new();
            for _ in 0..=self.dice.below(3) {
                let (entry, job) = self.submit(&mut head);
                entries.push(entry);
                jobs.push(job);
            }
            if self.dice.below(3) == 0 {
                entries.extend(head.run(jobs[0]));
            }
            flights.push((log.append(encode_batch(&entries), head.state.term.0), jobs));
        }
        if self.dice.below(4) == 0 && self.running().len() == 3 {
            self.world.nodes[leader].kill();
        }
        for (append, jobs) in flights {
            let runs = self.running()[0];
            if self.world.run(runs, append).is_ok() {
                self.acknowledged.extend(jobs);
            }
        }
    }

    fn submit(&mut self, head: &mut Head) -> (common::machine::Entry, JobId) {
        self.scripts += 1;
        let many = self.dice.below(8) + 1;
        head.submit(&format!("#!/bin/sh\necho {}\n", self.scripts as usize / many))
    }

    fn running(&self) -> Vec<usize> {
        (0..3).filter(|node| self.world.nodes[*node].is_running()).collect()
    }

    fn step(&mut self) {
        let down: Vec<usize> = (0..3).filter(|node| !self.running().contains(node)).collect();
        match self.dice.below(8) {
            0..=3 => self.append(),
            4 if down.is_empty() => {
                let node = self.dice.below(3);
                self.world.nodes[node].kill();
            }
            5 if down.is_empty() => {
                let leader = self.world.leader();
                // It may fail: then somebody else leads all the same.
                let _ = self.world.run(leader, self.world.log(leader).hand_over());
            }
            6 => {
                let leader = self.world.leader();
                self.world.run(leader, async { self.world.log(leader).campaign() });
            }
            _ => {
                for node in down {
                    self.world.start(node);
                }
            }
        }
    }
}

#[test]
fn nothing_acknowledged_is_lost_whatever_dies() {
    let (world, _) = World::three(|options| {
        options.snapshot_every = 25;
        options.keep_behind_snapshot = 5;
    });
    let (dice, acknowledged) = (Dice::new(), BTreeSet::new());
    let mut trouble = Trouble { world, dice, acknowledged, scripts: 0 };
    let mut steps = 0;
    // Dice may have it that hardly anything gets through at first.
    while steps < STEPS || trouble.acknowledged.len() <= LEAST && steps < 20 * STEPS {
        trouble.step();
        steps += 1;
    }
    for node in 0..3 {
        if !trouble.world.nodes[node].is_running() {
            trouble.world.start(node);
        }
    }
    // The leadership may be on the move still.
    let deadline = Instant::now() + BOUND;
    let index = loop {
        let leader = trouble.world.leader();
        let mut head = trouble.world.lead(leader);
        let (entry, _) = head.submit("last");
        if let Ok(index) = trouble.world.append(leader, &head, &[entry]) {
            break index;
        }
        assert!(Instant::now() < deadline, "all are well again, and nothing gets through");
    };
    let first = trouble.world.applied(0, index);
    for job in &trouble.acknowledged {
        assert!(first.job(*job).is_some(), "job {job} was acknowledged");
    }
    assert!(trouble.acknowledged.len() > LEAST, "there was something to lose");
    first.check();
    let history =
        |node: usize| trouble.world.log(node).history().entries(0, usize::MAX).expect("a history");
    let told = history(0);
    for node in 1..3 {
        assert!(trouble.world.applied(node, index) == first, "controller {node} differs");
        assert!(history(node) == told, "the history of controller {node} differs");
        for hash in first.blobs.keys() {
            let content = trouble.world.log(node).blob(*hash).expect("read");
            assert!(content.is_some(), "controller {node} lacks blob {hash}");
        }
    }
}
