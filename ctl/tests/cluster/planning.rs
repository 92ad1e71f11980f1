//! What people ask of the planner.

use common::{id::JobId, machine::Refusal};
use proto::{
    convert::state_digest,
    ctl::WhyRequest,
    plan::{DumpRequest, JobsSubmitted, NodesAdded, WhatIfRequest},
    types,
};

use crate::world::{ALICE, BOB, OPERATOR, World, refusal, slurm, submission, submit};

#[tokio::test]
async fn anybody_is_told_why_a_job_waits() {
    let world = World::new().await;
    let job = submit(&world, ALICE).await;
    let reply =
        world.user(BOB).why(WhyRequest { job, task: None }).await.expect("as squeue shows it");
    let reply = reply.into_inner();
    let view = reply.job.expect("the job");
    assert_eq!(view.reason(), types::Reason::NodesNotAvail);
    let waiting = reply.waiting.expect("it waits");
    let [obstacle] = waiting.obstacles.as_slice() else { panic!("one: {waiting:?}") };
    assert_eq!(obstacle.reason(), types::Reason::NodesNotAvail);
    assert!(obstacle.text.contains("n[1-2] unknown"), "{}", obstacle.text);
    // If they were up, it would start.
    let planned = waiting.planned.expect("its start");
    assert_eq!((planned.at, planned.places.len()), (reply.now, 1));
    assert_eq!(waiting.supposed, [i32::from(types::Reason::NodesNotAvail)]);
    for unknown in [WhyRequest { job: job + 1, task: None }, WhyRequest { job, task: Some(1) }] {
        let unknown = refusal(world.user(BOB).why(unknown)).await;
        assert_eq!(unknown, slurm("Invalid job id specified", 2017));
    }
    let mut array = submission();
    array.spec.as_mut().expect("it has one").array = Some(types::ArraySpec {
        tasks: Some(types::Tasks { runs: vec![types::TaskRun { first: 3, last: 5, step: 1 }] }),
        ..types::ArraySpec::default()
    });
    let array = world.user(ALICE).submit(array).await.expect("a small one").into_inner().job;
    let of_task = |task| WhyRequest { job: array, task: Some(task) };
    let reply = world.user(BOB).why(of_task(4)).await.expect("it waits").into_inner();
    assert_eq!(reply.job.and_then(|view| view.job).map(|job| job.id), Some(array));
    assert!(refusal(world.user(BOB).why(of_task(6))).await.text.contains("Invalid job id"));
    world.stop().await;
}

#[tokio::test]
async fn what_is_supposed_leaves_no_trace() {
    let world = World::new().await;
    let job = submit(&world, ALICE).await;
    let before = state_digest(&world.log.applied().state);
    let add = NodesAdded { names: vec!["n3".to_owned()], like: "n1".to_owned() };
    let spec = submission().spec;
    let request = WhatIfRequest {
        add: vec![add],
        jobs: vec![JobsSubmitted { spec, count: 2 }],
        ..WhatIfRequest::default()
    };
    let reply = world.user(BOB).what_if(request).await.expect("it can be supposed").into_inner();
    let (live, supposed) = (reply.before.expect("told"), reply.after.expect("told"));
    assert_eq!((live.jobs, live.start_now, live.unknown), (1, 0, 1));
    assert_eq!((supposed.jobs, supposed.start_now, supposed.unknown), (1, 1, 0));
    assert_eq!(reply.submitted.expect("told").jobs, 2);
    assert_eq!(reply.moved.iter().map(|moved| moved.job).collect::<Vec<_>>(), [job]);
    let none = NodesAdded { names: vec!["n3".to_owned()], like: "n9".to_owned() };
    let none = WhatIfRequest { add: vec![none], ..WhatIfRequest::default() };
    let refused = refusal(world.user(BOB).what_if(none)).await;
    let expected = Refusal::NoSuchNode("n9".into());
    assert_eq!(refused.text, expected.to_string());
    let after = state_digest(&world.log.applied().state);
    assert_eq!(after, before, "the state is as it was");
    world.stop().await;
}

#[tokio::test]
async fn operators_save_what_a_plan_is_made_of() {
    let world = World::new().await;
    let job = submit(&world, ALICE).await;
    let denied = slurm("Invalid user id", 2010);
    assert_eq!(refusal(world.user(ALICE).sched_dump(DumpRequest {})).await, denied);
    let parts = world.user(OPERATOR).sched_dump(DumpRequest {}).await;
    let mut parts = parts.expect("an operator's").into_inner();
    let mut file = Vec::new();
    while let Some(part) = parts.message().await.expect("sent") {
        file.extend_from_slice(&part.chunk);
    }
    let inputs = proto::convert::read_inputs(&file.into()).expect("whole");
    let state = &world.log.applied().state;
    assert!(inputs.now >= state.at);
    assert_eq!((&inputs.state.nodes, &inputs.state.config), (&state.nodes, &state.config));
    assert_eq!(inputs.state.jobs.keys().collect::<Vec<_>>(), [&JobId(job)]);
    assert!(inputs.state.blobs.is_empty() && !state.blobs.is_empty(), "no scripts");
    world.stop().await;
}
