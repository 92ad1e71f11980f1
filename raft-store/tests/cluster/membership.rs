//! Who takes part, and who may not.

use std::{
    path::Path,
    time::{Duration, Instant},
};

use raft_store::{Identity, Log, MembershipError, StoreError};

use crate::world::{BOUND, World};

#[test]
fn admitting_and_dismissing_may_be_repeated() {
    let (world, _) = World::three(|_| {});
    let log = world.log(0);
    let Identity { raft_id, name, address, .. } = world.nodes[1].identity.clone();
    world.run(0, log.admit(raft_id, &name, &address)).expect("it is in already");
    assert_eq!(
        world.run(0, log.admit(raft_id, "ctl9", &address)),
        Err(MembershipError::Taken { raft_id, name })
    );
    world.run(0, log.dismiss(3)).expect("dismissed");
    world.run(0, log.dismiss(3)).expect("it is out already");
    world.run(0, log.dismiss(2)).expect("dismissed");
    assert_eq!(log.members().len(), 1);
    assert_eq!(world.run(0, log.dismiss(1)), Err(MembershipError::Last));
    assert_eq!(world.run(1, world.log(1).dismiss(1)), Err(MembershipError::NotLeader));
}

#[test]
fn a_controller_may_move_to_another_address() {
    let (world, _) = World::three(|_| {});
    let log = world.log(0);
    world.run(0, log.admit(2, "ctl2", "127.0.0.1:1")).expect("moved");
    let members = log.members();
    assert_eq!(members[1].address, "127.0.0.1:1");
    assert!(members[1].voter);
}

#[test]
fn a_leader_that_is_dismissed_is_followed_by_another() {
    let (world, _) = World::three(|_| {});
    world.run(0, world.log(0).dismiss(1)).expect("dismissed");
    let deadline = Instant::now() + BOUND;
    while world.leader() == 0 {
        assert!(Instant::now() < deadline, "it still leads");
        std::thread::sleep(Duration::from_millis(10));
    }
    let leader = world.leader();
    let mut head = world.lead(leader);
    let (entry, _) = head.submit("true");
    world.append(leader, &head, &[entry]).expect("two go on");
    assert_eq!(world.log(leader).members().len(), 2);
}

#[test]
fn a_controller_that_lost_its_store_comes_back_under_another_number_only() {
    let (mut world, mut head) = World::three(|_| {});
    let (entry, _) = head.submit("true");
    world.append(0, &head, &[entry]).expect("appended");
    world.nodes[2].kill();
    std::fs::remove_dir_all(&world.nodes[2].folder).unwrap();
    assert!(matches!(world.try_start(2), Err(StoreError::Missing { .. })));

    // A new store of that name and address gets a new number, and nothing of the old one's.
    let log = world.log(0);
    let mut identity = world.nodes[2].identity.clone();
    identity.raft_id = 33;
    Log::create(&world.nodes[2].folder, &identity).expect("a store");
    world.nodes[2].identity = identity;
    world.start(2);
    let index = log.applied().index;
    let refused = World::settled(|| world.log(2).applied().index != 0);
    assert!(!refused, "messages for number 3 must not reach number 33");
    world.run(0, log.dismiss(3)).expect("dismissed");
    let Identity { raft_id, name, address, .. } = world.nodes[2].identity.clone();
    world.run(0, log.admit(raft_id, &name, &address)).expect("admitted");
    assert_eq!(world.applied(2, index), head.state);
}

/// Two majorities are needed between the steps of a change. A leader that dies there leaves them to
/// the next one, which must see that there is something to finish.
#[test]
fn a_change_that_its_leader_did_not_finish_is_finished_by_the_next() {
    let (mut world, _) = World::formed();
    let node = world.add(2);
    world.start(node);
    let Identity { raft_id, name, address, .. } = world.nodes[node].identity.clone();
    let log = world.log(0);
    world.run(0, log.learn(raft_id, &name, &address)).expect("it learns");
    // The first step needs both, and one of them dies in it; then so does the other.
    world.nodes[node].kill();
    let promoted = async { tokio::time::timeout(BOUND / 60, log.promote(raft_id)).await };
    assert!(world.run(0, promoted).is_err(), "half of two is no majority");
    drop(log);
    world.nodes[0].kill();
    for node in [0, 1] {
        world.start(node);
    }
    let leader = world.leader();
    let log = world.log(leader);
    let unfinished = log.members().iter().any(|member| !member.voter);
    assert!(unfinished, "one of them counts in one of two sets: {:?}", log.members());
    world.run(leader, log.promote(2)).expect("finished");
    assert!(log.members().iter().all(|member| member.voter));
}

#[test]
fn one_that_is_not_there_does_not_become_a_voter() {
    let (mut world, mut head) = World::formed_with(|options| {
        options.catch_up = Duration::from_millis(500);
    });
    let node = world.add(2);
    let log = world.log(0);
    let Identity { raft_id, name, address, .. } = world.nodes[node].identity.clone();
    let admitted = world.run(0, log.admit(raft_id, &name, &address));
    assert_eq!(admitted, Err(MembershipError::Behind { name: name.clone() }));
    // One is still a majority, and the next try goes on where this one stopped.
    let (entry, _) = head.submit("true");
    let index = world.append(0, &head, &[entry]).expect("appended");
    world.start(node);
    let deadline = Instant::now() + BOUND;
    while world.run(0, log.admit(raft_id, &name, &address)).is_err() {
        assert!(Instant::now() < deadline, "it never catches up");
    }
    assert_eq!(world.applied(node, index), head.state);
    assert!(log.members().iter().all(|member| member.voter));
}

#[test]
fn a_store_that_went_back_in_time_is_not_believed() {
    let (mut world, mut head) = World::three(|_| {});
    world.nodes[2].stop();
    let (folder, kept) = (world.nodes[2].folder.clone(), world.folder.path().join("kept"));
    copy(&folder, &kept);
    world.start(2);
    let mut last = 0;
    for _ in 0..10 {
        let (entry, _) = head.submit("true");
        last = world.append(0, &head, &[entry]).expect("appended");
    }
    // The leader has to know that it has them.
    let deadline = Instant::now() + BOUND;
    while !world.log(0).progress().iter().any(|peer| peer.raft_id == 3 && peer.matched >= last) {
        assert!(Instant::now() < deadline, "it is never confirmed");
        std::thread::sleep(Duration::from_millis(5));
    }
    let term = world.log(0).leadership().borrow().term;
    world.nodes[2].kill();
    std::fs::remove_dir_all(&folder).unwrap();
    copy(&kept, &folder);
    world.start(2);
    assert!(!World::settled(|| world.log(2).applied().index >= last), "it was believed");
    // The others are not disturbed: the same one leads, and goes on.
    let (entry, _) = head.submit("true");
    world.append(0, &head, &[entry]).expect("appended");
    assert_eq!(world.log(0).leadership().borrow().term, term);
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir(to).expect("a folder");
    for item in std::fs::read_dir(from).expect("a folder") {
        let path = item.expect("an entry").path();
        let other = to.join(path.file_name().expect("a name"));
        if path.is_dir() {
            copy(&path, &other);
        } else {
            std::fs::copy(&path, &other).expect("copied");
        }
    }
}

#[test]
fn another_cluster_s_controller_reaches_nobody() {
    let (world, _) = World::three(|_| {});
    let (other, mut head) = World::formed_with(|options| {
        options.catch_up = Duration::from_secs(1);
    });
    let address = world.nodes[1].identity.address.clone();
    let before = world.log(1).applied().index;
    // Its leader tries to take ours in: TLS lets neither talk to the other.
    let (log, leadership) = (other.log(0), world.log(1).leadership());
    let admitted = other.run(0, log.admit(2, "ctl2", &address));
    assert_eq!(admitted, Err(MembershipError::Behind { name: "ctl2".into() }));
    assert_eq!(world.log(1).applied().index, before);
    assert!(!leadership.has_changed().expect("the log lives"), "it was disturbed");
    let (entry, _) = head.submit("true");
    other.append(0, &head, &[entry]).expect("nor is its own cluster disturbed");
}
