//! `squeue`, `sinfo` and `scontrol`: what they ask for, what they say, and how they end.

use std::{io::Write as _, process::Stdio};

use proto::{
    config::{NodeConf, Partition},
    ctl::{
        BatchScriptReply, ControllerStatus, Done, JobView, JobsReply, NodeTarget, NodeView,
        NodesReply, StatusReply,
    },
    types::{Job, JobSpec, Layout, Node, Resources, TimeLimit},
};
use tonic::Status;

use crate::{
    fake::Fake,
    world::{World, said},
};

const HEADINGS: &str =
    "             JOBID PARTITION     NAME     USER ST       TIME  NODES NODELIST(REASON)\n";

fn refusal(text: &str) -> Status {
    Status::failed_precondition(text)
}

fn jobs(ids: &[u32]) -> JobsReply {
    let view = |id: &u32| {
        let spec = JobSpec {
            name: format!("job{id}"),
            user_name: "alice".to_owned(),
            layout: Some(Layout { tasks: 1, ..Layout::default() }),
            ..JobSpec::default()
        };
        let job = Job {
            id: *id,
            spec: Some(spec),
            partition: "cpu".to_owned(),
            time_limit: Some(TimeLimit { minutes: Some(30) }),
            ..Job::default()
        };
        JobView { job: Some(job), nodes: 1, cpus: 1, ..JobView::default() }
    };
    JobsReply { jobs: ids.iter().map(view).collect(), now: 1_000_000_000 }
}

fn nodes(names: &[&str]) -> NodesReply {
    let view = |name: &&str| {
        let total = Some(Resources { cpus: 8, memory_mib: 16_000 });
        let node = Node { name: (*name).to_owned(), total, ..Node::default() };
        NodeView { node: Some(node), conf: Some(NodeConf::default()), ..NodeView::default() }
    };
    let names_of = names.iter().map(|name| (*name).to_owned()).collect();
    let cpu = Partition { name: "cpu".to_owned(), nodes: names_of, ..Partition::default() };
    let hidden = Partition { hidden: true, name: "secret".to_owned(), ..Partition::default() };
    NodesReply {
        now: 1_000_000_000,
        nodes: names.iter().map(view).collect(),
        partitions: vec![cpu, hidden],
    }
}

fn first(world: &World) -> &Fake {
    &world.controllers[0]
}

#[test]
fn squeue_asks_for_no_more_than_it_shows() {
    let world = World::new(1);
    let ctl1 = first(&world);
    ctl1.jobs.set([Ok(jobs(&[7]))]);
    let lines = ["squeue", "squeue -a -o %i%Z", "squeue -p cpu,short -u 0", "squeue --json"];
    for line in lines {
        assert_eq!(world.run(line).exit, 0, "{line}");
    }
    let asked = ctl1.jobs_asked.all();
    let whole: Vec<_> = asked.iter().map(|request| request.whole).collect();
    assert_eq!(whole, [false, true, false, true]);
    let hidden: Vec<_> = asked.iter().map(|request| request.skip_hidden).collect();
    assert_eq!(hidden, [true, false, false, true]);
    assert_eq!(
        (&*asked[2].partitions, &*asked[2].users),
        (&["cpu", "short"].map(str::to_owned)[..], &[0][..])
    );
}

/// Scripts and clients match these to the letter.
#[test]
fn squeue_says_what_it_does_not_find() {
    let world = World::new(1);
    let ctl1 = first(&world);
    ctl1.jobs.set([Ok(jobs(&[]))]);
    let unknown = "slurm_load_jobs error: Invalid job id specified\n";
    assert_eq!(world.run("squeue -j 999999"), said(1, "", unknown));
    assert_eq!(world.run("squeue -h -j 999999,999998"), said(0, "", ""));
    assert_eq!(world.run("squeue -R none"), said(0, HEADINGS, ""));
    let asked = ctl1.jobs_asked.all().len();
    let nobody = "squeue: error: Invalid user: nosuchuser\n\n";
    assert_eq!(world.run("squeue -u nosuchuser"), said(0, HEADINGS, nobody));
    assert_eq!(ctl1.jobs_asked.all().len(), asked, "nobody need be asked for no jobs");
    let wrong = "squeue: error: Invalid job id: abc\n";
    assert_eq!(world.run("squeue -j abc"), said(1, "", wrong));
    let array = "squeue: error: Invalid job id: 118_[2-3]\n";
    assert_eq!(world.run("squeue -j 118_[2-3]"), said(1, "", array));
    assert_eq!(world.run("squeue -i abc"), said(1, "", "squeue: error: --iterate=abc\n\n"));
    let letter = "squeue: error: Invalid sort specification: s\n";
    assert_eq!(world.run("squeue -S bogus"), said(1, HEADINGS, letter));
    let key = "squeue: error: Invalid job format specification: Bogus\n";
    assert_eq!(world.run("squeue -h -O JobID:8,Bogus"), said(0, "", key));
    ctl1.nodes.set([Ok(nodes(&["n1"]))]);
    let node = "squeue: error: Invalid node name nosuch\n";
    assert_eq!(world.run("squeue -w nosuch"), said(1, "", node));
}

#[test]
fn squeue_and_sinfo_name_the_cluster_that_is_asked_for() {
    let world = World::new(1);
    first(&world).jobs.set([Ok(jobs(&[7]))]);
    first(&world).nodes.set([Ok(nodes(&["n1"]))]);
    assert_eq!(world.run("squeue -h -M ref -o %i").out, "CLUSTER: ref\n7\n");
    assert_eq!(world.run("squeue -M other").exit, 1);
    let expected = "CLUSTER: ref\ncpu 1\n";
    assert_eq!(
        world.run("sinfo -h -M all -O partition:,nodes:").out,
        expected.replace("cpu 1", "cpu1")
    );
    assert_eq!(world.run("sinfo -h -a -o %R").out, "cpu\nsecret\n");
    assert_eq!(world.run("sinfo -h -p secret -o %R").out, "secret\n");
}

#[test]
fn nobody_answers() {
    let mut world = World::new(1);
    world.stop();
    let squeue = world.run("squeue");
    assert_eq!((squeue.exit, squeue.out.as_str()), (1, ""));
    let last = squeue.err.lines().last().expect("it says something");
    assert_eq!(last, "slurm_load_jobs error: Unable to contact slurm controller (connect failure)");
    let ping = world.run("scontrol ping");
    assert_eq!((ping.exit, ping.out.as_str()), (1, "Slurmctld(primary) at ctl1 is DOWN\n"));
}

#[test]
fn scontrol_takes_lists_of_jobs() {
    let world = World::new(1);
    let ctl1 = first(&world);
    ctl1.change.set([Ok(Done {})]);
    ctl1.jobs.set([Ok(jobs(&[11, 12]))]);
    assert_eq!(world.run("scontrol hold 1,2 5-7"), said(0, "", ""));
    assert_eq!(world.run("scontrol uhold jobname=job12"), said(0, "", ""));
    let held: Vec<_> =
        ctl1.held.all().iter().map(|request| (request.job, request.user_hold)).collect();
    let expected = [(1, false), (2, false), (5, false), (6, false), (7, false), (12, true)];
    assert_eq!(held, expected);
    let ids: std::collections::BTreeSet<_> =
        ctl1.held.all().into_iter().map(|request| request.request).collect();
    assert_eq!(ids.len(), 6, "each is a request of its own");
    assert_eq!(world.run("scontrol requeueh 3"), said(0, "", ""));
    assert!(ctl1.requeued.all()[0].hold);
    let unknown = "Invalid job id specified";
    ctl1.change.set([Err(refusal(unknown))]);
    let both = format!("{unknown} for job 9\nslurm_suspend error:{unknown}\n");
    assert_eq!(world.run("scontrol release 9"), said(1, "", &both));
    assert_eq!(world.run("scontrol hold abc"), said(1, "", &both.replace("job 9", "job abc")));
    let once = format!("{unknown} for job 9\n");
    assert_eq!(world.run("scontrol requeue 9"), said(1, "", &once));
    assert_eq!(world.run("scontrol -Q requeue 9"), said(1, "", ""));
    ctl1.change.set([Err(refusal("Invalid user id"))]);
    let denied = "slurm_reconfigure error:Invalid user id\n";
    assert_eq!(world.run("scontrol reconfigure"), said(1, "", denied));
}

#[test]
fn scontrol_changes_jobs_and_nodes() {
    let world = World::new(1);
    let ctl1 = first(&world);
    ctl1.change.set([Ok(Done {})]);
    ctl1.jobs.set([Ok(jobs(&[5]))]);
    assert_eq!(world.run("scontrol update JobId=5 TimeLimit=+10 Name=new"), said(0, "", ""));
    let asked = &ctl1.jobs_changed.all()[0];
    let changes = asked.changes.clone().expect("there are some");
    assert_eq!((asked.job, changes.name.as_deref()), (5, Some("new")));
    assert_eq!(changes.time_limit, Some(TimeLimit { minutes: Some(40) }));
    assert_eq!(world.run("scontrol update NodeName=n[1-2] State=DRAIN Reason=x").exit, 0);
    let drained: Vec<_> = ctl1
        .nodes_changed
        .all()
        .iter()
        .map(|request| (request.node.clone(), request.target(), request.reason.clone()))
        .collect();
    let drain = |node: &str| (node.to_owned(), NodeTarget::Drain, Some("x".to_owned()));
    assert_eq!(drained, [drain("n1"), drain("n2")]);
    let nothing = "too few arguments for update keyword\n";
    assert_eq!(world.run("scontrol update"), said(1, "", nothing));
    let none = "No valid entity in update command\nInput line must include \"NodeName\", \
                \"PartitionName\", \"Reservation\", \"JobId\", or \"SlurmctldDebug\"\n";
    assert_eq!(world.run("scontrol update foo=bar"), said(1, "", none));
    ctl1.change.set([Err(refusal("Invalid node name specified"))]);
    let unknown = "slurm_update error: Invalid node name specified\n";
    assert_eq!(world.run("scontrol update NodeName=nx State=RESUME"), said(1, "", unknown));
    ctl1.change.set([Err(refusal("Access/permission denied"))]);
    let denied = "Access/permission denied for job 5\n";
    assert_eq!(world.run("scontrol update JobId=5 Nice=-5"), said(1, "", denied));
    assert_eq!(ctl1.jobs_changed.all().len(), 2);
}

#[test]
fn scontrol_says_what_it_does_not_find() {
    let world = World::new(1);
    let ctl1 = first(&world);
    ctl1.jobs.set([Ok(jobs(&[]))]);
    ctl1.nodes.set([Ok(nodes(&["n1"]))]);
    let unknown = "slurm_load_jobs error: Invalid job id specified\n";
    assert_eq!(world.run("scontrol show job 999999"), said(1, "", unknown));
    let wrong = "scontrol_print_job error: Invalid job id specified\n";
    assert_eq!(world.run("scontrol show job abc"), said(1, "", wrong));
    assert_eq!(world.run("scontrol show jobs"), said(0, "No jobs in the system\n", ""));
    assert_eq!(world.run("scontrol show node nosuch"), said(1, "Node nosuch not found\n", ""));
    assert_eq!(world.run("scontrol -Q show node nosuch"), said(1, "", ""));
    let partition = said(1, "Partition nosuch not found\n", "");
    assert_eq!(world.run("scontrol show partition nosuch"), partition);
    let none = said(0, "No reservations in the system\n", "");
    assert_eq!(world.run("scontrol show reservation"), none);
    assert_eq!(world.run("scontrol show topology"), said(0, "", ""));
    let entity = "invalid entity:bogus for keyword:show\n";
    assert_eq!(world.run("scontrol show bogus"), said(1, "", entity));
    let few = "too few arguments for keyword:show\n";
    assert_eq!(world.run("scontrol show"), said(1, "", few));
    let many = "too many arguments for keyword:show\n";
    assert_eq!(world.run("scontrol show job 1 2"), said(1, "", many));
    assert_eq!(world.run("scontrol bogus"), said(1, "", "invalid keyword: bogus\n"));
    let suspend = "scontrol: error: suspend is not supported\n";
    assert_eq!(world.run("scontrol suspend 1"), said(1, "", suspend));
    let option = world.run("scontrol --bogus");
    assert_eq!((option.exit, option.out.as_str()), (1, ""));
    assert!(option.err.contains("unrecognized option '--bogus'"), "{option:?}");
}

#[test]
fn scontrol_spells_hosts_out() {
    let world = World::new(1);
    assert_eq!(world.run("scontrol show hostnames n[1-2],m5").out, "n1\nn2\nm5\n");
    assert_eq!(world.run("scontrol show hostlistsorted n3,n1,n2").out, "n[1-3]\n");
    let empty = said(0, "", "scontrol: error: host list is empty\n");
    assert_eq!(world.run("scontrol show hostnames"), empty);
    let mut of_job = world.command("scontrol show hostnames");
    let output = of_job.env("SLURM_JOB_NODELIST", "n[7-8]").output().expect("it runs");
    assert_eq!(output.stdout, b"n7\nn8\n");
    let range = "scontrol: error: _parse_single_range: Invalid range: `3-1'\n\
                 Invalid hostlist: n[3-1]\n";
    assert_eq!(world.run("scontrol show hostnames n[3-1]"), said(0, "", range));
    let brackets = said(0, "", "Invalid hostlist: n[1\n");
    assert_eq!(world.run("scontrol show hostnames n[1"), brackets);
}

#[test]
fn scontrol_writes_scripts() {
    let world = World::new(1);
    let ctl1 = first(&world);
    let script = "#!/bin/sh\ntrue\n";
    ctl1.script.set([Ok(BatchScriptReply { script: script.into() })]);
    assert_eq!(world.run("scontrol write batch_script 7 -"), said(0, script, ""));
    let told = said(0, "batch script for job 7 written to slurm-7.sh\n", "");
    assert_eq!(world.run("scontrol write batch_script 7"), told);
    let written = std::fs::read_to_string(world.path("slurm-7.sh")).expect("written");
    assert_eq!(written, script);
    ctl1.script.set([Err(refusal("Invalid user id"))]);
    let denied = said(0, "", "job script retrieval failed: Invalid user id\n");
    assert_eq!(world.run("scontrol write batch_script 7 -"), denied);
    let wrong = "invalid write argument:bogus\n";
    assert_eq!(world.run("scontrol write bogus"), said(1, "", wrong));
}

#[test]
fn scontrol_reads_commands_until_their_end() {
    let world = World::new(1);
    let controller = |name: &str, role: &str| ControllerStatus {
        name: name.to_owned(),
        role: role.to_owned(),
        ..ControllerStatus::default()
    };
    first(&world).status.set([Ok(StatusReply {
        leader: "ctl1".to_owned(),
        controllers: vec![controller("ctl1", "leader"), controller("ctl2", "unreachable")],
        ..StatusReply::default()
    })]);
    let mut command = world.command("scontrol");
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("it runs");
    let mut stdin = child.stdin.take().expect("it is piped");
    stdin.write_all(b"bogus\n\nping\nexit\nversion\n").expect("it listens");
    drop(stdin);
    let output = child.wait_with_output().expect("it ends");
    let expected = "scontrol: scontrol: scontrol: Slurmctld(primary) at ctl1 is UP\n\
                    Slurmctld(backup) at ctl2 is DOWN\nscontrol: ";
    assert_eq!(String::from_utf8_lossy(&output.stdout), expected);
    assert_eq!(String::from_utf8_lossy(&output.stderr), "invalid keyword: bogus\n");
    assert_eq!(output.status.code(), Some(0), "the last command's exit code counts");
    assert_eq!(world.run("scontrol"), said(0, "scontrol: \n", ""));
}
