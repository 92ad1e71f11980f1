use std::time::Instant;

use proptest::prelude::*;
use tokio::net::UnixListener;

use super::*;

const LIMIT: Duration = Duration::from_secs(20);

fn question(message: Bytes) -> Question {
    Question {
        cluster: Bytes::from_static(&[7; 16]),
        method: "/rafter.ctl.v1.Controller/Submit".to_owned(),
        within_ms: 1_000,
        traceparent: None,
        message,
    }
}

/// What a command hears from a daemon that answers so, and what that was asked.
fn asked(question: &Question, said: Said) -> (io::Result<Said>, Question) {
    let scratch = tempfile::tempdir().expect("a folder");
    let path = scratch.path().join("socket");
    let runtime =
        tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    let listener = runtime.block_on(async { UnixListener::bind(&path) }).expect("bound");
    let daemon = runtime.spawn(async move {
        let (mut stream, _) = listener.accept().await.expect("a command");
        let mut mark = [0; 4];
        stream.read_exact(&mut mark).await.expect("a mark");
        assert_eq!(mark, MARK);
        let length = read_length(&mut stream).await.expect("a length");
        let question = read_question(&mut stream, length).await.expect("a question");
        // Too long an answer is not sent, and the connection ends.
        let _ = write_answer(&mut stream, said).await;
        question
    });
    let heard = ask(&path, question, LIMIT);
    (heard, runtime.block_on(daemon).expect("the daemon ends"))
}

#[test]
fn questions_and_answers_arrive_whole() {
    let large = question(vec![9; 3 << 20].into());
    let answers = [
        Said::Reply(Bytes::from_static(b"reply")),
        Said::Reply(Bytes::new()),
        Said::NotServed("why".to_owned()),
    ];
    for said in answers {
        for question in [&question(Bytes::from_static(b"message")), &large] {
            let (heard, seen) = asked(question, said.clone());
            assert_eq!(heard.expect("an answer"), said);
            assert_eq!(&seen, question);
        }
    }
}

#[test]
fn a_refusal_keeps_what_commands_read_of_it() {
    let mut status = Status::failed_precondition("Invalid job id specified");
    status.metadata_mut().insert("slurm-errno", "2017".parse().expect("metadata"));
    let said = Said::Refusal(Refusal::from(&status));
    let (heard, _) = asked(&question(Bytes::new()), said);
    let Ok(Said::Refusal(refusal)) = heard else { panic!("{heard:?}") };
    let heard = Status::from(refusal);
    assert_eq!((heard.code(), heard.message()), (status.code(), status.message()));
    assert_eq!(heard.metadata().get("slurm-errno").expect("it is there"), "2017");
}

#[test]
fn only_root_and_oneself_are_told_anything() {
    assert!(is_trusted(0, 1000) && is_trusted(1000, 1000) && is_trusted(0, 0));
    assert!(!is_trusted(1001, 1000) && !is_trusted(1000, 0), "root trusts no user's daemon");
}

#[test]
fn what_is_too_long_is_not_sent() {
    let long = question(vec![0; MAX_QUESTION as usize].into());
    let scratch = tempfile::tempdir().expect("a folder");
    let path = scratch.path().join("socket");
    let _listener = std::os::unix::net::UnixListener::bind(&path).expect("bound");
    let refused = ask(&path, &long, LIMIT).expect_err("too long");
    assert_eq!(refused.kind(), io::ErrorKind::InvalidInput);
    let answer = Said::Reply(vec![0; MAX_ANSWER as usize].into());
    assert!(asked(&question(Bytes::new()), answer).0.is_err());
}

/// As `kill -STOP` leaves one: the kernel takes connections, and then no more.
#[test]
fn a_daemon_that_is_stopped_costs_no_more_than_the_limit() {
    let scratch = tempfile::tempdir().expect("a folder");
    let path = scratch.path().join("socket");
    let listener = std::os::unix::net::UnixListener::bind(&path).expect("bound");
    nix::sys::socket::listen(&listener, nix::sys::socket::Backlog::new(1).expect("fits"))
        .expect("a short queue");
    let limit = Duration::from_millis(100);
    let mut held = Vec::new();
    while let Ok(stream) = connected(&path, limit) {
        held.push(stream);
        assert!(held.len() < 10, "the queue has no end");
    }
    let began = Instant::now();
    ask(&path, &question(Bytes::new()), limit).expect_err("nobody accepts");
    held.clear();
    // One that is in the queue hears nothing.
    let (_accepted, _) = listener.accept().expect("one waits");
    ask(&path, &question(Bytes::new()), limit).expect_err("nobody answers");
    assert!(began.elapsed() < LIMIT, "it took {:?}", began.elapsed());
}

/// Reads `bytes` as a daemon does.
fn read(bytes: &[u8]) -> io::Result<Question> {
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    runtime.block_on(async {
        let mut stream = bytes;
        let length = read_length(&mut stream).await?;
        read_question(&mut stream, length).await
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn a_question_survives_the_wire(
        method in "\\PC{0,40}",
        within_ms in any::<u32>(),
        traceparent in proptest::option::of("[0-9a-f-]{0,60}"),
        message in proptest::collection::vec(any::<u8>(), 0..100),
        cut in any::<prop::sample::Index>(),
        flip in any::<prop::sample::Index>(),
    ) {
        let question = Question {
            cluster: Bytes::from_static(&[1; 16]),
            method,
            within_ms,
            traceparent,
            message: message.into(),
        };
        let body = question.encode_to_vec();
        let length = u32::try_from(body.len()).expect("short");
        let whole = [&length.to_be_bytes()[..], &body].concat();
        prop_assert_eq!(&read(&whole).expect("a question"), &question);
        // One that breaks off is none.
        prop_assert!(read(&whole[..cut.index(whole.len())]).is_err());
        // Whatever has happened to it, nothing panics.
        let mut damaged = whole.clone();
        damaged[flip.index(whole.len())] ^= 0x41;
        let _ = read(&damaged);
    }

    #[test]
    fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = read(&bytes);
        let _ = Answer::decode(&*bytes);
    }
}
