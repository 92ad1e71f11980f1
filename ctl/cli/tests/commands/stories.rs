//! What people see.

use std::os::unix::ffi::OsStrExt as _;
use std::{ffi::OsStr, fs, os::unix::fs::PermissionsExt as _, process::Stdio};

use proto::{
    ctl::{Done, JobView, JobsReply, StatusReply, SubmitReply},
    types::{End, EndState, Job, JobSpec, Run},
};
use tonic::Status;
use trust::controllers::not_leader;

use crate::world::{Said, World, said};

fn refusal(text: &str, errno: u32, detail: Option<&str>) -> Status {
    let mut status = Status::failed_precondition(text);
    let metadata = status.metadata_mut();
    metadata.insert("slurm-errno", errno.to_string().parse().expect("digits"));
    if let Some(detail) = detail {
        metadata.insert("slurm-detail", detail.parse().expect("text"));
    }
    status
}

fn job(id: u32, name: &str) -> Job {
    let spec = JobSpec { name: name.to_owned(), ..JobSpec::default() };
    Job { id, spec: Some(spec), partition: "cpu".to_owned(), ..Job::default() }
}

fn jobs(jobs: impl IntoIterator<Item = Job>) -> JobsReply {
    let view = |job| JobView { job: Some(job), ..JobView::default() };
    JobsReply { jobs: jobs.into_iter().map(view).collect(), now: 1 }
}

#[test]
fn a_job_is_submitted_by_who_the_certificate_says() {
    let world = World::new(1);
    let ctl1 = &world.controllers[0];
    ctl1.submit.set([Ok(SubmitReply { job: 42 })]);
    assert_eq!(world.run("sbatch ok.sh"), said(0, "Submitted batch job 42\n", ""));
    assert_eq!(world.run("sbatch --parsable -M ref ok.sh"), said(0, "42;ref\n", ""));
    assert_eq!(world.run("sbatch -Q ok.sh"), said(0, "", ""));
    let asked = ctl1.submitted.all();
    assert_eq!(asked[0].spec.as_ref().expect("a spec").name, "okjob");
    assert_ne!(asked[0].request, asked[1].request);
    let me = nix::unistd::geteuid().as_raw();
    assert_eq!(ctl1.submitters.all(), [Some(me); 3]);
}

#[test]
fn the_pass_and_the_leader_are_kept_for_the_next_command() {
    let world = World::new(2);
    world.controllers[0].submit.set([Err(not_leader(Some("ctl2")))]);
    world.controllers[1].submit.set([Ok(SubmitReply { job: 1 })]);
    assert_eq!(world.run("sbatch ok.sh").exit, 0);
    let kept = |kind: &str| world.path(&format!("run/rafter/{}.{kind}", world.cluster));
    let mode = |kind| fs::metadata(kept(kind)).expect("kept").permissions().mode() & 0o777;
    assert_eq!((mode("pass"), mode("leader")), (0o600, 0o600));
    assert_eq!(fs::read_to_string(kept("leader")).expect("text"), "ctl2");
    let pass = fs::read(kept("pass")).expect("there");
    let asked = world.controllers[0].submitted.all().len();
    for _ in 0..8 {
        assert_eq!(world.run("sbatch ok.sh").exit, 0);
    }
    assert_eq!(world.controllers[0].submitted.all().len(), asked, "each went straight to ctl2");
    assert_eq!(fs::read(kept("pass")).expect("there"), pass, "it is good for hours");
}

#[test]
fn a_request_keeps_its_id_over_its_tries() {
    let world = World::new(1);
    let ctl1 = &world.controllers[0];
    let lost = || Err(Status::unavailable("leadership was lost before the outcome was known"));
    ctl1.submit.set([lost(), lost(), Ok(SubmitReply { job: 7 })]);
    assert_eq!(world.run("sbatch --wrap=true"), said(0, "Submitted batch job 7\n", ""));
    let asked = ctl1.submitted.all();
    assert_eq!(asked.len(), 3);
    assert!(asked.iter().all(|request| *request == asked[0]), "they are the same to the byte");
    assert_eq!(asked[0].request.len(), 16);
}

#[test]
fn a_full_cluster_is_asked_again_as_another_question() {
    let world = World::new(1);
    let ctl1 = &world.controllers[0];
    let text = "Slurm temporarily unable to accept job, sleeping and retrying";
    ctl1.submit.set([Err(refusal(text, 2054, None)), Ok(SubmitReply { job: 7 })]);
    let expected = said(0, "Submitted batch job 7\n", &format!("sbatch: error: {text}\n"));
    assert_eq!(world.run("sbatch ok.sh"), expected);
    let asked = ctl1.submitted.all();
    assert_ne!(asked[0].request, asked[1].request, "the first has its answer");
}

#[test]
fn refusals_are_said_in_slurm_s_words() {
    let world = World::new(1);
    let detail = Some("invalid partition specified: nosuch");
    let status = refusal("Invalid partition name specified", 2000, detail);
    world.controllers[0].submit.set([Err(status)]);
    let expected = "sbatch: error: invalid partition specified: nosuch\n\
                    sbatch: error: Batch job submission failed: Invalid partition name specified\n";
    assert_eq!(world.run("sbatch -p nosuch ok.sh"), said(1, "", expected));
}

#[test]
fn without_controllers_a_command_gives_up_in_time() {
    let mut world = World::new(1);
    world.stop();
    let Said { exit, out, err } = world.run("sbatch ok.sh");
    assert_eq!((exit, out.as_str()), (1, ""));
    let lines: Vec<&str> = err.lines().collect();
    assert!(lines[0].contains("ctl1 can't be reached"), "{err}");
    let contact = "Unable to contact slurm controller (connect failure)";
    assert_eq!(lines[1..], [format!("sbatch: error: Batch job submission failed: {contact}")]);
    let err = world.run("squeue").err;
    assert!(err.ends_with(&format!("slurm_load_jobs error: {contact}\n")), "{err}");
}

#[test]
fn a_host_of_no_cluster_says_so() {
    let world = World::new(1);
    fs::remove_file(world.path("client.conf")).expect("removed");
    let Said { exit, err, .. } = world.run("sbatch ok.sh");
    assert_eq!(exit, 1);
    assert!(err.contains("client.conf"), "{err}");
    assert!(err.ends_with("sbatch: fatal: Could not establish a configuration source\n"), "{err}");
}

#[test]
fn waiting_ends_as_the_script_does() {
    let world = World::new(1);
    let ctl1 = &world.controllers[0];
    ctl1.submit.set([Ok(SubmitReply { job: 7 })]);
    let end = End { state: EndState::Failed.into(), exit_code: 3, ..End::default() };
    let over = Job { end: Some(end), over: true, ..job(7, "x") };
    let away = Err(Status::unavailable("an election"));
    ctl1.jobs.set([Ok(jobs([job(7, "x")])), away, Ok(jobs([over]))]);
    assert_eq!(world.run("sbatch -W ok.sh"), said(3, "Submitted batch job 7\n", ""));
    ctl1.jobs.set([Ok(jobs([]))]);
    assert_eq!(world.run("sbatch -W -Q ok.sh").exit, 1, "a job that nobody knows did not succeed");
}

#[test]
fn scancel_asks_for_ids_at_once() {
    let world = World::new(1);
    let ctl1 = &world.controllers[0];
    let gone = || Err(refusal("Invalid job id specified", 2017, None));
    ctl1.cancel.set([Ok(Done {}), gone()]);
    assert_eq!(world.run("scancel 7 8"), said(0, "", ""));
    ctl1.cancel.set([gone()]);
    let expected = "scancel: Terminating job 8\n\
                    scancel: error: Kill job error on job id 8: Invalid job id specified\n";
    assert_eq!(world.run("scancel -v 8"), said(0, "", expected));
    ctl1.cancel.set([Err(refusal("Access/permission denied", 2002, None))]);
    let expected = "scancel: error: Kill job error on job id 9: Access/permission denied\n";
    assert_eq!(world.run("scancel 9"), said(210, "", expected));
    assert_eq!(ctl1.jobs_asked.all().len(), 0);
    let mut ids: Vec<u32> = ctl1.cancelled.all().iter().map(|request| request.job).collect();
    // Two were on their way at the same time.
    ids.sort_unstable();
    assert_eq!(ids, [7, 8, 8, 9]);
    assert!(ctl1.cancelled.all().iter().all(|request| request.signal.is_none()));
}

#[test]
fn scancel_looks_before_it_signals() {
    let world = World::new(1);
    let ctl1 = &world.controllers[0];
    let running = Job { run: Some(Run::default()), ..job(7, "a") };
    ctl1.jobs.set([Ok(jobs([running, job(8, "b")]))]);
    ctl1.cancel.set([Ok(Done {})]);
    let expected = "scancel: Signal 10 to job 7\n";
    assert_eq!(world.run("scancel -v -s USR1 -n a"), said(0, "", expected));
    let [sent] = &ctl1.cancelled.all()[..] else { panic!("one request") };
    assert_eq!((sent.job, sent.signal), (7, Some(10)));
    let expected = "scancel: error: Kill job error on job id 9: Invalid job id specified\n";
    assert_eq!(world.run("scancel -s USR1 9"), said(1, "", expected));
    let expected = "scancel: error: No active jobs match ALL job filters, \
                    including: job_name=x state=RUNNING \n";
    assert_eq!(world.run("scancel -v -t running -n x"), said(0, "", expected));
    assert_eq!(ctl1.cancelled.all().len(), 1);
}

#[test]
fn scancel_asks_before_each_job() {
    let world = World::new(1);
    let ctl1 = &world.controllers[0];
    ctl1.jobs.set([Ok(jobs([job(7, "a"), job(8, "b"), job(9, "c")]))]);
    ctl1.cancel.set([Ok(Done {})]);
    let answers = world.path("answers");
    fs::write(&answers, "what\nn\ny\n").expect("written");
    let mut command = world.command("scancel -i -p cpu");
    command.stdin(fs::File::open(&answers).expect("opened"));
    let output = command.output().expect("the command runs");
    let ask = |id, name| format!("Cancel job_id={id} name={name} partition=cpu [y/n]? ");
    let asked = [ask(7, "a"), ask(7, "a"), ask(8, "b"), ask(9, "c")].concat();
    assert_eq!(String::from_utf8_lossy(&output.stdout), asked);
    let ids: Vec<u32> = ctl1.cancelled.all().iter().map(|request| request.job).collect();
    assert_eq!(ids, [8], "no, yes, and an end of the answers");
}

#[test]
fn status_is_an_object_for_programs() {
    let world = World::new(1);
    let status = StatusReply { cluster: "ref".into(), leader: "ctl1".into(), ..Default::default() };
    world.controllers[0].status.set([Ok(status)]);
    let said = world.run("status --json");
    let object: serde_json::Value = serde_json::from_str(&said.out).expect("JSON");
    assert_eq!((said.exit, &object["leader"]), (0, &"ctl1".into()));
    assert!(world.run("status").out.contains("ctl1 leads"));
}

#[test]
fn a_reader_that_goes_away_ends_a_command_quietly() {
    let world = World::new(1);
    let mut child = world.command("sbatch --help").stdout(Stdio::piped()).spawn().expect("runs");
    drop(child.stdout.take());
    let status = child.wait().expect("it ends");
    // Whether it had written before the pipe was closed is the kernel's choice.
    assert!([0, 141].contains(&status.code().expect("no signal")), "{status:?}");
}

#[test]
fn what_is_not_text_is_refused() {
    let world = World::new(1);
    let mut command = world.command("sbatch");
    let output = command.arg(OsStr::from_bytes(b"-J\xff")).output().expect("runs");
    let err = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(255));
    assert_eq!(err, "sbatch: error: argument \"-J\\xFF\" is not UTF-8\n");
}
