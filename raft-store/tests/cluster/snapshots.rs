//! Snapshots: on one's own disk, and for those who are behind.

use std::{
    fs,
    path::PathBuf,
    time::{Duration, Instant},
};

use raft_store::{Options, RestoreError, StoreError};

use crate::world::{BOUND, World};

/// A snapshot each few batches, and little left of the log behind it.
fn often(options: &mut Options) {
    options.snapshot_every = 20;
    options.keep_behind_snapshot = 5;
}

fn snapshots(world: &World, node: usize) -> Vec<PathBuf> {
    let folder = world.nodes[node].folder.join("snapshots");
    let files = fs::read_dir(folder).expect("a folder");
    let files = files.map(|file| file.expect("a file").path());
    files.filter(|path| !path.to_string_lossy().contains("unfinished")).collect()
}

/// Waits until `met`, and fails where it takes too long.
fn until(what: &str, mut met: impl FnMut() -> bool) {
    let deadline = Instant::now() + BOUND;
    while !met() {
        assert!(Instant::now() < deadline, "still not: {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn a_store_opens_from_its_snapshot_and_the_log_behind_it() {
    let (mut world, mut head) = World::formed_with(often);
    let mut jobs = Vec::new();
    for number in 0..60 {
        let (entry, job) = head.submit(&format!("#!/bin/sh\necho {number}\n"));
        world.append(0, &head, &[entry]).expect("appended");
        jobs.push(job);
    }
    until("one snapshot", || snapshots(&world, 0).len() == 1);
    let (entry, _) = head.submit("last");
    world.append(0, &head, &[entry]).expect("appended");
    world.nodes[0].kill();
    world.start(0);
    let after = world.lead(0);
    assert_eq!(after.state, head.state);
    after.state.check();
    for job in jobs {
        let script = after.state.job(job).expect("it is there").spec.script;
        assert!(world.log(0).blob(script).unwrap().is_some(), "the script of job {job}");
    }
    let history = world.log(0).history().entries(0, 1_000).unwrap();
    assert_eq!(history.len(), 63, "formed, registered, and 61 submissions");
}

#[test]
fn a_follower_far_behind_gets_a_snapshot_with_contents_and_history() {
    let (mut world, mut head) = World::three(often);
    world.nodes[2].kill();
    for number in 0..100 {
        let (submitted, job) = head.submit(&format!("#!/bin/sh\necho {number}\n"));
        let mut entries = vec![submitted];
        if number % 2 == 0 {
            entries.extend(head.run(job));
        }
        if number % 4 == 0 {
            entries.push(head.forget(job));
        }
        world.append(0, &head, &entries).expect("appended");
    }
    until("a snapshot", || !snapshots(&world, 0).is_empty());
    let (entry, _) = head.submit("last");
    let index = world.append(0, &head, &[entry]).expect("appended");
    world.start(2);
    assert_eq!(world.applied(2, index), head.state);
    let (leader, follower) = (world.log(0), world.log(2));
    for hash in head.state.blobs.keys() {
        assert_eq!(follower.blob(*hash).unwrap(), leader.blob(*hash).unwrap());
    }
    let entries = leader.history().entries(0, 10_000).unwrap();
    assert_eq!(follower.history().entries(0, 10_000).unwrap(), entries);
    for job in (1..=100).map(common::id::JobId) {
        let ended = leader.history().ended_job(job).unwrap();
        assert_eq!(ended.is_some(), job.0 % 2 == 1, "job {job}");
        assert_eq!(follower.history().ended_job(job).unwrap(), ended);
        let of_job = leader.history().of_job(job, 0, 100).unwrap();
        assert!(!of_job.is_empty());
        assert_eq!(follower.history().of_job(job, 0, 100).unwrap(), of_job);
    }
    drop((leader, follower));
    // It is a whole controller again: it may lead.
    world.nodes[0].kill();
    let next = world.leader();
    assert_eq!(world.lead(next).state, head.state);
    world.nodes[2].kill();
    world.start(2);
    assert_eq!(world.applied(2, index), head.state);
}

/// More than a message holds: of the state, and of one script.
#[test]
fn a_snapshot_of_thousands_of_jobs_is_sent_in_chunks() {
    let (mut world, mut head) = World::three(often);
    world.nodes[2].kill();
    let long = "#!/bin/sh\n".to_owned() + &"true\n".repeat(600_000);
    let (entry, job) = head.submit(&long);
    world.append(0, &head, &[entry]).expect("appended");
    for _ in 0..80 {
        let entries: Vec<_> = (0..100).map(|_| head.submit("true").0).collect();
        world.append(0, &head, &entries).expect("appended");
    }
    let large = |path: &PathBuf| fs::metadata(path).is_ok_and(|file| file.len() > 1 << 20);
    until("a snapshot of several chunks", || snapshots(&world, 0).iter().any(large));
    let (entry, _) = head.submit("last");
    let index = world.append(0, &head, &[entry]).expect("appended");
    world.start(2);
    assert!(world.applied(2, index) == head.state);
    let script = head.state.job(job).expect("it is there").spec.script;
    assert_eq!(world.log(2).blob(script).unwrap().expect("sent, too"), long.as_bytes());
    world.nodes[2].kill();
    world.start(2);
    assert!(world.applied(2, index) == head.state);
}

#[test]
fn large_batches_cause_a_snapshot_though_they_are_few() {
    let (mut world, mut head) = World::formed_with(|options| options.snapshot_bytes = 1 << 20);
    for number in 0..30 {
        let (entry, _) = head.submit(&format!("#!{}{number}", "x".repeat(100 << 10)));
        world.append(0, &head, &[entry]).expect("appended");
    }
    until("a snapshot", || !snapshots(&world, 0).is_empty());
    world.nodes[0].kill();
    world.start(0);
    assert_eq!(world.lead(0).state, head.state);
}

#[test]
fn the_history_is_kept_as_long_as_the_configuration_says() {
    let (world, mut head) = World::formed();
    let (submitted, old) = head.submit("true");
    let mut entries = vec![submitted];
    entries.extend(head.run(old));
    world.append(0, &head, &entries).expect("appended");
    head.pass(24 * 3_600);
    let (submitted, young) = head.submit("true");
    let mut entries = vec![submitted];
    entries.extend(head.run(young));
    let index = world.append(0, &head, &entries).expect("appended");
    head.pass(2 * 24 * 3_600);
    let (entry, _) = head.submit("true");
    world.append(0, &head, &[entry]).expect("appended");
    let history = world.log(0).history();
    until("pruned", || history.ended_job(old).expect("read").is_none());
    let kept = history.entries(0, 100).unwrap();
    assert_eq!(kept.first().map(|(index, _)| *index), Some(index), "two days and a bit");
    assert_eq!(kept.len(), 4);
    assert_eq!(history.of_job(old, 0, 100).unwrap(), []);
    assert!(history.ended_job(young).unwrap().is_some());
}

#[test]
fn a_damaged_snapshot_is_refused_with_advice() {
    let (mut world, mut head) = World::formed_with(often);
    for _ in 0..60 {
        let (entry, _) = head.submit("true");
        world.append(0, &head, &[entry]).expect("appended");
    }
    until("one snapshot", || snapshots(&world, 0).len() == 1);
    // So that the log was cut off behind it.
    for _ in 0..30 {
        let (entry, _) = head.submit("true");
        world.append(0, &head, &[entry]).expect("appended");
    }
    world.nodes[0].stop();
    let path = snapshots(&world, 0).pop().expect("a snapshot");
    let whole = fs::read(&path).unwrap();
    let mut places: Vec<usize> = (0..whole.len()).step_by(whole.len() / 20).collect();
    places.extend([1, 2, 3, 4, 8, whole.len() - 1]);
    for place in places {
        let mut damaged = whole.clone();
        damaged[place] ^= 0x20;
        fs::write(&path, damaged).unwrap();
        let refused = world.try_start(0).expect_err("it is damaged");
        assert!(matches!(refused, StoreError::Damaged { .. }), "{refused}");
        assert!(refused.to_string().contains("join anew, empty"), "{refused}");
    }
    for length in [0, 1, 12, whole.len() / 2, whole.len() - 1] {
        fs::write(&path, &whole[..length]).unwrap();
        assert!(matches!(world.try_start(0), Err(StoreError::Damaged { .. })), "{length}");
    }
    fs::remove_file(&path).unwrap();
    assert!(matches!(world.try_start(0), Err(StoreError::Damaged { .. })), "it is missing");
    // Nor is a cluster made from what is left.
    let scratch = world.folder.path().join("scratch");
    let looked = raft_store::look(&world.nodes[0].folder, &scratch, &world.nodes[0].identity);
    assert!(matches!(looked, Err(RestoreError::Store(StoreError::Damaged { .. }))), "{looked:?}");
    fs::write(&path, whole).unwrap();
    world.start(0);
    assert_eq!(world.lead(0).state, head.state);
}
