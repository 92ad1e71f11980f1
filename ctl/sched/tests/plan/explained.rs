//! What an explanation says must be what the planner does.

use std::collections::BTreeSet;

use common::{
    id::JobId,
    job::{Job, Place, Reason},
};
use proptest::prelude::*;
use sched::why::why;

use crate::{
    bench::Bench,
    properties::{CONF, LIMITS, command, run},
};

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    /// The start that is told is the one that is planned, and of what is told to hold a job nothing
    /// is missing that a plan names.
    #[test]
    fn what_is_told_is_what_is_planned(commands in proptest::collection::vec(command(), 1..30)) {
        for more in ["", "\nSchedulerType=sched/builtin", LIMITS] {
            let mut bench = Bench::new(&format!("{CONF}{more}"));
            for command in &commands {
                run(&mut bench, command);
            }
            let (plan, now) = (bench.plan(), bench.now);
            let config = bench.state.config.clone().expect("it was formed");
            let starts: BTreeSet<JobId> = plan.starts.iter().map(|start| start.job).collect();
            for job in bench.state.jobs.values().filter(|job| job.is_pending()) {
                let told = why(&bench.state, now, job.id).expect("it waits");
                // Of a component it is told what holds its leader.
                let whole = job.led_by().unwrap_or(job.id);
                let found = || plan.waits.get(&whole).copied().unwrap_or(Reason::Priority);
                let reason = sched::reason(&config, &bench.state.jobs[&whole], now, found);
                let told_of: Vec<Reason> = told.obstacles.iter().map(|it| it.reason).collect();
                if job.partition.is_several() {
                    // It is told of one of them, as if it waited there alone.
                    prop_assert!(job.partition.each().any(|own| own == told.partition.as_str()));
                    let known = starts.contains(&job.id) || plan.estimates.contains_key(&job.id);
                    prop_assert!(!known || told.planned.is_some(), "{:?}", told);
                    continue;
                }
                if starts.contains(&whole) {
                    prop_assert_eq!(told_of, []);
                    let planned = told.planned.expect("it starts");
                    prop_assert_eq!(planned.at, now);
                    let start = plan.starts.iter().find(|start| start.job == whole);
                    let start = start.expect("it is there");
                    let places: Vec<Place> =
                        start.all().flat_map(|one| one.places.clone()).collect();
                    prop_assert_eq!(planned.places, places);
                    continue;
                }
                prop_assert!(!told_of.is_empty(), "job {} waits for {}", job.id, reason);
                // Which of the two it is depends on who else waits.
                let of_queue = [Reason::Resources, Reason::Priority];
                if of_queue.contains(&reason) {
                    let found = told_of.iter().any(|told| of_queue.contains(told));
                    prop_assert!(found, "job {} waits for {}: {:?}", job.id, reason, told);
                } else {
                    prop_assert!(told_of.contains(&reason), "{}: {:?}", reason, told);
                }
                if let (Some(estimate), []) = (plan.estimates.get(&job.id), &*told.supposed) {
                    let planned = told.planned.expect("a plan knows its start");
                    prop_assert_eq!(planned.at, *estimate);
                    prop_assert!(planned.freed.iter().all(|freed| freed.until <= planned.at));
                    prop_assert!(!planned.freed.is_empty(), "nothing becomes free by itself");
                }
            }
        }
    }

    /// Who asks for what would start sooner starts then, by a plan made anew.
    #[test]
    fn what_would_start_sooner_does(commands in proptest::collection::vec(command(), 1..30)) {
        let mut bench = Bench::new(&format!("{CONF}{LIMITS}"));
        for command in &commands {
            run(&mut bench, command);
        }
        let now = bench.now;
        let waiting: Vec<Job> = bench
            .state
            .queues
            .values()
            .flatten()
            .map(|key| Job::clone(&bench.state.jobs[&key.job]))
            .collect();
        for job in waiting {
            let told = why(&bench.state, now, job.id).expect("it waits");
            for sooner in told.sooner {
                if let (Some(planned), []) = (&told.planned, &*told.supposed) {
                    prop_assert!(sooner.start < planned.at);
                }
                let mut view = bench.state.clone();
                view.suppose_job(sooner.change.applied(&job));
                let start = sched::when(&view, now, job.id).map(|(at, ..)| at);
                if job.partition.is_several() {
                    // In another of its partitions it may be sooner still.
                    let start = start.expect("it starts in the one that was told of");
                    prop_assert!(start <= sooner.start, "{:?} of job {}", sooner, job.id);
                    continue;
                }
                prop_assert_eq!(start, Some(sooner.start), "{:?} of job {}", sooner, job.id);
            }
        }
    }
}
