//! A whole life of a cluster as it was once written: it must apply for ever, to the same state.

use std::sync::Arc;

use bytes::Bytes;
use common::{
    id::{Attempt, ClusterId, Incarnation, JobId, NodeName, RequestId, Term, UserId},
    job::{ExitStatus, Place},
    machine::{Allocation, By, Command, Entry, Report, State, Submission, decide},
    node::Inventory,
    resources::Resources,
    time::Timestamp,
};
use proto::convert::{StateReader, decode_batch, encode_batch, state_records};

use crate::{golden::golden, refusals::refused, samples};

/// What the state's digest is after the golden story.
const DIGEST: u64 = 0x7BE2_052E_2746_7BFB;

fn commands() -> Vec<Command> {
    let n1 = NodeName::from("n1");
    let mut config = samples::config();
    config.nodes[0].state = common::config::ConfiguredState::Unknown;
    config.nodes[0].cpus = 8;
    config.partitions[0].state = common::config::PartitionState::Up;
    let by = |number| By { user: UserId(1_001), request: RequestId([number; 16]) };
    let submit = |number| {
        Command::Submit(Box::new(Submission {
            by: by(number),
            spec: samples::bare_spec(),
            components: vec![],
            script: Bytes::from_static(b"#!/bin/sh\ntrue\n"),
            environment: Bytes::from_static(b"PATH=/bin\0"),
        }))
    };
    let inventory = Inventory {
        cpus: 8,
        boards: 1,
        sockets: 1,
        cores_per_socket: 8,
        threads_per_core: 1,
        memory_mib: 16_000,
        tmp_disk_mib: 0,
        architecture: "x86_64".into(),
        operating_system: "Linux".into(),
        version: "0.1.0".into(),
        booted: Timestamp(1),
        daemon_started: Timestamp(2),
        incarnation: Incarnation(9),
        gres: None,
    };
    let allocate = Command::Allocate(Allocation {
        job: JobId(1),
        attempt: Attempt::FIRST,
        task: None,
        asked: Arc::new(samples::bare_spec()),
        partition: None,
        time_limit: None,
        places: vec![Place::of(n1.clone(), Resources { cpus: 2, memory_mib: 0 }, 1)],
        others: vec![],
    });
    let report = |report| Command::Report {
        node: n1.clone(),
        job: JobId(1),
        attempt: Attempt::FIRST,
        report,
    };
    let exit = ExitStatus { code: 2, signal: 0 };
    vec![
        Command::Form {
            cluster: ClusterId([7; 16]),
            operator: UserId(500),
            config: Arc::new(config),
        },
        Command::Register {
            node: n1.clone(),
            address: "n1:6818".into(),
            inventory: Box::new(inventory),
        },
        submit(1),
        submit(2),
        allocate,
        report(Report::Launching),
        report(Report::Running),
        report(Report::Ended { at: Timestamp(1_006_000), exit, out_of_memory: false }),
        Command::Cancel { by: by(3), job: JobId(2), signal: None },
        submit(4),
    ]
}

/// The story as today's `decide` tells it.
fn told() -> Vec<Entry> {
    let mut state = State::default();
    let mut entries = Vec::new();
    for (at, mut command) in commands().into_iter().enumerate() {
        let at = Timestamp(1_000_000 + 1_000 * at as u64);
        if let Command::Allocate(allocation) = &mut command {
            allocation.asked = state.jobs[&allocation.job].spec.clone();
        }
        let decided = decide(&state, at, command).expect("no command of the story is refused");
        let entry = Entry {
            at,
            term: Term(1),
            sequence: entries.len() as u64 + 1,
            digest: state.digest,
            request: decided.request,
            events: decided.events,
        };
        state.apply(&entry);
        entries.push(entry);
    }
    entries
}

fn released() -> Vec<Entry> {
    let bytes = golden("story", &encode_batch(&told()));
    decode_batch(bytes.into()).expect("it decodes for ever")
}

/// What it comes to.
pub(crate) fn state() -> State {
    applied(&released())
}

fn applied(entries: &[Entry]) -> State {
    let mut state = State::default();
    for entry in entries {
        state.apply(entry);
        state.check();
    }
    state
}

/// Each entry carries the digest before it, so a step that is applied differently stops the next.
#[test]
fn the_golden_story_applies_to_the_same_state_for_ever() {
    let state = applied(&released());
    assert_eq!(state.digest, DIGEST, "{:#018X}", state.digest);
    assert_eq!((state.next_job, state.jobs.len(), state.nodes.len()), (4, 3, 1));
}

#[test]
fn a_state_survives_its_snapshot() {
    let mut state = applied(&released());
    let sequence = state.sequence + 1;
    state.apply(&Entry {
        sequence,
        at: state.at,
        term: state.term,
        digest: state.digest,
        ..refused()
    });
    assert!(state.requests.values().any(|known| known.answer.is_err()));
    let mut reader = StateReader::default();
    for record in state_records(&state) {
        reader.take(record).expect("a record of ours");
    }
    assert_eq!(reader.finish().expect("a whole state"), state);
}
