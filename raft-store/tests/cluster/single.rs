//! One controller by itself.

use common::id::ContentHash;
use raft_store::{Lost, StoreError};

use crate::world::World;

#[test]
fn what_was_acknowledged_is_there_after_a_crash() {
    let (mut world, mut head) = World::formed();
    let (entry, job) = head.submit("#!/bin/sh\ntrue\n");
    world.append(0, &head, &[entry]).expect("appended");
    let before = world.log(0).applied();
    assert_eq!(before.state, head.state);
    world.nodes[0].kill();
    world.start(0);
    let head = world.lead(0);
    assert!(head.state.job(job).is_some());
    assert_eq!(head.state, before.state);
    assert!(world.log(0).leadership().borrow().term > before.state.term.0, "a new term");
}

#[test]
fn a_batch_of_another_term_is_not_appended() {
    let (world, mut head) = World::formed();
    let before = world.log(0).applied().index;
    let (entry, _) = head.submit("true");
    let batch = proto::convert::encode_batch(&[entry]);
    let term = head.state.term.0;
    assert_eq!(world.run(0, world.log(0).append(batch, term + 1)), Err(Lost));
    assert_eq!(world.log(0).applied().index, before);
}

#[test]
fn a_void_entry_is_passed_over_and_reported() {
    let (world, mut head) = World::formed();
    let (lost, _) = head.submit("true");
    let (void, job) = head.submit("true");
    assert_eq!(world.append(0, &head, &[void]), Err(Lost), "its forerunner is missing");
    assert!(world.log(0).applied().state.job(job).is_none());
    drop(lost);
    // What follows from the state as it is counts again.
    let mut head = world.lead(0);
    let (entry, job) = head.submit("true");
    world.append(0, &head, &[entry]).expect("appended");
    assert!(world.log(0).applied().state.job(job).is_some());
}

#[test]
fn giving_up_the_term_starts_another_one() {
    let (world, head) = World::formed();
    let term = head.state.term.0;
    world.run(0, async { world.log(0).campaign() });
    let next = world.until(0, |leadership| leadership.ready && leadership.term > term);
    assert_eq!(next.leader.as_deref(), Some("ctl1"));
    let mut head = world.lead(0);
    let (entry, _) = head.submit("true");
    world.append(0, &head, &[entry]).expect("appended");
}

#[test]
fn contents_and_history_follow_the_log() {
    let (world, mut head) = World::formed();
    let (submitted, job) = head.submit("#!/bin/sh\nhostname\n");
    let script = head.state.job(job).expect("submitted").spec.script;
    let index = world.append(0, &head, &[submitted]).expect("appended");
    let log = world.log(0);
    assert_eq!(log.blob(script).unwrap().unwrap(), "#!/bin/sh\nhostname\n");
    assert_eq!(log.blob(ContentHash([9; 32])).unwrap(), None);
    assert!(log.history().ended_job(job).unwrap().is_none());

    let entries = head.run(job);
    world.append(0, &head, &entries).expect("appended");
    let ended = log.history().ended_job(job).unwrap().expect("it ended");
    assert_eq!(&ended, head.state.job(job).unwrap().as_ref());

    let forgotten = head.forget(job);
    let last = world.append(0, &head, std::slice::from_ref(&forgotten)).expect("appended");
    assert_eq!(log.blob(script).unwrap(), None, "nobody uses it any more");
    assert_eq!(log.history().ended_job(job).unwrap(), Some(ended), "the history keeps it");
    let of_job = log.history().of_job(job, 0, 100).unwrap();
    assert_eq!(of_job.iter().map(|(index, _)| *index).collect::<Vec<_>>().len(), 4);
    assert_eq!(of_job.first().unwrap().0, index);
    assert_eq!(of_job.last().unwrap(), &(last, forgotten));
    let all = log.history().entries(0, 1_000).unwrap();
    assert_eq!(all.len(), 6, "formed, registered, submitted, allocated, ended, forgotten");
    assert_eq!(log.history().entries(last, 10).unwrap(), []);
}

#[test]
fn a_store_is_opened_by_its_owner_alone() {
    let (mut world, _) = World::formed();
    let open = world.options(0);
    let keyring = world.keyring("ctl1");
    let again = world.run(0, raft_store::Log::open(open.clone(), keyring.clone()));
    assert!(matches!(again, Err(StoreError::Locked { .. })), "it is open already");
    world.nodes[0].stop();

    world.nodes[0].identity.raft_id = 2;
    assert!(matches!(world.try_start(0), Err(StoreError::Foreign { raft_id: 1, .. })));
    world.nodes[0].identity.raft_id = 1;
    world.nodes[0].identity.cluster.0[0] ^= 1;
    assert!(matches!(world.try_start(0), Err(StoreError::Foreign { .. })));
    world.nodes[0].identity.cluster.0[0] ^= 1;
    world.nodes[0].identity.name = "ctl2".into();
    assert!(matches!(world.try_start(0), Err(StoreError::Foreign { .. })));
    world.nodes[0].identity.name = "ctl1".into();
    world.start(0);
    world.lead(0);
}

#[test]
fn a_store_without_its_history_is_refused() {
    let (mut world, _) = World::formed();
    world.nodes[0].stop();
    std::fs::remove_dir_all(world.nodes[0].folder.join("history")).unwrap();
    let refused = world.try_start(0).expect_err("the contents of scripts are gone");
    assert!(matches!(refused, StoreError::Damaged { .. }), "{refused}");
}

#[test]
fn a_wiped_store_is_refused_and_none_is_made_over_another() {
    let (mut world, _) = World::formed();
    world.nodes[0].stop();
    let (folder, identity) = (world.nodes[0].folder.clone(), world.nodes[0].identity.clone());
    let again = raft_store::Log::create(&folder, &identity);
    assert!(matches!(again, Err(StoreError::Exists { .. })), "{again:?}");
    std::fs::remove_dir_all(&folder).unwrap();
    let refused = world.try_start(0).expect_err("it is gone");
    assert!(matches!(refused, StoreError::Missing { .. }));
    assert!(refused.to_string().contains("rafter controller remove"), "{refused}");
}
