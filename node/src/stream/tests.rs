//! What is made of a leader's words.

use proptest::prelude::*;
use prost::Message as _;

use super::*;

fn hear(kind: leader_message::Kind) -> Result<Said, Invalid> {
    said(wire::LeaderMessage { term: 1, kind: Some(kind) })
}

fn terminate(cause: i32) -> leader_message::Kind {
    let kill_wait_s = 30;
    leader_message::Kind::Terminate(wire::Terminate {
        job: 7,
        attempt: 2,
        cause,
        kill_wait_s,
        at: 9,
    })
}

fn signal(signal: u32, scope: i32) -> leader_message::Kind {
    leader_message::Kind::Signal(wire::Signal { job: 7, attempt: 2, number: 3, signal, scope })
}

#[test]
fn orders_are_read_as_they_are_meant() {
    let seven = run(7, 2);
    let Ok(Said::Order(Order::Terminate { run, termination })) = hear(terminate(2)) else {
        panic!("no termination")
    };
    let expected = Termination {
        cause: Cause::TimeLimit,
        kill_wait: Span::from_seconds(30),
        at: Timestamp(9),
    };
    assert_eq!((run, termination), (seven, expected));
    let Ok(Said::Order(Order::Signal { run, signal })) = hear(signal(10, 2)) else {
        panic!("no signal")
    };
    let expected = Signal { number: 3, signal: 10, scope: common::job::SignalScope::Batch };
    assert_eq!((run, signal), (seven, expected));
    let release = leader_message::Kind::Release(wire::Release { job: 7, attempt: 2 });
    assert!(matches!(hear(release), Ok(Said::Order(Order::Release(run))) if run == seven));
}

#[test]
fn what_says_nothing_is_refused() {
    assert!(said(wire::LeaderMessage { term: 1, kind: None }).is_err());
    for wrong in [
        terminate(0),
        terminate(99),
        signal(10, 0),
        signal(256, 1),
        leader_message::Kind::Launch(wire::Launch::default()),
        leader_message::Kind::Welcome(wire::Welcome::default()),
    ] {
        assert!(hear(wrong.clone()).is_err(), "{wrong:?}");
    }
}

proptest! {
    #[test]
    fn no_message_panics(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        if let Ok(message) = wire::LeaderMessage::decode(bytes.as_slice()) {
            let _ = said(message);
        }
    }
}
