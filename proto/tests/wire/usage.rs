//! What runs are charged, and what was used.

use std::sync::Arc;

use common::{
    account::parse,
    config::{Config, PartitionConf},
    id::{Attempt, Incarnation, NodeName},
    job::{Charge, Place},
    machine::{Bucket, Event, Owner, State, Usage},
    resources::Resources,
};
use proto::{
    convert::{StateReader, state_digest, state_records},
    log::{StateRecord, state_record::Kind},
};

use crate::samples::JOB;

const FILE: &str = "QOS - 'dear':UsageFactor=2.5\nCluster - 'ref':Fairshare=3";

pub(crate) fn events() -> Vec<Event> {
    let dear = parse(FILE).expect("a good file").accounts;
    let partition = PartitionConf {
        billing_weights: "CPU=1.0,Mem=0.25G".to_owned(),
        ..PartitionConf::defaults("billed")
    };
    let selective = PartitionConf {
        allow_qos: vec!["long".to_owned()],
        deny_qos: vec!["short".to_owned(), "free".to_owned()],
        ..PartitionConf::defaults("some")
    };
    let selective = Config { partitions: vec![selective], ..Config::defaults("qos") };
    let billed = Config { partitions: vec![partition], ..Config::defaults("billed") };
    vec![
        Event::JobAllocated {
            job: JOB,
            attempt: Attempt(2),
            incarnation: Incarnation(0xFEED_FACE_CAFE_BEEF),
            places: vec![Place::of(
                NodeName::from("n1"),
                Resources { cpus: 4, memory_mib: 2_048 },
                2,
            )],
            deadline: None,
            partition: None,
            stay: None,
            charge: Some(Charge(4_500_000)),
            time_limit: None,
        },
        Event::AccountsLoaded { accounts: Arc::new(dear) },
        Event::ConfigSet { config: Arc::new(billed) },
        Event::ConfigSet { config: Arc::new(selective) },
    ]
}

fn owner(user: &str, partition: Option<&str>) -> Owner {
    let partition = partition.map(str::to_owned);
    Owner { account: "physics".to_owned(), user: user.to_owned(), partition }
}

fn state() -> State {
    let mut usage = Usage::default();
    let bucket = |hour, hours, amount| Bucket { hour, hours, amount };
    usage.insert(owner("alice", None), vec![bucket(24, 24, 7), bucket(48, 1, u64::MAX)]);
    usage.insert(owner("alice", Some("gpu")), vec![bucket(48, 1, 9)]);
    State { usage, ..State::default() }
}

fn read(records: impl IntoIterator<Item = StateRecord>) -> Result<State, proto::Invalid> {
    let mut reader = StateReader::default();
    for record in records {
        reader.take(record)?;
    }
    reader.finish()
}

#[test]
fn a_snapshot_keeps_what_was_used() {
    let state = state();
    assert_eq!(read(state_records(&state)), Ok(state.clone()));
    assert_ne!(state_digest(&state), state_digest(&State::default()), "it is digested");
}

#[test]
fn hours_that_overlap_are_refused() {
    let change = |change: fn(&mut proto::log::UsageRecord)| {
        let mut records: Vec<_> = state_records(&state()).collect();
        for record in &mut records {
            if let Some(Kind::Usage(usage)) = &mut record.kind {
                change(usage);
            }
        }
        read(records)
    };
    assert!(change(|_| ()).is_ok());
    assert!(change(|usage| usage.buckets[0].hours = 25).is_err());
    assert!(change(|usage| usage.buckets[0].hour = u32::MAX).is_err());
    assert!(change(|usage| usage.buckets.reverse()).is_err());
}
