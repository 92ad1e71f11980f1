//! A run that is removed is gone at once, whatever of its folder is left.

use std::fs;

use step::spool::{Ended, Spool};

#[test]
fn what_is_left_of_a_removed_run_is_no_run() {
    let scratch = tempfile::tempdir().expect("a folder");
    let spool = Spool::open(scratch.path()).expect("a spool");
    let folder = spool.folder(7, 1);
    folder.remove().expect("nothing to remove");
    fs::create_dir(folder.path()).expect("a run");
    let ended =
        Ended { at_ms: 5, exit_code: 0, signal: 0, out_of_memory: false, launch_failure: None };
    folder.write_ended(&ended).expect("an end");
    folder.remove().expect("removed");
    assert_eq!(spool.folders().expect("read"), []);
    assert_eq!(fs::read_dir(scratch.path().join("jobs")).expect("read").count(), 0);

    let half = scratch.path().join("jobs/8.1.gone");
    fs::create_dir(&half).expect("as after a crash");
    fs::write(half.join("manifest.json"), "{}").expect("written");
    assert_eq!(spool.folders().expect("read"), []);
    spool.sweep().expect("swept");
    assert!(!half.exists());
}
