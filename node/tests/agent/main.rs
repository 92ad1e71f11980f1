//! The agent on a node that crashes at any moment, under leaders that repeat themselves, change,
//! and come back from the past.

mod jobs;
mod world;

use proptest::prelude::*;

use world::World;

/// What happens next. Numbers choose among what there is.
#[derive(Clone, Copy, Debug)]
enum Step {
    /// The leader allocates a job here, or has it launched again.
    Launch(u32),
    Terminate(u32),
    /// The leader repeats an order of a run, whether or not the node has it.
    Repeat(usize),
    Release(usize),
    /// A leader of the past speaks on a stream of its own.
    Haunt(usize),
    /// A task of the daemon gets done, and its outcome waits to be heard.
    Work(usize),
    /// The daemon hears the next outcome.
    Hear,
    /// A supervisor starts its script, ends, or is killed.
    Start(usize),
    End(usize),
    Kill(usize),
    /// With something going on between hello and welcome.
    Attach(usize),
    Detach,
    /// The leader gives up a node that is not attached.
    GiveUp,
    /// Another leader, of a later term.
    Elect,
    /// The daemon is killed and comes back. Of its tasks, some got done.
    Crash(u64),
    Reboot,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (0..3u32).prop_map(Step::Launch),
        3 => (0..3u32).prop_map(Step::Terminate),
        2 => (0..9usize).prop_map(Step::Repeat),
        3 => (0..9usize).prop_map(Step::Release),
        2 => (0..9usize).prop_map(Step::Haunt),
        8 => (0..9usize).prop_map(Step::Work),
        10 => Just(Step::Hear),
        5 => (0..9usize).prop_map(Step::Start),
        5 => (0..9usize).prop_map(Step::End),
        1 => (0..9usize).prop_map(Step::Kill),
        3 => (0..4usize).prop_map(Step::Attach),
        2 => Just(Step::Detach),
        1 => Just(Step::GiveUp),
        1 => Just(Step::Elect),
        2 => any::<u64>().prop_map(Step::Crash),
        1 => Just(Step::Reboot),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    /// No script starts twice, no two attempts of a job run at a time, no end changes or is
    /// forgotten, and once faults are over nothing hangs.
    #[test]
    fn no_run_is_started_twice_and_no_end_is_lost(steps in prop::collection::vec(step(), 1..160)) {
        let mut world = World::new();
        world.attach(0);
        for step in steps {
            match step {
                Step::Launch(job) => world.launch(job),
                Step::Terminate(job) => world.terminate(job),
                Step::Repeat(choice) => world.repeat(choice),
                Step::Release(choice) => world.release(choice),
                Step::Haunt(choice) => world.haunt(choice),
                Step::Work(choice) => world.work(choice),
                Step::Hear => world.hear(),
                Step::Start(choice) => world.start(choice),
                Step::End(choice) => world.end(choice),
                Step::Kill(choice) => world.kill(choice),
                Step::Attach(between) => world.attach(between),
                Step::Detach => world.detach(),
                Step::GiveUp => world.give_up(),
                Step::Elect => world.elect(),
                Step::Crash(done) => world.crash(done),
                Step::Reboot => world.reboot(),
            }
            world.check();
        }
        world.settle();
    }
}
