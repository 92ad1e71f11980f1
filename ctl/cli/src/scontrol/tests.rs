//! `scontrol`'s records against what the real one printed (`tests/slurm`).

use common::time::Timestamp;
use proto::{ctl::JobView, types::EndState};

use super::{session::Flags, show};
use crate::{
    captures, render,
    view::{
        Job, Node, Partition,
        samples::{self, LATER, NodeSample as _, SUBMITTED, Sample as _},
    },
};

fn flags(command: &str) -> Flags {
    Flags {
        all: false,
        details: command.contains(" -d"),
        one_line: command.contains(" -o ") || command.contains("--oneliner"),
        quiet: false,
        json: false,
        stale_ok: false,
    }
}

fn id(command: &str) -> u32 {
    let mut words = command.split(' ').filter_map(|word| word.parse().ok());
    words.next_back().expect("the command names a job")
}

/// The job's record at this moment.
fn record(command: &str, views: &[JobView], now: u64) -> String {
    let jobs = Job::all(views, Timestamp::from_seconds(now)).expect("the views are whole");
    let job = jobs.iter().find(|job| job.id() == id(command)).expect("the job is there");
    let mut out = String::new();
    show::job_text(&mut out, job, &samples::clock(now), flags(command));
    out
}

/// What Rafter says otherwise: it has no unique id of Slurm's, and does not keep when a job that
/// waits was last looked at.
fn theirs(text: &str) -> String {
    let waits = text.contains("JobState=PENDING") || text.contains("JobState=CANCELLED");
    let lines = text.lines().map(|line| {
        let mut line = line.to_owned();
        if line.starts_with("   SLUID=") {
            line = "   SLUID=(null)".to_owned();
        }
        if let Some(at) = line.find("LastSchedEval=").filter(|_| waits) {
            let end = at + "LastSchedEval=".len();
            line.replace_range(end..end + "2026-11-23T23:08:21".len(), "Unknown");
        }
        line + "\n"
    });
    lines.collect()
}

/// As 22.05 was seen to show it.
#[test]
fn a_component_says_of_which_job_it_is() {
    let view =
        samples::pending(77_161, "env.sh", 9, proto::types::Reason::None).component(77_160, 2);
    let text = record("scontrol show job 77161", &[view], SUBMITTED);
    let expected = "JobId=77161 HetJobId=77160 HetJobOffset=1 JobName=env.sh\n   \
                    HetJobIdSet=77160-77161\n   UserId=alice(62001)";
    assert!(text.starts_with(expected), "{text}");
}

#[test]
fn jobs_are_as_slurm_shows_them() {
    let mut tried = 0;
    for entry in captures::read("scontrol-show-job.txt") {
        // It took a while: 117 ran for so long.
        let mut ours = record(&entry.command, &samples::jobs(), SUBMITTED + 7);
        // Priorities had been computed anew.
        ours = ours.replace("Priority=113", "Priority=107");
        // Slurm gives a job that was submitted held a greatest count.
        let theirs = theirs(&entry.stdout).replace("NumNodes=1-1", "NumNodes=1");
        captures::assert_same(&entry.command, &ours, &theirs);
        tried += 1;
    }
    assert_eq!(tried, 11);
}

#[test]
fn dependent_jobs_are_as_slurm_shows_them() {
    let entries = captures::read("scontrol-show-job-dependent.txt");
    assert_eq!(entries.len(), 3);
    for entry in entries {
        let command = entry.command.trim_end_matches(" | head -200");
        let ours = record(command, &samples::dependent_jobs(), SUBMITTED + 7);
        captures::assert_same(command, &ours, &theirs(&entry.stdout));
    }
}

#[test]
fn an_array_and_a_task_of_it_are_as_slurm_shows_them() {
    let view = samples::array_job();
    let whole = Job::of(&view, Timestamp::from_seconds(SUBMITTED + 7)).expect("a whole view");
    for (command, job) in [("118", whole), ("118_0", Job { task: Some(0), ..whole })] {
        let command = format!("scontrol show job {command} | head -200");
        let entry = captures::one("scontrol-show-job-array.txt", &command);
        let mut ours = String::new();
        show::job_text(&mut ours, &job, &samples::clock(SUBMITTED + 7), flags(&command));
        captures::assert_same(&command, &ours, &theirs(&entry.stdout));
    }
}

#[test]
fn later_jobs_are_as_slurm_shows_them() {
    for command in ["job 275", "job -d 275", "job -o 275", "job 276"] {
        let command = format!("scontrol show {command}");
        let entry = captures::one("extra-scontrol.txt", &command);
        let ours = record(&command, &samples::later_jobs(), LATER + 2);
        // Its reason had changed meanwhile.
        let theirs = theirs(&entry.stdout).replace("Reason=Resources", "Reason=BeginTime");
        captures::assert_same(&command, &ours, &theirs);
    }
}

#[test]
fn ended_jobs_are_as_slurm_shows_them() {
    // Submitted at 23:10:54.
    let submitted = SUBMITTED + 156;
    let mut run = samples::pending(197, "run", 2607, proto::types::Reason::None)
        .runs(submitted, vec![samples::place("n1", 2, 200)])
        .ended(submitted + 101, EndState::Completed)
        .line(
            "sbatch --parsable -J run -n2 --wrap=trap \"echo got usr1\" USR1; \
             sleep 100 & wait; wait",
        );
    (run.cpus, run.memory_mib) = (2, 200);
    run.spec().layout.as_mut().expect("a sample has a layout").tasks = 2;
    let mut cancelled = samples::pending(195, "p2", 2607, proto::types::Reason::BeginTime)
        .begin(submitted + 3600)
        .ended(submitted + 127, EndState::Cancelled)
        .line("sbatch --parsable -J p2 --begin=now+1hour --wrap=sleep 60");
    for view in [&mut run, &mut cancelled] {
        view.job().submitted = submitted * 1000;
        view.spec().session = 6_661;
    }
    for entry in captures::read("scontrol-show-job-cancelled.txt") {
        let views = [run.clone(), cancelled.clone()];
        let ours = record(&entry.command, &views, submitted + 200);
        // Slurm forgets the tasks of a job that never ran.
        let theirs = theirs(&entry.stdout).replace("NumTasks=N/A", "NumTasks=1");
        captures::assert_same(&entry.command, &ours, &theirs);
    }
}

#[test]
fn nodes_are_as_slurm_shows_them() {
    let root = || {
        let mut names = crate::users::UserNames::default();
        assert_eq!(names.name(0), "root");
        names
    };
    let allocated = samples::node(1).holds(8, 800);
    let mut draining = allocated.clone().drained("bad disk", SUBMITTED + 9);
    draining.cpu_load = Some(441);
    draining.free_memory_mib = Some(22_845);
    draining.node().inventory.as_mut().expect("it registered").daemon_started =
        (SUBMITTED + 8) * 1000;
    let mut mixed = samples::node(1).holds(6, 200);
    (mixed.cpu_load, mixed.free_memory_mib) = (Some(141), Some(23_069));
    mixed.node().last_busy = (LATER - 1) * 1000;
    mixed.node().inventory.as_mut().expect("it registered").daemon_started =
        (SUBMITTED + 121) * 1000;
    let cases = [
        ("scontrol-show-misc.txt", "scontrol show node n1", &allocated),
        ("scontrol-show-misc.txt", "scontrol -o show node n1", &allocated),
        ("scontrol-show-misc.txt", "scontrol -d show node n1", &allocated),
        ("scontrol-update.txt", "scontrol show node n1", &draining),
        ("extra-scontrol.txt", "scontrol show node n1", &mixed),
    ];
    for (file, command, view) in cases {
        let entry = captures::one(file, command);
        let reply = samples::cluster(SUBMITTED, vec![view.clone()]);
        let nodes = Node::all(&reply.nodes).expect("the views are whole");
        let partitions = Partition::all(&reply.partitions, &nodes);
        let mut ours = String::new();
        let clock = samples::clock(SUBMITTED);
        let flags = flags(command);
        show::node_text(&mut ours, &nodes[0], &partitions, &clock, flags, &mut root());
        // Slurm had planned n1 for the next job.
        let theirs = entry.stdout.replace("ALLOCATED+PLANNED", "ALLOCATED");
        captures::assert_same(command, &ours, &theirs);
    }
}

#[test]
fn partitions_are_as_slurm_shows_them() {
    let reply = samples::cluster(SUBMITTED, (1..=8).map(samples::node).collect());
    let nodes = Node::all(&reply.nodes).expect("the views are whole");
    let partitions = Partition::all(&reply.partitions, &nodes);
    for (command, count) in [
        ("scontrol show partition", 3),
        ("scontrol show partition cpu", 1),
        ("scontrol -o show partition cpu", 1),
    ] {
        let entry = captures::one("scontrol-show-misc.txt", command);
        let mut ours = String::new();
        for partition in &partitions[..count] {
            show::partition_text(&mut ours, partition, flags(command));
        }
        captures::assert_same(command, &ours, &entry.stdout);
    }
}

#[test]
fn json_has_slurms_keys_order_and_values() {
    let mut view = samples::node(1).holds(6, 200);
    (view.cpu_load, view.free_memory_mib) = (Some(141), Some(23_069));
    view.node().last_busy = (LATER - 1) * 1000;
    view.node().inventory.as_mut().expect("it registered").daemon_started =
        (SUBMITTED + 121) * 1000;
    let mut all: Vec<_> = (1..=8).map(samples::node).collect();
    all[0] = view;
    let reply = samples::cluster(LATER, all);
    let nodes = Node::all(&reply.nodes).expect("the views are whole");
    let partitions = Partition::all(&reply.partitions, &nodes);
    let mut names = crate::users::UserNames::default();
    let cases = [
        (
            "scontrol show node n1 --json",
            "nodes",
            show::node_json(&nodes[0], &partitions, &mut names),
        ),
        ("scontrol show partition cpu --json", "partitions", partitions[0].json()),
    ];
    for (command, key, ours) in cases {
        let entry = captures::one("extra-scontrol.txt", command);
        let theirs: serde_json::Value =
            serde_json::from_str(&entry.stdout).expect("the capture is JSON");
        let ours = render::json::text(&ours, false);
        captures::assert_same(command, &ours, &render::json::text(&theirs[key][0], false));
    }
}

/// Every long option of the real command is known, be it to be refused.
#[test]
fn all_of_slurms_options_are_known() {
    let known = super::known_options();
    let real = captures::long_options("scontrol");
    assert!(real.len() > 14, "only {} options", real.len());
    for option in real {
        assert!(known.contains(&option), "--{option} is not known");
    }
}
