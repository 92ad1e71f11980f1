//! People at work: they submit, cancel, hold, release, change and look, by the ordinary commands.

mod call;

use std::{
    sync::{
        Mutex,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
    time::Duration,
};

use anyhow::Result;
use fastrand::Rng;

pub(super) use call::{Script, perform};

use super::{hosts::Role, world::World};
use crate::record::{Call, Outcome};

/// Of how many jobs, the youngest, a client chooses the one that it does something to.
const YOUNG: usize = 24;

/// What all clients share.
#[derive(Default)]
pub(super) struct Clients {
    stop: AtomicBool,
    jobs: Mutex<Vec<u32>>,
    names: AtomicU32,
}

impl Clients {
    pub(super) fn stop(&self) {
        self.stop.store(true, Ordering::Relaxed);
    }

    fn stopped(&self, world: &World) -> bool {
        self.stop.load(Ordering::Relaxed) || world.interrupt.load(Ordering::Relaxed)
    }

    /// A client's work, until all are stopped. `rest` is the mean time between two commands.
    ///
    /// # Errors
    /// Where the record can't be written.
    pub(super) fn work(
        &self,
        world: &World,
        number: usize,
        seed: u64,
        rest: Duration,
    ) -> Result<()> {
        self.repeat(world, number, seed, rest, |client, rng| self.one(world, client, rng))
    }

    /// A client that only submits short jobs: soon after each alarm, and now and then.
    ///
    /// # Errors
    /// Where the record can't be written.
    pub(super) fn submit_on(
        &self,
        world: &World,
        number: usize,
        seed: u64,
        rest: Duration,
    ) -> Result<()> {
        self.repeat(world, number, seed, rest, |client, rng| {
            let script = Script { seconds: 0.05 + 0.2 * rng.f64(), stubborn: false };
            self.submit(world, client, rng, script, 1, false)
        })
    }

    fn repeat(
        &self,
        world: &World,
        number: usize,
        seed: u64,
        rest: Duration,
        act: impl Fn(&Client, &mut Rng) -> Result<()>,
    ) -> Result<()> {
        let mut rng =
            Rng::with_seed(seed ^ (number as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let client = Client { host: host(world, number), name: format!("client{number}") };
        while !self.stopped(world) {
            act(&client, &mut rng)?;
            world.notes.rest(rest.mul_f64(0.2 + 1.6 * rng.f64()));
        }
        Ok(())
    }

    fn one(&self, world: &World, client: &Client, rng: &mut Rng) -> Result<()> {
        let job = self.some_job(rng);
        let call = match (rng.u32(0..100), job) {
            (0..42, _) | (_, None) => return self.submit_some(world, client, rng),
            (42..58, Some(job)) => Call::Query { job },
            (58..64, Some(_)) => Call::List,
            (64..76, Some(job)) => Call::Cancel { job },
            (76..82, Some(job)) => Call::Hold { job },
            (82..89, Some(job)) => Call::Release { job },
            (89..92, Some(job)) => Call::Requeue { job },
            (_, Some(job)) => Call::Update { job, comment: format!("c{:016x}", rng.u64(..)) },
        };
        perform(world, client, rng, call, None).map(drop)
    }

    fn some_job(&self, rng: &mut Rng) -> Option<u32> {
        let jobs = self.jobs.lock().expect("no holder panics");
        let young = &jobs[jobs.len().saturating_sub(YOUNG)..];
        (!young.is_empty()).then(|| young[rng.usize(0..young.len())])
    }

    fn submit_some(&self, world: &World, client: &Client, rng: &mut Rng) -> Result<()> {
        let seconds = match rng.u32(0..100) {
            0..65 => 0.1 + 1.5 * rng.f64(),
            65..92 => 1.0 + 4.0 * rng.f64(),
            _ => 3_600.0,
        };
        let script = Script { seconds, stubborn: rng.u32(0..100) < 8 };
        let cpus = [1, 1, 1, 2, 2, 4][rng.usize(0..6)];
        let hold = rng.u32(0..100) < 7;
        self.submit(world, client, rng, script, cpus, hold)
    }

    fn submit(
        &self,
        world: &World,
        client: &Client,
        rng: &mut Rng,
        script: Script,
        cpus: u32,
        hold: bool,
    ) -> Result<()> {
        let number = self.names.fetch_add(1, Ordering::Relaxed);
        let call = Call::Submit { name: format!("{}-{number}", client.name), cpus, hold };
        let outcome = perform(world, client, rng, call, Some(script))?;
        if let Outcome::Submitted { job } = outcome {
            self.jobs.lock().expect("no holder panics").push(job);
        }
        Ok(())
    }

    /// A submission once all is healed. True where it was acknowledged.
    ///
    /// # Errors
    /// Where the record can't be written.
    pub(super) fn submit_one(&self, world: &World, rng: &mut Rng) -> Result<bool> {
        let script = Script { seconds: 0.1, stubborn: false };
        let before = self.jobs.lock().expect("no holder panics").len();
        self.submit(world, &Client::last(), rng, script, 1, false)?;
        Ok(self.jobs.lock().expect("no holder panics").len() > before)
    }
}

/// Who calls commands, and where.
pub(super) struct Client {
    pub(super) host: String,
    pub(super) name: String,
}

impl Client {
    /// Who brings all to an end.
    pub(super) fn last() -> Self {
        Self { host: super::hosts::WATCH.to_owned(), name: "driver".to_owned() }
    }
}

/// Clients are on hosts of their own, and on nodes.
fn host(world: &World, number: usize) -> String {
    let mut hosts = world.hosts.names(Role::Client);
    hosts.extend(world.nodes.iter().cloned());
    hosts.swap_remove(number % hosts.len())
}
