//! Real processes under faults: hosts in network namespaces, a schedule, clients, witnesses.
//!
//! `cargo xtask chaos` runs it. What is broken when is a `plan`; `world` is what it is done to;
//! `clients` work on it meanwhile, and their jobs write witnesses on the nodes' disks. Then all
//! is healed (`settle`), and what everybody has is collected into a [`crate::record`].

mod campaign;
mod clients;
mod collect;
mod cuts;
mod daemons;
mod disks;
mod faults;
mod hosts;
mod memory;
mod monitor;
mod network;
mod notes;
mod options;
mod plan;
mod progress;
mod settle;
mod shell;
mod shim;
mod sweep;
mod watchers;
mod world;

use std::{
    fs,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, anyhow, bail};
use fastrand::Rng;

pub use options::Options;
pub use plan::PlanError;

use self::{clients::Clients, plan::Plan, progress::Progress, watchers::Watchers, world::World};
use crate::record::{Folder, Phases, now};

/// A run that has ended, and what is to be known of it beside its record.
#[derive(Debug)]
pub struct Outcome {
    pub record: Folder,
    pub command: String,
    /// Faults that were to be put and could not be, and why.
    pub skipped: Vec<String>,
}

/// What is to be done to the cluster.
enum Schedule {
    Plan(Plan),
    Campaign(u32),
}

/// Runs a cluster under faults, and writes the record.
///
/// # Errors
/// Where the machine lacks what is needed, the plan can't be read, the cluster does not come up, or
/// a signal comes. Nothing is left running or mounted.
pub fn run(mut options: Options) -> Result<Outcome> {
    let seed = options.seed.unwrap_or_else(|| u64::from(Rng::new().u32(..)));
    let schedule = schedule(&mut options, seed)?;
    let out = options.out(seed);
    if fs::read_dir(&out).is_ok_and(|mut entries| entries.next().is_some()) {
        bail!("{} is not empty: a record needs a folder of its own", out.display());
    }
    fs::create_dir_all(&out)?;
    let interrupt = Arc::new(AtomicBool::new(false));
    for signal in [signal_hook::consts::SIGINT, signal_hook::consts::SIGTERM] {
        signal_hook::flag::register(signal, Arc::clone(&interrupt))?;
    }
    let progress = Progress::new();
    progress.say(&options.command(seed));
    progress.phase("raising the cluster", None);
    let world = World::raise(&options, &out, interrupt)?;
    say_what_lacks(&world, &progress);
    if let Schedule::Plan(plan) = &schedule {
        fs::write(world.notes.path("plan.txt"), plan.to_string())?;
    }
    let ran = thread::scope(|scope| {
        scope.spawn(|| progress.show(&world));
        let ran = Run { world: &world, options: &options, seed, progress: &progress }.go(&schedule);
        progress.end();
        ran
    });
    ran?;
    progress.phase("taking the cluster down", None);
    let outcome = Outcome {
        record: world.notes.folder().clone(),
        command: options.command(seed),
        skipped: world.notes.skipped(),
    };
    drop(world);
    Ok(outcome)
}

fn schedule(options: &mut Options, seed: u64) -> Result<Schedule> {
    if let Some(count) = options.leader_faults {
        return Ok(Schedule::Campaign(count));
    }
    let Some(path) = &options.plan else {
        return Ok(Schedule::Plan(plan::draw(seed, options.duration())));
    };
    let text = fs::read_to_string(path).with_context(|| path.display().to_string())?;
    let plan: Plan = text.parse().with_context(|| path.display().to_string())?;
    let last = plan.steps.iter().map(|step| step.at + step.lasts).max();
    let seconds = last.unwrap_or_default().as_secs_f64() + 2.0;
    // A plan lasts as long as it says.
    options.minutes = seconds / 60.0;
    Ok(Schedule::Plan(plan))
}

fn say_what_lacks(world: &World, progress: &Progress) {
    if world.network.is_none() {
        progress.say("NO CUTS AND NO LOSS: there is no nft here (Debian's nftables)");
    }
    if let Err(why) = &world.memory {
        progress.say(&format!("NO MEMORY PRESSURE: {why}"));
    }
}

struct Run<'r> {
    world: &'r World,
    options: &'r Options,
    seed: u64,
    progress: &'r Progress,
}

impl Run<'_> {
    fn go(&self, schedule: &Schedule) -> Result<()> {
        let world = self.world;
        let watched = AtomicBool::new(true);
        thread::scope(|scope| {
            let watchers = Watchers::start(scope, world)?;
            scope.spawn(|| settle::look_after(world, &|| watched.load(Ordering::Relaxed)));
            let gone = self.break_and_mend(schedule, watchers);
            watched.store(false, Ordering::Relaxed);
            gone
        })
    }

    fn break_and_mend(&self, schedule: &Schedule, watchers: Watchers) -> Result<()> {
        let (world, options) = (self.world, self.options);
        let clients = Clients::default();
        let began = now();
        let (put, worked, phases) = thread::scope(|scope| {
            let people: Vec<_> = (0..usize::from(options.people))
                .map(|number| {
                    let (clients, seed, rest) = (&clients, self.seed, options.rest());
                    let campaign = matches!(schedule, Schedule::Campaign(_));
                    scope.spawn(move || match campaign {
                        true => clients.submit_on(world, number, seed, rest),
                        false => clients.work(world, number, seed, rest),
                    })
                })
                .collect();
            let faults_began = now();
            let put = match schedule {
                Schedule::Plan(plan) => self.follow(plan),
                Schedule::Campaign(count) => campaign::run(world, *count, self.seed, self.progress),
            };
            let faults_ended = now();
            self.progress.phase("healing, and waiting for all to come right", None);
            settle::heal(world);
            let healed = now();
            world.pass(Duration::from_secs(2));
            clients.stop();
            world.notes.alarm();
            let mut worked = Ok(());
            for one in people {
                let one = one.join().map_err(|_| anyhow!("a client panicked"));
                worked = worked.and(one.and_then(|worked| worked));
            }
            (put, worked, Phases { began, faults_began, faults_ended, healed, ended: 0 })
        });
        world.check()?;
        worked?;
        // What has happened until then is worth a look all the same.
        if let Err(error) = put {
            world.notes.marvel(format!("the faults were broken off: {error:#}"));
        }
        let mut rng = Rng::with_seed(self.seed ^ 0x5e77_1e00);
        settle::settle(world, &clients, &mut rng)?;
        self.progress.phase("collecting the record", None);
        collect::collect(world, options, self.seed, watchers, phases)
    }

    /// Carries out each step when its moment comes, beside those that last.
    fn follow(&self, plan: &Plan) -> Result<()> {
        let world = self.world;
        let whole = self.options.duration();
        self.progress.phase("breaking things", Some(whole));
        let began = Instant::now();
        thread::scope(|scope| {
            for step in &plan.steps {
                world.pass(step.at.saturating_sub(began.elapsed()));
                if world.check().is_err() {
                    break;
                }
                self.progress.say(&format!("  {step}"));
                scope.spawn(|| faults::carry_out(world, step));
            }
            world.pass(whole.saturating_sub(began.elapsed()));
        });
        world.check()
    }
}
