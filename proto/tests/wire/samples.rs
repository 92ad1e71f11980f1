//! One event of each kind with every field set, and one with as few as can be.

use std::sync::Arc;

use bytes::Bytes;
use common::{
    config::{Config, ConfiguredState, MemoryPer, NodeConf, PartitionConf, PartitionState},
    id::{
        Attempt, ClusterId, ContentHash, ControllerName, GroupId, Incarnation, JobId, NodeName,
        PartitionName, Term, UserId,
    },
    job::{
        ArraySpec, AskChanges, Dependency, End, EndState, ExitStatus, Fate, Hold, JobChanges,
        JobSpec, Layout, MemoryRequest, OpenMode, Place, Reason, Requeue, ResourceLimit,
        SignalScope, TaskSet, WarnSignal,
    },
    machine::{Answer, Answered, Entry, Event, NodeChange, TokenRole},
    node::{Availability, Inventory, NodeReason},
    resources::Resources,
    time::{Span, TimeLimit, Timestamp},
};

use crate::{accounts, asks, cpus, gres, het, placing, preemption, qos, reservations, usage};

/// The entry that holds `event` in the golden files.
pub(crate) fn entry(event: Event) -> Entry {
    Entry {
        at: Timestamp(1_764_100_000_123),
        term: Term(7),
        sequence: 42,
        digest: 0x0123_4567_89AB_CDEF,
        request: Some(Answered {
            request: common::id::RequestId([0xA5; 16]),
            answer: Ok(Answer::Job(JobId(1_000))),
            forget_at: Span(1_764_100_120_123),
        }),
        events: vec![event],
    }
}

/// The name of an event's kind: a new kind does not compile before it stands here.
pub(crate) fn kind(event: &Event) -> &'static str {
    match event {
        Event::ClusterFormed { .. } => "cluster_formed",
        Event::ConfigSet { .. } => "config_set",
        Event::FormatRaised { .. } => "format_raised",
        Event::ControllerJoined { .. } => "controller_joined",
        Event::ControllerLeft { .. } => "controller_left",
        Event::ClusterRestored { .. } => "cluster_restored",
        Event::AuthoritiesSet { .. } => "authorities_set",
        Event::AccountsLoaded { .. } => "accounts_loaded",
        Event::ReservationCreated { .. } => "reservation_created",
        Event::ReservationUpdated { .. } => "reservation_updated",
        Event::ReservationDeleted { .. } => "reservation_deleted",
        #[cfg(feature = "next-event")]
        Event::Noted { .. } => "noted",
        Event::TokenIssued { .. } => "token_issued",
        Event::TokenSpent { .. } => "token_spent",
        Event::NodeRegistered { .. } => "node_registered",
        Event::NodeChanged { .. } => "node_changed",
        Event::BlobStored { .. } => "blob_stored",
        Event::JobSubmitted { .. } => "job_submitted",
        Event::JobHeld { .. } => "job_held",
        Event::JobReleased { .. } => "job_released",
        Event::JobUpdated { .. } => "job_updated",
        Event::JobAllocated { .. } => "job_allocated",
        Event::JobLaunching { .. } => "job_launching",
        Event::JobRunning { .. } => "job_running",
        Event::JobSignalled { .. } => "job_signalled",
        Event::SignalDelivered { .. } => "signal_delivered",
        Event::JobCompleting { .. } => "job_completing",
        Event::JobPreempted { .. } => "job_preempted",
        Event::JobEnded { .. } => "job_ended",
        Event::JobRequeued { .. } => "job_requeued",
        Event::TaskSplit { .. } => "task_split",
        Event::TasksCancelled { .. } => "tasks_cancelled",
        Event::ConditionSettled { .. } => "condition_settled",
        Event::JobForgotten { .. } => "job_forgotten",
    }
}

pub(crate) const JOB: JobId = JobId(1_000);
const SECOND: Attempt = Attempt(2);

/// All kinds, each with every field set; then those with optional fields once more, without.
pub(crate) fn events() -> Vec<Event> {
    let mut events = cluster();
    events.extend(jobs());
    events.extend(runs());
    events.extend(accounts::events());
    events.push(Event::ConfigSet { config: Arc::new(selective()) });
    events.extend(asks::events());
    events.extend(gres::events());
    events.push(in_one_of_several());
    events.extend(arrays());
    events.extend(asks::rare());
    events.push(for_another_account());
    events.extend(cpus::events());
    events.extend(reservations::events());
    events.extend(usage::events());
    events.extend(asks::times());
    events.push(cpus::asked());
    events.extend([preemption::events(), placing::events(), het::events(), qos::events()].concat());
    events
}

fn cluster() -> Vec<Event> {
    let ctl2 = ControllerName::from("ctl2");
    let n1 = NodeName::from("n1");
    let secret = ContentHash([0x5E; 32]);
    let reason = NodeReason { text: "bad disk".into(), by: UserId(0), at: Timestamp(5_000) };
    let change = |availability, drain, reason| NodeChange { availability, drain, reason };
    vec![
        Event::ClusterFormed { cluster: ClusterId([7; 16]), operator: UserId(500) },
        Event::ConfigSet { config: Arc::new(config()) },
        Event::ConfigSet { config: Arc::new(Config::defaults("bare")) },
        Event::FormatRaised { format: 1 },
        Event::ControllerJoined {
            controller: ctl2.clone(),
            raft_id: 0x1234_5678_9ABC_DEF0,
            address: "10.0.0.2:6817".into(),
        },
        Event::ControllerLeft { controller: ctl2 },
        Event::ClusterRestored {
            cluster: ClusterId([7; 16]),
            from: ClusterId([8; 16]),
            index: 104_200,
            next_job: 101_000,
            attempts: 1_000_000,
        },
        Event::AuthoritiesSet {
            signing: Bytes::from_static(b"one"),
            coming: Some(Bytes::from_static(b"two")),
            going: Some(Bytes::from_static(b"three")),
        },
        Event::AuthoritiesSet { signing: Bytes::from_static(b"one"), coming: None, going: None },
        Event::TokenIssued {
            secret,
            role: TokenRole::Controller,
            name: "ctl3".into(),
            expires: Timestamp(9_000),
        },
        Event::TokenSpent { secret },
        Event::NodeRegistered {
            node: n1.clone(),
            address: "10.0.1.1:6818".into(),
            inventory: Arc::new(inventory()),
        },
        Event::NodeChanged {
            node: n1.clone(),
            change: change(Availability::Lost, true, Some(reason)),
        },
        Event::NodeChanged { node: n1, change: change(Availability::Up, false, None) },
    ]
}

fn submitted(spec: JobSpec, hold: Hold, time_limit: TimeLimit) -> Event {
    Event::JobSubmitted {
        job: JOB,
        spec: Arc::new(spec),
        priority: 4_294_901_759,
        hold,
        time_limit,
        requeue: true,
    }
}

fn jobs() -> Vec<Event> {
    let content = Bytes::from_static(b"#!/bin/sh\ntrue\n");
    vec![
        Event::BlobStored { hash: ContentHash::of(&content), content },
        submitted(spec(), Hold::User, TimeLimit::Minutes(90)),
        submitted(bare_spec(), Hold::None, TimeLimit::Unlimited),
        Event::JobHeld { job: JOB, hold: Hold::Admin },
        Event::JobReleased { job: JOB, priority: 17 },
        Event::JobUpdated { job: JOB, changes: Arc::new(changes()) },
        Event::JobUpdated { job: JOB, changes: Arc::new(JobChanges::default()) },
        Event::JobForgotten { job: JOB },
        // Since format 2.
        submitted(dependent(), Hold::None, TimeLimit::Unlimited),
        Event::JobUpdated {
            job: JOB,
            changes: Arc::new(JobChanges {
                dependency: Some(Arc::new(Dependency::default())),
                ..JobChanges::default()
            }),
        },
        settled(Fate::Open),
        settled(Fate::Due(Timestamp(5_000))),
        settled(Fate::Met),
        settled(Fate::Failed),
    ]
}

fn arrays() -> Vec<Event> {
    vec![
        submitted(array(), Hold::None, TimeLimit::Unlimited),
        Event::JobUpdated {
            job: JOB,
            changes: Arc::new(JobChanges { array_limit: Some(0), ..JobChanges::default() }),
        },
        Event::TaskSplit { array: JOB, index: 7, job: JobId(1_001) },
        Event::TasksCancelled {
            array: JOB,
            tasks: Arc::new(TaskSet::parse("1-3,5-25:5", 1_001).expect("it is well formed")),
            end: End {
                at: Timestamp(8_000),
                state: EndState::Cancelled,
                exit: ExitStatus::default(),
                by: Some(UserId(7)),
                reason: None,
                message: None,
            },
        },
    ]
}

/// Since format 2.
fn for_another_account() -> Event {
    let (account, qos) = (Some("biology".into()), Some("long".into()));
    let changes = Arc::new(JobChanges { account, qos, ..JobChanges::default() });
    Event::JobUpdated { job: JOB, changes }
}

/// Since format 2.
fn in_one_of_several() -> Event {
    Event::JobAllocated {
        job: JOB,
        attempt: SECOND,
        incarnation: Incarnation(0xFEED_FACE_CAFE_BEEF),
        places: vec![Place::of(NodeName::from("n1"), Resources { cpus: 4, memory_mib: 0 }, 4)],
        deadline: None,
        partition: Some("debug".into()),
        stay: None,
        charge: None,
        time_limit: None,
    }
}

fn runs() -> Vec<Event> {
    let end = End {
        at: Timestamp(8_000),
        state: EndState::Cancelled,
        exit: ExitStatus { code: 3, signal: 15 },
        by: Some(UserId(1_001)),
        reason: Some(Reason::TimeLimit),
        message: Some("why".into()),
    };
    let bare = End {
        state: EndState::Completed,
        exit: ExitStatus::default(),
        by: None,
        reason: None,
        message: None,
        ..end
    };
    let again = Requeue { begin: Some(Timestamp(9_999)), hold: true };
    let place = |node: &str, cpus| {
        Place::of(NodeName::from(node), Resources { cpus, memory_mib: 2_048 }, 2)
    };
    let allocated = |deadline| Event::JobAllocated {
        job: JOB,
        attempt: SECOND,
        incarnation: Incarnation(0xFEED_FACE_CAFE_BEEF),
        places: vec![place("n1", 4), place("n2", 2)],
        deadline,
        partition: None,
        stay: None,
        charge: None,
        time_limit: None,
    };
    vec![
        allocated(Some(Timestamp(7_000))),
        allocated(None),
        Event::JobLaunching { job: JOB, attempt: SECOND },
        Event::JobRunning { job: JOB, attempt: SECOND },
        Event::JobSignalled {
            job: JOB,
            attempt: SECOND,
            signal: 10,
            scope: SignalScope::Batch,
            by: UserId(1_001),
            warning: true,
        },
        Event::SignalDelivered { job: JOB, attempt: SECOND, number: 3 },
        Event::JobCompleting { job: JOB, attempt: SECOND, end: end.clone(), requeue: Some(again) },
        Event::JobCompleting { job: JOB, attempt: SECOND, end: bare.clone(), requeue: None },
        Event::JobEnded { job: JOB, attempt: SECOND, end: end.clone() },
        Event::JobRequeued { job: JOB, attempt: SECOND, requeue: again, end: Some(end) },
        Event::JobRequeued {
            job: JOB,
            attempt: SECOND,
            requeue: Requeue { begin: None, hold: false },
            end: None,
        },
    ]
}

pub(crate) fn inventory() -> Inventory {
    Inventory {
        cpus: 64,
        boards: 1,
        sockets: 2,
        cores_per_socket: 16,
        threads_per_core: 2,
        memory_mib: 257_000,
        tmp_disk_mib: 900_000,
        architecture: "x86_64".into(),
        operating_system: "Linux 6.12.0 #1 SMP".into(),
        version: "0.1.0".into(),
        booted: Timestamp(1_000),
        daemon_started: Timestamp(2_000),
        incarnation: Incarnation(0xFEED_FACE_CAFE_BEEF),
        gres: None,
    }
}

pub(crate) fn config() -> Config {
    let mut config = Config::defaults("golden");
    config.def_memory = MemoryPer::Cpu(1_024);
    config.max_memory = MemoryPer::Node(64_000);
    config.login_hosts = vec!["login1".into()];
    config.nodes = vec![NodeConf {
        features: vec!["fast".into()],
        state: ConfiguredState::Drain,
        reason: Some("new".into()),
        ..NodeConf::defaults("n1")
    }];
    config.partitions = vec![PartitionConf {
        nodes: vec!["n1".into()],
        nodes_text: "n[1]".into(),
        default: true,
        state: PartitionState::Drain,
        max_time: TimeLimit::Minutes(60),
        default_time: Some(TimeLimit::Minutes(10)),
        max_nodes: Some(4),
        max_cpus_per_node: Some(8),
        def_memory: Some(MemoryPer::Node(512)),
        max_memory: Some(MemoryPer::Unlimited),
        ..PartitionConf::defaults("debug")
    }];
    config.settings.insert("KillWait".into(), "30".into());
    config
}

/// With partitions for some alone.
fn selective() -> Config {
    let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
    let partition = PartitionConf {
        allow_groups: names(&["physics", "chem"]),
        allow_accounts: names(&["theory"]),
        deny_accounts: names(&["guests"]),
        ..PartitionConf::defaults("some")
    };
    Config { partitions: vec![partition], ..Config::defaults("selective") }
}

pub(crate) fn bare_spec() -> JobSpec {
    JobSpec {
        name: "bare".into(),
        user: UserId(1_001),
        user_name: "alice".into(),
        group: GroupId(1_001),
        group_name: "alice".into(),
        partition: PartitionName::from("debug"),
        account: None,
        qos: None,
        layout: Layout::SINGLE,
        memory: MemoryRequest::Default,
        time_limit: None,
        required_nodes: vec![],
        excluded_nodes: vec![],
        exclusive: false,
        hold: false,
        begin: None,
        requeue: None,
        nice: 0,
        warn_signal: None,
        comment: None,
        script: ContentHash([1; 32]),
        environment: ContentHash([2; 32]),
        arguments: vec![],
        command: None,
        work_dir: "/home/alice".into(),
        std_in: None,
        std_out: None,
        std_err: None,
        open_mode: None,
        export: None,
        submit_line: "sbatch job.sh".into(),
        submit_host: "login1".into(),
        session: 77,
        umask: 0o22,
        limits: vec![],
        trace: None,
        dependency: None,
        kill_on_invalid_dep: None,
        array: None,
        constraint: None,
        tmp_disk_mib: 0,
        reservations: vec![],
        gres: None,
        asks: None,
        het: None,
    }
}

fn settled(fate: Fate) -> Event {
    Event::ConditionSettled { job: JOB, condition: 3, fate }
}

fn array() -> JobSpec {
    let array = ArraySpec::parse("0-999:4%50", 1_001).expect("it is well formed");
    JobSpec { array: Some(Arc::new(array)), ..bare_spec() }
}

/// A job that waits in each way.
fn dependent() -> JobSpec {
    let text = "after:1+5?afterany:2_7?afterok:3_*?afternotok:4?aftercorr:5?singleton";
    let mut dependency = Dependency::parse(text).expect("it is well formed");
    dependency.conditions[1].fate = Fate::Met;
    dependency.conditions[2].fate = Fate::Failed;
    dependency.conditions[3].fate = Fate::Due(Timestamp(7_000));
    JobSpec {
        dependency: Some(Arc::new(dependency)),
        kill_on_invalid_dep: Some(false),
        ..bare_spec()
    }
}

fn spec() -> JobSpec {
    JobSpec {
        account: Some("physics".into()),
        layout: Layout {
            min_nodes: 2,
            max_nodes: Some(4),
            nodes_given: true,
            tasks: 8,
            tasks_given: true,
            cpus_per_task: Some(2),
            tasks_per_node: Some(4),
            min_cpus_per_node: Some(3),
        },
        memory: MemoryRequest::PerCpu(512),
        time_limit: Some(TimeLimit::Minutes(90)),
        required_nodes: vec![NodeName::from("n1")],
        excluded_nodes: vec![NodeName::from("n3")],
        exclusive: true,
        hold: true,
        begin: Some(Timestamp(6_000)),
        requeue: Some(false),
        nice: -5,
        warn_signal: Some(WarnSignal {
            signal: 10,
            before: Span::from_seconds(60),
            batch_only: true,
        }),
        comment: Some("a comment".into()),
        arguments: vec!["one".into(), "two words".into()],
        command: Some("/home/alice/job.sh".into()),
        std_in: Some("/dev/null".into()),
        std_out: Some("o-%j".into()),
        std_err: Some("e-%j".into()),
        open_mode: Some(OpenMode::Append),
        export: Some("NONE".into()),
        limits: vec![ResourceLimit { resource: 7, soft: 1_024, hard: u64::MAX }],
        trace: Some("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".into()),
        ..bare_spec()
    }
}

fn changes() -> JobChanges {
    JobChanges {
        name: Some("other".into()),
        partition: Some(PartitionName::from("long")),
        time_limit: Some(TimeLimit::Unlimited),
        priority: Some(9),
        nice: Some(-3),
        begin: Some(Timestamp(4_000)),
        comment: Some("changed".into()),
        requeue: Some(false),
        min_nodes: Some(2),
        max_nodes: Some(3),
        tasks: Some(6),
        cpus_per_task: Some(2),
        memory: Some(MemoryRequest::PerNode(0)),
        required_nodes: Some(vec![]),
        excluded_nodes: Some(vec![NodeName::from("n9")]),
        std_out: Some("out".into()),
        std_err: Some("err".into()),
        dependency: None,
        array_limit: None,
        constraint: None,
        tmp_disk_mib: None,
        account: None,
        qos: None,
        asks: AskChanges::default(),
        reservations: None,
    }
}
