//! What users ask of jobs, and how they are refused.

use common::id::JobId;
use proto::{ctl as wire, types};
use tonic::Code;

use crate::world::{ALICE, BOB, OPERATOR, World, id, refusal, slurm, submission, submit};

#[tokio::test]
async fn a_submission_is_the_certificate_s_user_s_and_its_retry_is_no_other() {
    let world = World::new().await;
    let request = submission();
    let mut alice = world.user(ALICE);
    let first = alice.submit(request.clone()).await.expect("accepted").into_inner().job;
    let again = alice.submit(request).await.expect("accepted").into_inner().job;
    assert_eq!(first, again, "a retry gets the first answer");
    let state = &world.log.applied().state;
    assert_eq!(state.jobs.len(), 1);
    let spec = &state.jobs[&JobId(first)].spec;
    assert_eq!((spec.user.0, spec.user_name.as_str()), (ALICE, "user1001"), "not who it says");
    world.stop().await;
}

#[tokio::test]
async fn refusals_have_slurm_s_words_and_numbers() {
    let world = World::new().await;
    let job = submit(&world, ALICE).await;
    let with = |change: &dyn Fn(&mut types::JobSpec)| {
        let mut request = submission();
        change(request.spec.as_mut().expect("a spec"));
        request
    };
    let (mut alice, mut bob) = (world.user(ALICE), world.user(BOB));
    let partition = with(&|spec| spec.partition = "gpu".to_owned());
    assert_eq!(
        refusal(alice.submit(partition)).await,
        slurm("Invalid partition name specified", 2000)
    );
    let nodes = with(&|spec| spec.required_nodes = vec!["n9".to_owned()]);
    assert_eq!(refusal(alice.submit(nodes)).await, slurm("Invalid node name specified", 2009));
    let long = with(&|spec| spec.comment = Some("x".repeat(300_000)));
    assert_eq!(refusal(alice.submit(long)).await.errno, Some(2013));
    let relative = with(&|spec| spec.work_dir = "tmp".to_owned());
    assert_eq!(refusal(alice.submit(relative)).await.code, Code::InvalidArgument);
    let nul = with(&|spec| spec.arguments = vec!["a\0LD_PRELOAD=b".to_owned()]);
    assert_eq!(refusal(alice.submit(nul)).await.code, Code::InvalidArgument);
    let mut short = submission();
    short.request = vec![1; 15].into();
    assert_eq!(refusal(alice.submit(short)).await.code, Code::InvalidArgument);

    let cancel =
        |job| wire::CancelRequest { request: id(), job, signal: None, scope: 0, tasks: vec![] };
    assert_eq!(refusal(bob.cancel(cancel(job))).await, slurm("Access/permission denied", 2002));
    assert_eq!(refusal(bob.cancel(cancel(99))).await, slurm("Invalid job id specified", 2017));
    alice.cancel(cancel(job)).await.expect("hers");
    let done = slurm("Job/step already completing or completed", 2021);
    assert_eq!(refusal(alice.cancel(cancel(job))).await, done);

    let drain = wire::UpdateNodeRequest {
        request: id(),
        node: "n1".to_owned(),
        target: Some(wire::NodeTarget::Drain.into()),
        reason: Some("disk".to_owned()),
    };
    assert_eq!(refusal(alice.update_node(drain.clone())).await, slurm("Invalid user id", 2010));
    let drain = wire::UpdateNodeRequest { request: id(), ..drain };
    world.user(OPERATOR).update_node(drain).await.expect("the operator may");
    world.stop().await;
}

#[tokio::test]
async fn jobs_are_held_released_changed_and_shown_with_their_reasons() {
    let world = World::new().await;
    let mut alice = world.user(ALICE);
    let mut held = submission();
    held.spec.as_mut().expect("a spec").hold = true;
    let job = alice.submit(held).await.expect("accepted").into_inner().job;
    assert_eq!(reason(&world, job).await, types::Reason::JobHeldUser);
    let admin = wire::HoldRequest { request: id(), job, user_hold: false, tasks: vec![] };
    world.user(0).hold(admin).await.expect("root may");
    assert_eq!(reason(&world, job).await, types::Reason::JobHeldAdmin);
    let release = || wire::ReleaseRequest { request: id(), job, tasks: vec![] };
    let denied = slurm("Access/permission denied", 2002);
    assert_eq!(refusal(alice.release(release())).await, denied);
    world.user(0).release(release()).await.expect("root may");
    // No node has registered, so it waits for one.
    world.until(|| world.log.applied().state.jobs[&JobId(job)].priority > 0).await;
    let changes =
        types::JobChanges { name: Some("other".to_owned()), ..types::JobChanges::default() };
    let update =
        wire::UpdateJobRequest { request: id(), job, changes: Some(changes), tasks: vec![] };
    alice.update_job(update).await.expect("hers");
    let shown = shown(&world, true).await;
    let spec = shown[0].job.as_ref().and_then(|job| job.spec.as_ref()).expect("a spec");
    assert_eq!((spec.name.as_str(), spec.submit_line.as_str()), ("other", "sbatch job.sh"));
    world.stop().await;
}

async fn shown(world: &World, whole: bool) -> Vec<wire::JobView> {
    let request = wire::JobsRequest { whole, ..wire::JobsRequest::default() };
    let mut pages = world.user(BOB).jobs(request).await.expect("answered").into_inner();
    let mut views = Vec::new();
    while let Some(page) = pages.message().await.expect("a page") {
        assert!(!views.is_empty() || page.now > 0, "the first page says when");
        views.extend(page.jobs);
    }
    views
}

async fn reason(world: &World, job: u32) -> types::Reason {
    let views = shown(world, false).await;
    let view = views.iter().find(|view| view.job.as_ref().is_some_and(|found| found.id == job));
    view.expect("in the queue").reason()
}

#[tokio::test]
async fn a_long_queue_comes_in_pages_and_is_filtered() {
    let world = World::new().await;
    let (mut alice, mut bob) = (world.user(ALICE), world.user(BOB));
    let mut waiting = tokio::task::JoinSet::new();
    for _ in 0..1_200 {
        let mut alice = alice.clone();
        waiting.spawn(async move { alice.submit(submission()).await.map(drop) });
    }
    while let Some(outcome) = waiting.join_next().await {
        outcome.expect("no panic").expect("accepted");
    }
    bob.submit(submission()).await.expect("accepted");
    let views = shown(&world, false).await;
    let ids: Vec<u32> = views.iter().filter_map(|view| Some(view.job.as_ref()?.id)).collect();
    assert_eq!(ids, (1..=1_201).collect::<Vec<_>>(), "each once, in order");
    let spec = views[0].job.as_ref().and_then(|job| job.spec.as_ref()).expect("a spec");
    assert_eq!((spec.name.as_str(), spec.submit_line.as_str()), ("job", ""), "a slim view");
    assert_eq!((views[0].cpus, views[0].nodes), (1, 1));

    let of_bob = wire::JobsRequest { users: vec![BOB], ..wire::JobsRequest::default() };
    let mut pages = alice.jobs(of_bob).await.expect("answered").into_inner();
    let page = pages.message().await.expect("a page").expect("one");
    assert_eq!(page.jobs.len(), 1);
    let some = wire::JobsRequest { jobs: vec![7, 9, 5_000], ..wire::JobsRequest::default() };
    let mut pages = alice.jobs(some).await.expect("answered").into_inner();
    let page = pages.message().await.expect("a page").expect("one");
    assert_eq!(page.jobs.len(), 2);
    world.stop().await;
}

#[tokio::test]
async fn only_its_owner_and_operators_see_a_script() {
    let world = World::new().await;
    let job = submit(&world, ALICE).await;
    let ask = || wire::BatchScriptRequest { job };
    for uid in [ALICE, OPERATOR, 0] {
        let reply = world.user(uid).batch_script(ask()).await.expect("may").into_inner();
        assert_eq!(reply.script, "#!/bin/sh\ntrue\n");
    }
    let denied = slurm("Invalid user id", 2010);
    assert_eq!(refusal(world.user(BOB).batch_script(ask())).await, denied);
    world.stop().await;
}
