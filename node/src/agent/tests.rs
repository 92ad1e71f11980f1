//! Stories: what the agent does in the races that matter.

use std::sync::Arc;

use common::{
    id::{Attempt, GroupId, JobId, PartitionName, UserId},
    job::{Hold, Job, JobSpec, Phase, Rank, SignalScope},
    machine::Cause,
    time::{Span, TimeLimit},
};

use super::*;

const NOW: Timestamp = Timestamp(1_000);
const CANCELLED: Termination =
    Termination { cause: Cause::Cancelled, kill_wait: Span(5_000), at: Timestamp(900) };

fn id(job: u32, attempt: u32) -> RunId {
    RunId { job: JobId(job), attempt: Attempt(attempt) }
}

fn launch_of(run: RunId) -> Box<Launch> {
    let spec = JobSpec {
        user: UserId(1),
        user_name: "jane".to_owned(),
        group: GroupId(1),
        group_name: "users".to_owned(),
        partition: PartitionName::from("cpu"),
        work_dir: "/".to_owned(),
        submit_line: String::new(),
        submit_host: String::new(),
        session: 0,
        umask: 0o22,
        ..JobSpec::plain()
    };
    let job = Arc::new(Job {
        id: run.job,
        spec: Arc::new(spec),
        submitted: NOW,
        attempt: run.attempt,
        priority: 1,
        hold: Hold::None,
        partition: PartitionName::from("cpu"),
        time_limit: TimeLimit::Unlimited,
        begin: None,
        requeue: false,
        restarts: 0,
        phase: Phase::Pending,
        signals: vec![],
        signals_sent: 0,
        array: None,
        dependency: None,
        rank: Rank::default(),
        preemptor: false,
    });
    Box::new(Launch { job, components: vec![], script: None, environment: None })
}

fn attached() -> Agent {
    let (mut agent, acts) = Agent::new(Term(0), []);
    assert_eq!(acts, []);
    agent.hello();
    assert_eq!(agent.handle(NOW, Input::Attached { term: Term(5) }), [Act::KeepTerm(Term(5))]);
    agent
}

fn order(agent: &mut Agent, order: Order) -> Vec<Act> {
    agent.handle(NOW, Input::Heard { term: Term(5), order })
}

fn launch(agent: &mut Agent, run: RunId) -> Vec<Act> {
    order(agent, Order::Launch(launch_of(run)))
}

fn terminate(agent: &mut Agent, run: RunId) -> Vec<Act> {
    order(agent, Order::Terminate { run, termination: CANCELLED })
}

fn prepare(run: RunId) -> Act {
    Act::Prepare(launch_of(run))
}

fn report(run: RunId, report: Report) -> Act {
    Act::Report { run, report }
}

fn exited() -> End {
    End::Exited {
        at: Timestamp(950),
        exit: ExitStatus { code: 3, signal: 0 },
        out_of_memory: false,
    }
}

fn run_to(agent: &mut Agent, run: RunId) {
    assert_eq!(launch(agent, run), [prepare(run)]);
    assert_eq!(
        agent.handle(NOW, Input::Prepared(run)),
        [report(run, Report::Launching), Act::Spawn(run)]
    );
    assert_eq!(agent.handle(NOW, Input::Started(run)), [report(run, Report::Running)]);
}

#[test]
fn a_job_from_its_launch_to_its_release() {
    let (mut agent, run) = (attached(), id(7, 1));
    run_to(&mut agent, run);
    let ended = agent.handle(NOW, Input::Ended { run, end: exited() });
    assert_eq!(ended, [report(run, exited().into())]);
    assert_eq!(order(&mut agent, Order::Release(run)), [Act::Remove(run)]);
    assert_eq!(agent.hello(), BTreeMap::new());
    assert_eq!(agent.handle(NOW, Input::Removed(run)), []);
    assert!(agent.runs.is_empty());
}

#[test]
fn a_repeated_launch_is_answered_and_not_obeyed() {
    let (mut agent, run) = (attached(), id(7, 1));
    assert_eq!(launch(&mut agent, run), [prepare(run)]);
    assert_eq!(launch(&mut agent, run), []);
    agent.handle(NOW, Input::Prepared(run));
    assert_eq!(launch(&mut agent, run), [report(run, Report::Launching)]);
    agent.handle(NOW, Input::Started(run));
    assert_eq!(launch(&mut agent, run), [report(run, Report::Running)]);
    agent.handle(NOW, Input::Ended { run, end: exited() });
    assert_eq!(launch(&mut agent, run), [report(run, exited().into())]);
    order(&mut agent, Order::Release(run));
    assert_eq!(launch(&mut agent, run), []);
}

#[test]
fn a_termination_before_the_launch_makes_an_end_that_the_launch_finds() {
    let (mut agent, run) = (attached(), id(7, 1));
    let end = never_ran(NOW);
    assert_eq!(terminate(&mut agent, run), [Act::Record { run, end: end.clone() }]);
    assert_eq!(launch(&mut agent, run), [report(run, Report::Launching)], "known, not begun");
    assert_eq!(terminate(&mut agent, run), []);
    assert_eq!(agent.handle(NOW, Input::Recorded(run)), [report(run, end.clone().into())]);
    assert_eq!(launch(&mut agent, run), [report(run, end.into())]);
}

#[test]
fn a_termination_while_the_folder_is_made_comes_before_the_start() {
    let (mut agent, run) = (attached(), id(7, 1));
    launch(&mut agent, run);
    assert_eq!(terminate(&mut agent, run), []);
    let end = never_ran(NOW);
    assert_eq!(agent.handle(NOW, Input::Prepared(run)), [Act::Record { run, end }]);
}

#[test]
fn a_termination_reaches_the_supervisor_once_for_each_cause() {
    let (mut agent, run) = (attached(), id(7, 1));
    run_to(&mut agent, run);
    let passed = Act::Terminate { run, termination: CANCELLED };
    assert_eq!(terminate(&mut agent, run), [passed]);
    assert_eq!(terminate(&mut agent, run), []);
    let termination = Termination { cause: Cause::TimeLimit, ..CANCELLED };
    let again = order(&mut agent, Order::Terminate { run, termination });
    assert_eq!(again, [Act::Terminate { run, termination }]);
}

#[test]
fn an_end_waits_through_a_change_of_leaders() {
    let (mut agent, run) = (attached(), id(7, 1));
    run_to(&mut agent, run);
    agent.handle(NOW, Input::Detached);
    assert_eq!(agent.handle(NOW, Input::Ended { run, end: exited() }), [], "nobody hears it");
    assert_eq!(agent.hello(), BTreeMap::from([(run, exited().into())]));
    let acts = agent.handle(NOW, Input::Attached { term: Term(6) });
    assert_eq!(acts, [Act::KeepTerm(Term(6))], "the hello said it");
}

#[test]
fn what_happens_between_hello_and_welcome_is_reported_after_it() {
    let (mut agent, run, other) = (attached(), id(7, 1), id(8, 1));
    run_to(&mut agent, run);
    launch(&mut agent, other);
    agent.handle(NOW, Input::Detached);
    assert_eq!(agent.hello(), BTreeMap::from([(run, Report::Running)]));
    agent.handle(NOW, Input::Ended { run, end: exited() });
    agent.handle(NOW, Input::Prepared(other));
    let acts = agent.handle(NOW, Input::Attached { term: Term(5) });
    assert_eq!(acts, [report(run, exited().into()), report(other, Report::Launching)]);
}

#[test]
fn a_leader_of_the_past_is_not_obeyed() {
    let (mut agent, run) = (attached(), id(7, 1));
    let heard = Input::Heard { term: Term(4), order: Order::Launch(launch_of(run)) };
    assert_eq!(agent.handle(NOW, heard), [Act::Detach]);
    assert_eq!(launch(&mut agent, run), [], "the stream is being closed");
    assert_eq!(agent.handle(NOW, Input::Attached { term: Term(4) }), [Act::Detach]);
    assert_eq!(agent.term(), Term(5));

    let (mut restarted, _) = Agent::new(agent.term(), []);
    assert_eq!(restarted.handle(NOW, Input::Attached { term: Term(4) }), [Act::Detach]);
}

#[test]
fn an_older_attempt_is_refused() {
    let mut agent = attached();
    run_to(&mut agent, id(7, 2));
    assert_eq!(launch(&mut agent, id(7, 1)), []);
    assert_eq!(agent.hello().len(), 1);
}

#[test]
fn a_later_attempt_waits_until_the_earlier_one_is_over() {
    let (mut agent, first, second) = (attached(), id(7, 1), id(7, 2));
    run_to(&mut agent, first);
    let acts = launch(&mut agent, second);
    let [Act::Terminate { run, termination }] = acts.as_slice() else { panic!("{acts:?}") };
    assert_eq!((*run, termination.cause), (first, Cause::Stale));
    assert_eq!(launch(&mut agent, second), [], "it waits");
    let acts = agent.handle(NOW, Input::Ended { run: first, end: exited() });
    assert_eq!(acts, [report(first, exited().into()), prepare(second)]);
}

#[test]
fn a_launch_waits_until_what_nobody_wants_is_over() {
    let mut agent = attached();
    let (stale, next) = (id(1, 1), id(2, 1));
    launch(&mut agent, stale);
    agent.handle(NOW, Input::Prepared(stale));
    agent.handle(NOW, Input::Started(stale));
    let unwanted = Termination { cause: Cause::Stale, ..CANCELLED };
    let acts = order(&mut agent, Order::Terminate { run: stale, termination: unwanted });
    assert_eq!(acts, [Act::Terminate { run: stale, termination: unwanted }]);
    // Its share of the node is given to another, and it is still there.
    assert_eq!(launch(&mut agent, next), []);
    let acts = agent.handle(NOW, Input::Ended { run: stale, end: exited() });
    assert_eq!(acts, [report(stale, exited().into()), prepare(next)]);
}

#[test]
fn a_waiting_attempt_is_forgotten_with_its_leader() {
    let (mut agent, first, second) = (attached(), id(7, 1), id(7, 2));
    run_to(&mut agent, first);
    launch(&mut agent, second);
    agent.handle(NOW, Input::Detached);
    agent.hello();
    agent.handle(NOW, Input::Attached { term: Term(6) });
    let acts = agent.handle(NOW, Input::Ended { run: first, end: exited() });
    assert_eq!(acts, [report(first, exited().into())]);
}

#[test]
fn a_waiting_attempt_that_is_cancelled_never_begins() {
    let (mut agent, first, second) = (attached(), id(7, 1), id(7, 2));
    run_to(&mut agent, first);
    launch(&mut agent, second);
    let end = never_ran(NOW);
    assert_eq!(terminate(&mut agent, second), [Act::Record { run: second, end }]);
    let acts = agent.handle(NOW, Input::Ended { run: first, end: exited() });
    assert_eq!(acts, [report(first, exited().into())]);
}

#[test]
fn a_failed_launch_is_recorded_before_it_is_reported() {
    for prepared in [false, true] {
        let (mut agent, run) = (attached(), id(7, 1));
        launch(&mut agent, run);
        if prepared {
            agent.handle(NOW, Input::Prepared(run));
        }
        let message = "no such user".to_owned();
        let end = End::LaunchFailed { at: NOW, message: message.clone(), node_fault: false };
        let acts = agent.handle(NOW, Input::Failed { run, message, node_fault: false });
        assert_eq!(acts, [Act::Record { run, end: end.clone() }]);
        assert_eq!(agent.handle(NOW, Input::Recorded(run)), [report(run, end.into())]);
    }
}

#[test]
fn a_launch_whose_script_is_not_to_be_had_is_forgotten() {
    let (mut agent, run) = (attached(), id(7, 1));
    launch(&mut agent, run);
    assert_eq!(agent.handle(NOW, Input::Unavailable(run)), []);
    assert_eq!(launch(&mut agent, run), [prepare(run)], "as if it had never been ordered");
    terminate(&mut agent, run);
    let acts = agent.handle(NOW, Input::Unavailable(run));
    assert_eq!(acts, [Act::Record { run, end: never_ran(NOW) }], "but its end is waited for");
}

#[test]
fn a_lost_supervisor_is_a_lost_run() {
    let (mut agent, run) = (attached(), id(7, 1));
    run_to(&mut agent, run);
    let end = End::Lost { at: NOW };
    assert_eq!(agent.handle(NOW, Input::Vanished(run)), [Act::Record { run, end: end.clone() }]);
    assert_eq!(agent.hello(), BTreeMap::from([(run, Report::Launching)]), "it is not missing");
    assert_eq!(agent.handle(NOW, Input::Ended { run, end: exited() }), []);
    assert_eq!(agent.handle(NOW, Input::Recorded(run)), [report(run, end.into())]);
}

#[test]
fn a_restarted_daemon_goes_on_with_what_it_finds() {
    let found = [
        (id(1, 1), Found::Launching),
        (id(2, 1), Found::Running),
        (id(3, 1), Found::Over(exited())),
    ];
    let (mut agent, acts) = Agent::new(Term(5), found);
    assert_eq!(acts, [Act::Watch(id(1, 1)), Act::Watch(id(2, 1))]);
    let listed = BTreeMap::from([
        (id(1, 1), Report::Launching),
        (id(2, 1), Report::Running),
        (id(3, 1), exited().into()),
    ]);
    assert_eq!(agent.hello(), listed);
    let end = End::Lost { at: NOW };
    let acts = agent.handle(NOW, Input::Vanished(id(2, 1)));
    assert_eq!(acts, [Act::Record { run: id(2, 1), end: end.clone() }]);
    assert_eq!(agent.handle(NOW, Input::Recorded(id(2, 1))), [], "nobody hears it");
    let acts = agent.handle(NOW, Input::Attached { term: Term(5) });
    assert_eq!(acts, [report(id(2, 1), end.into())]);
}

#[test]
fn what_had_not_begun_begins_only_when_a_leader_says_so_again() {
    let run = id(1, 1);
    let (mut agent, acts) = Agent::new(Term(5), [(run, Found::Idle)]);
    assert_eq!(acts, []);
    assert_eq!(agent.hello(), BTreeMap::from([(run, Report::Launching)]));
    assert_eq!(agent.handle(NOW, Input::Attached { term: Term(5) }), []);
    let begun = [report(run, Report::Launching), Act::Spawn(run)];
    assert_eq!(launch(&mut agent, run), begun);
    assert_eq!(launch(&mut agent, run), [report(run, Report::Launching)], "once");
}

#[test]
fn a_folder_that_is_made_while_the_stream_breaks_waits_for_the_next_leader() {
    let (mut agent, run) = (attached(), id(1, 1));
    assert_eq!(launch(&mut agent, run), [prepare(run)]);
    agent.handle(NOW, Input::Detached);
    assert_eq!(agent.handle(NOW, Input::Prepared(run)), []);
    agent.hello();
    assert_eq!(agent.handle(NOW, Input::Attached { term: Term(5) }), []);
    let begun = [report(run, Report::Launching), Act::Spawn(run)];
    assert_eq!(launch(&mut agent, run), begun);
}

#[test]
fn what_had_not_begun_and_is_not_wanted_never_begins() {
    let run = id(1, 1);
    let (mut agent, _) = Agent::new(Term(5), [(run, Found::Idle)]);
    agent.hello();
    agent.handle(NOW, Input::Attached { term: Term(5) });
    let end = never_ran(NOW);
    assert_eq!(terminate(&mut agent, run), [Act::Record { run, end: end.clone() }]);
    assert_eq!(agent.handle(NOW, Input::Recorded(run)), [report(run, end.into())]);
}

#[test]
fn a_supervisor_that_was_slow_to_begin_is_told_to_end() {
    let run = id(1, 1);
    let (mut agent, _) = Agent::new(Term(5), [(run, Found::Idle)]);
    agent.hello();
    agent.handle(NOW, Input::Attached { term: Term(5) });
    terminate(&mut agent, run);
    let acts = agent.handle(NOW, Input::Held(run));
    assert_eq!(acts, [Act::Watch(run), Act::Terminate { run, termination: CANCELLED }]);
    let ended = agent.handle(NOW, Input::Ended { run, end: exited() });
    assert_eq!(ended, [report(run, exited().into())]);
}

#[test]
fn a_later_attempt_makes_an_end_of_one_that_had_not_begun() {
    let (run, next) = (id(1, 1), id(1, 2));
    let (mut agent, _) = Agent::new(Term(5), [(run, Found::Idle)]);
    agent.hello();
    agent.handle(NOW, Input::Attached { term: Term(5) });
    assert_eq!(launch(&mut agent, next), [Act::Record { run, end: never_ran(NOW) }]);
    let acts = agent.handle(NOW, Input::Recorded(run));
    assert_eq!(acts, [report(run, never_ran(NOW).into()), prepare(next)]);
}

#[test]
fn signals_are_passed_on_once_and_confirmed_again() {
    let (mut agent, run) = (attached(), id(7, 1));
    let signal = |number| Signal { number, signal: 10, scope: SignalScope::Batch };
    let send =
        |agent: &mut Agent, number| order(agent, Order::Signal { run, signal: signal(number) });
    assert_eq!(send(&mut agent, 1), [], "nobody knows the run");
    run_to(&mut agent, run);
    assert_eq!(send(&mut agent, 1), [Act::Signal { run, signal: signal(1) }]);
    assert_eq!(send(&mut agent, 1), [], "it is on its way");
    let delivered = report(run, Report::Delivered { number: 1 });
    assert_eq!(
        agent.handle(NOW, Input::Delivered { run, number: 1 }),
        std::slice::from_ref(&delivered)
    );
    assert_eq!(send(&mut agent, 1), [delivered]);
    assert_eq!(send(&mut agent, 2), [Act::Signal { run, signal: signal(2) }]);
}

#[test]
fn only_an_end_is_released() {
    let (mut agent, run) = (attached(), id(7, 1));
    assert_eq!(order(&mut agent, Order::Release(run)), []);
    run_to(&mut agent, run);
    assert_eq!(order(&mut agent, Order::Release(run)), [report(run, Report::Running)]);
}
