//! `rafter sched`: what a plan is made of, and the plan.

mod dump;
mod plan;

#[derive(clap::Subcommand)]
pub(super) enum Sched {
    /// Save what a plan of this moment is made of; operators only
    Dump(dump::Args),
    /// Make the plan of what was saved, and print who starts where, and why each other waits
    Plan(plan::Args),
}

pub(super) fn run(sched: &Sched) -> u8 {
    match sched {
        Sched::Dump(args) => dump::run(args),
        Sched::Plan(args) => plan::run(args),
    }
}
