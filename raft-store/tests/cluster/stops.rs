//! When the log can't go on, it says so, and acknowledges nothing.

use std::{
    fs,
    path::Path,
    process::{Command, Stdio},
};

use bytes::Bytes;
use common::{id::Term, machine::Entry, time::Timestamp};
use proto::convert::encode_batch;
use raft_store::Lost;

use crate::world::World;

#[test]
fn an_entry_that_can_t_be_decoded_stops_whoever_would_apply_it() {
    let (world, head) = World::three(|_| {});
    let log = world.log(0);
    let batch = Bytes::from_static(&[0x0A, 0xFF, 0xFF]);
    assert_eq!(world.run(0, log.append(batch, head.state.term.0)), Err(Lost));
    let stopped = world.run(0, log.stopped());
    assert!(stopped.reason.contains("can't be decoded"), "{stopped}");
    world.until(0, |known| !known.ready && known.leader.is_none());
    // One of the others leads next, commits the entry, and stops as well. The last one is alone
    // then, and may never hear that it is committed.
    let (second, third) = (world.log(1), world.log(2));
    let stopped = world.run(1, async {
        tokio::select! {
            stopped = second.stopped() => stopped,
            stopped = third.stopped() => stopped,
        }
    });
    assert!(stopped.reason.contains("can't be decoded"), "{stopped}");
    let read = world.run(0, log.read_barrier());
    assert!(read.is_err(), "{read:?}");
    let more = world.run(0, log.append(encode_batch(&[]), head.state.term.0));
    assert_eq!(more, Err(Lost));
}

#[test]
fn an_event_of_a_newer_release_stops_the_log() {
    let (world, head) = World::formed();
    // One entry, one event, of a kind that nobody knows.
    let event = [(500_u32 << 3 | 2) as u8 | 0x80, (500_u32 << 3 >> 7) as u8, 0];
    let mut entry = vec![0x2A, event.len() as u8];
    entry.extend(event);
    entry.extend([0x08, 0x7F, 0x10, head.state.term.0 as u8, 0x30, 0x03]);
    let mut batch = vec![0x0A, entry.len() as u8];
    batch.extend(entry);
    let append = world.log(0).append(batch.into(), head.state.term.0);
    assert_eq!(world.run(0, append), Err(Lost));
    let stopped = world.run(0, world.log(0).stopped());
    assert!(stopped.reason.contains("newer release"), "{stopped}");
}

#[test]
fn a_state_that_can_t_follow_stops_the_log() {
    let (world, head) = World::formed();
    let entry = Entry {
        at: Timestamp(u64::MAX),
        term: Term(head.state.term.0),
        sequence: head.state.sequence + 1,
        digest: head.state.digest ^ 1,
        request: None,
        events: vec![],
    };
    let append = world.log(0).append(encode_batch(&[entry]), head.state.term.0);
    assert_eq!(world.run(0, append), Err(Lost));
    let stopped = world.run(0, world.log(0).stopped());
    assert!(stopped.reason.contains("diverged"), "{stopped}");
}

/// Where the test inside the small file system finds it.
const SMALL: &str = "RAFTER_TEST_SMALL_DISK";

/// Runs `test` again in a mount namespace of its own, where `prepare` has made a file system in
/// the folder `$1/disk`. Where the machine does not let it be made, there is nothing to test.
fn on_a_disk_of_its_own(namespace: &[&str], prepare: &str, test: &str, variable: &str) {
    let folder = tempfile::tempdir().expect("a folder");
    let run = "echo prepared && exec \"$2\" --exact --ignored --nocapture \"$3\"";
    let script = format!("mkdir \"$1/disk\" && {prepare} && {run}");
    let ran = Command::new("unshare")
        .args(namespace)
        .args(["sh", "-c", &script, "sh"])
        .arg(folder.path())
        .arg(std::env::current_exe().expect("this test"))
        .arg(test)
        .env(variable, folder.path().join("disk"))
        .stdin(Stdio::null())
        .output()
        .expect("unshare of util-linux");
    let output = String::from_utf8_lossy(&ran.stdout);
    let errors = String::from_utf8_lossy(&ran.stderr);
    if !output.contains("prepared") {
        println!("skipped: no file system could be made: {errors}");
        return;
    }
    assert!(ran.status.success(), "{output}\n{errors}");
    assert!(output.contains("1 passed"), "{output}\n{errors}");
}

#[test]
fn a_full_disk_stops_the_log_and_loses_nothing() {
    let namespace = ["--mount", "--map-root-user"];
    let prepare = "mount -t tmpfs -o size=448m none \"$1/disk\"";
    on_a_disk_of_its_own(&namespace, prepare, "stops::on_a_disk_that_fills_up", SMALL);
}

#[test]
#[ignore = "run by the test above"]
fn on_a_disk_that_fills_up() {
    let disk = std::env::var_os(SMALL).expect("run by the test above");
    let (mut world, mut head) = World::formed_in(Path::new(&disk));
    let ballast = Path::new(&disk).join("ballast");
    fs::write(&ballast, vec![1; 320 << 20]).unwrap();
    let mut acknowledged = Vec::new();
    let reason = loop {
        let script = format!("#!{}{}", "x".repeat(1 << 20), acknowledged.len());
        let (entry, job) = head.submit(&script);
        match world.append(0, &head, &[entry]) {
            Ok(_) => acknowledged.push(job),
            Err(Lost) => break world.run(0, world.log(0).stopped()).reason,
        }
        assert!(acknowledged.len() < 2_000, "the disk never fills up");
    };
    assert!(reason.contains("No space left"), "{reason}");
    assert!(acknowledged.len() > 3, "{reason}");
    world.nodes[0].kill();
    fs::remove_file(&ballast).unwrap();
    world.start(0);
    let head = world.lead(0);
    for job in acknowledged {
        assert!(head.state.job(job).is_some(), "job {job} was acknowledged");
    }
}

/// Where the test on the freezing file system finds it.
const FREEZING: &str = "RAFTER_TEST_FREEZING_DISK";

/// Only root can make and freeze a file system.
#[test]
fn a_leader_whose_disk_stalls_hands_over() {
    let prepare = "truncate -s 512M \"$1/image\" && mkfs.ext4 -q \"$1/image\" \
                   && mount -o loop \"$1/image\" \"$1/disk\"";
    on_a_disk_of_its_own(&["--mount"], prepare, "stops::on_a_disk_that_freezes", FREEZING);
}

/// Thaws the file system whatever becomes of the test.
struct Frozen<'a>(&'a Path);

impl<'a> Frozen<'a> {
    fn new(disk: &'a Path) -> Self {
        let froze = Command::new("fsfreeze").arg("--freeze").arg(disk).status();
        assert!(froze.expect("fsfreeze of util-linux").success());
        Self(disk)
    }
}

impl Drop for Frozen<'_> {
    fn drop(&mut self) {
        let thawed = Command::new("fsfreeze").arg("--unfreeze").arg(self.0).status();
        assert!(thawed.expect("fsfreeze of util-linux").success());
    }
}

#[test]
#[ignore = "run by the test above"]
fn on_a_disk_that_freezes() {
    let disk = std::env::var_os(FREEZING).expect("run by the test above");
    let disk = Path::new(&disk);
    let (world, mut head) = World::three_with_first_in(disk);
    let frozen = Frozen::new(disk);
    // Something to write, so that the leader meets the disk.
    let (entry, job) = head.submit("true");
    let append = world.log(0).append(encode_batch(&[entry]), head.state.term.0);
    let leader = world.leader_but(0);
    let mut next = world.lead(leader);
    assert!(next.state.term < head.state.term || next.state.job(job).is_some());
    let (entry, second) = next.submit("true");
    let index = world.append(leader, &next, &[entry]).expect("two go on without it");
    drop(frozen);
    let state = world.applied(0, index);
    assert!(state.job(second).is_some(), "it follows again");
    if world.run(0, append).is_ok() {
        assert!(state.job(job).is_some(), "it was acknowledged");
    }
}
