//! Signals, and the control socket.

use std::{
    fs,
    io::{Read as _, Write as _},
    os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _},
};

use step::control::{Cause, Client, MAX_LINE, Notice, Request, Scope, connect};

use crate::bench::{Bench, PATIENCE, Run, level};

/// Counts SIGUSR1 in the script, and in a child of it.
const COUNTS: &str = "#!/bin/bash\n\
    bash -c 'trap \"echo child >> child\" USR1; echo $$ > ready; while :; do sleep 100 & wait; done' &\n\
    trap 'echo script >> script' USR1\n\
    until [ -s ready ]; do sleep 0.01; done; echo ready > go\n\
    while :; do wait; done\n";

fn deliver(client: &mut Client, number: u32, scope: Scope) -> u32 {
    client.send(&Request::Signal { number, signal: 10, scope }).expect("it takes the request");
    loop {
        match client.notice().expect("it answers") {
            Some(Notice::Delivered { number }) => return number,
            Some(Notice::Started(_)) => {}
            other @ (None | Some(Notice::Ended(_))) => panic!("not delivered: {other:?}"),
        }
    }
}

fn stop(run: &Run) {
    run.terminate(Cause::Stale, 0);
    run.ended();
}

#[test]
fn a_signal_goes_where_its_scope_says_and_once() {
    let bench = Bench::new();
    let run = bench.start(&bench.manifest(), COUNTS);
    run.line("go");
    let mut client = run.client();

    // There are no steps: `scancel --signal` alone reaches nothing, and is delivered.
    assert_eq!(deliver(&mut client, 1, Scope::Steps), 1);
    assert_eq!(deliver(&mut client, 2, Scope::Batch), 2);
    assert_eq!(run.line("script"), "script");
    assert_eq!(run.file("child"), "");

    // Sent again by a leader that has not heard of it.
    assert_eq!(deliver(&mut client, 2, Scope::Batch), 2);
    assert_eq!(deliver(&mut client, 1, Scope::Batch), 2);
    assert_eq!(deliver(&mut client, 3, Scope::Full), 3);
    assert_eq!(run.line("child"), "child");
    level(|| (run.file("script").lines().count() == 2).then_some(()));
    stop(&run);
    assert_eq!(run.file("script").lines().count(), 2);
    assert_eq!(run.file("child").lines().count(), 1);
}

#[test]
fn one_who_watches_later_is_told_all_of_it() {
    let bench = Bench::new();
    let run = bench.start(&bench.manifest(), COUNTS);
    run.line("go");
    let (mut first, started) = run.started();
    assert_eq!(deliver(&mut first, 4, Scope::Batch), 4);
    assert_eq!(run.folder.started().unwrap(), Some(started.clone()));

    let mut second = run.client();
    second.send(&Request::Watch {}).unwrap();
    assert_eq!(second.notice().unwrap(), Some(Notice::Started(started)));
    assert_eq!(second.notice().unwrap(), Some(Notice::Delivered { number: 4 }));
    run.terminate(Cause::Stale, 0);
    for client in [&mut first, &mut second] {
        assert!(matches!(client.notice().unwrap(), Some(Notice::Ended(_))));
        assert_eq!(client.notice().unwrap(), None);
    }
}

/// A signal that comes while the output is still being opened must not hit the supervisor's child
/// in the script's place.
#[test]
fn a_signal_waits_for_the_script() {
    let bench = Bench::new();
    bench.pipe("out");
    let script = "#!/bin/sh\nexec sleep 100\n";
    let run = bench.start(&bench.manifest(), script);
    let mut client = run.client();
    client.send(&Request::Signal { number: 1, signal: 23, scope: Scope::Batch }).unwrap();
    client.send(&Request::Watch {}).unwrap();
    client.send(&Request::Signal { number: 2, signal: 10, scope: Scope::Batch }).unwrap();
    // The output has a reader: the files are opened, and the script is executed.
    let mut options = std::fs::File::options();
    options.read(true).custom_flags(nix::libc::O_NONBLOCK);
    let reader = options.open(bench.work().join("out")).unwrap();
    assert!(matches!(client.notice().unwrap(), Some(Notice::Started(_))));
    assert_eq!(client.notice().unwrap(), Some(Notice::Delivered { number: 1 }));
    assert_eq!(client.notice().unwrap(), Some(Notice::Delivered { number: 2 }));
    assert_eq!(run.ended().signal, 10);
    drop(reader);
}

#[test]
fn a_job_whose_files_never_open_can_be_terminated() {
    let bench = Bench::new();
    bench.pipe("out");
    let run = bench.start(&bench.manifest(), "#!/bin/sh\ntouch ran\n");
    run.terminate(Cause::Cancelled, 100);
    assert_eq!(run.ended().signal, 15);
    assert!(!bench.work().join("ran").exists());
}

#[test]
fn sigterm_and_sigkill_are_told_in_the_output() {
    let bench = Bench::new();
    let run = bench.start(&bench.manifest(), "#!/bin/bash\nexec sleep 100\n");
    run.started();
    let kill = Request::Signal { number: 1, signal: 9, scope: Scope::Full };
    run.client().send(&kill).unwrap();
    assert_eq!(run.ended().signal, 9);
    let output = run.output();
    assert!(output.starts_with("[] error: *** JOB 7 ON n1 CANCELLED AT "), "{output}");
    assert!(output.ends_with(" DUE to SIGNAL Killed ***\n"), "{output}");
}

#[test]
fn nonsense_ends_the_connection_and_nothing_else() {
    let bench = Bench::new();
    let run = bench.start(&bench.manifest(), COUNTS);
    run.line("go");
    for nonsense in [b"{\"format\":{}}\n".to_vec(), b"\xFF\n".to_vec(), vec![b'x'; MAX_LINE + 2]] {
        let mut stream = connect(&run.folder).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        // It may hang up before it has all of it.
        let _ = stream.write_all(&nonsense);
        assert!(matches!(stream.read(&mut [0; 1]), Ok(0) | Err(_)));
    }
    let mut client = run.client();
    assert_eq!(deliver(&mut client, 1, Scope::Batch), 1);
    let mode = std::fs::metadata(run.folder.control()).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    stop(&run);
}

#[test]
fn a_spool_deep_in_the_tree_has_a_socket_too() {
    let bench = Bench::new();
    let deep = bench.work().join("a-rather-long-name-of-a-folder/".repeat(6));
    let spool = step::spool::Spool::open(&deep).unwrap();
    let folder = spool.folder(7, 1);
    folder.prepare(&bench.manifest(), b"#!/bin/sh\nexec sleep 100\n", b"PATH=/bin\0").unwrap();
    let mut command = folder.supervisor(std::path::Path::new(env!("CARGO_BIN_EXE_rafterstepd")));
    assert!(command.output().unwrap().status.success());
    let mut client = Client::connect(&folder, PATIENCE).unwrap();
    client.send(&Request::Terminate { cause: Cause::Stale, kill_wait_s: 0, at_ms: 0 }).unwrap();
    while client.notice().unwrap().is_some() {}
    assert!(folder.ended().unwrap().is_some());
}

/// Its end can't be recorded any more, and concerns nobody.
#[test]
fn a_supervisor_whose_folder_is_taken_away_ends() {
    let bench = Bench::new();
    let run = bench.start(&bench.manifest(), "#!/bin/sh\nread < go\n");
    let go = bench.pipe("go");
    let (mut client, _) = run.started();
    run.folder.remove().unwrap();
    // Whether the script reads the line or is ended before is the supervisor's affair: opened for
    // both, the pipe waits for neither.
    let mut line = fs::OpenOptions::new().read(true).write(true).open(&go).unwrap();
    line.write_all(b"\n").unwrap();
    while client.notice().unwrap().is_some() {}
}
