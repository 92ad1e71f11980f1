//! Jobs that are in, and are to count elsewhere or run longer.

use common::{
    id::{JobId, UserId},
    job::{ArraySpec, JobChanges, Reason, TaskSet},
    machine::{Command, Refusal, TaskAct},
    time::TimeLimit,
};

use crate::{
    accounts::{ENFORCE, qos},
    cluster::{ALICE, Cluster, ROOT},
};

fn update_by(
    cluster: &mut Cluster,
    user: UserId,
    job: JobId,
    changes: JobChanges,
) -> Result<(), Refusal> {
    let (by, changes) = (cluster.by(user), Box::new(changes));
    cluster.send(Command::UpdateJob { by, job, changes }).map(|_| ())
}

const TABLE: &str = "\
QOS - 'few':MaxSubmitJobsPerUser=3
QOS - 'short':Flags=DenyOnLimit:MaxWallDurationPerJob=30
QOS - 'long':Flags=DenyOnLimit:MaxWallDurationPerJob=600
Cluster - 'test':QOS='normal,few,short,long'
Account - 'physics'
Parent - 'physics'
User - 'user1001':DefaultAccount='physics'
User - 'user1002':DefaultAccount='physics'
";

/// Tasks that have jobs of their own move to a QOS as far as it has room for all of them.
#[test]
fn tasks_of_an_array_count_together_where_they_move() {
    let mut cluster = Cluster::with_accounts(TABLE, ENFORCE);
    let array = cluster.asks(ALICE, |spec| {
        let array = ArraySpec::parse("0-5", 10).expect("well formed");
        spec.array = Some(array.into());
    });
    let array = array.expect("it may enter");
    // Each gets a job of its own.
    let act = TaskAct::Hold { admin: false };
    for index in 0..6 {
        let tasks = Some(TaskSet::one(index));
        let by = cluster.by(ALICE);
        cluster.send(Command::OnTasks { by, array, tasks, act: act.clone() }).expect("her own");
    }
    let changes = JobChanges { qos: Some("few".into()), ..JobChanges::default() };
    update_by(&mut cluster, ALICE, array, changes).expect("some of them may");
    assert_eq!(cluster.of_qos("few").submitted, 3);
}

/// Two of six tasks move to a QOS that has room for three.
#[test]
fn some_tasks_move_where_there_is_room_for_them() {
    let mut cluster = Cluster::with_accounts(TABLE, ENFORCE);
    let array = cluster.asks(ALICE, |spec| {
        let array = ArraySpec::parse("0-5", 10).expect("well formed");
        spec.array = Some(array.into());
    });
    let array = array.expect("it may enter");
    let changes = JobChanges { qos: Some("few".into()), ..JobChanges::default() };
    let act = TaskAct::Update { changes: Box::new(changes) };
    let tasks = TaskSet::parse("0-1", 10).expect("well formed");
    let by = cluster.by(ALICE);
    let told = cluster.send(Command::OnTasks { by, array, tasks: Some(tasks), act }).map(|_| ());
    assert_eq!((told, cluster.of_qos("few").submitted), (Ok(()), 2));
}

/// What the QOS says that a job leaves does not count any more, and that of the new one does.
#[test]
fn a_new_limit_is_held_against_the_new_qos() {
    let mut cluster = Cluster::with_accounts(TABLE, ENFORCE);
    let limit = |minutes| Some(TimeLimit::Minutes(minutes));
    let both = |qos: &str, minutes| JobChanges {
        qos: Some(qos.into()),
        time_limit: limit(minutes),
        ..JobChanges::default()
    };
    let job = cluster.asks(ALICE, |spec| {
        spec.qos = Some("short".into());
        spec.time_limit = limit(30);
    });
    let job = job.expect("it may enter");
    let longer = update_by(&mut cluster, ALICE, job, both("long", 600));
    let other = cluster.asks(ALICE, |spec| {
        spec.qos = Some("long".into());
        spec.time_limit = limit(60);
    });
    let other = other.expect("it may enter");
    let denied = update_by(&mut cluster, ALICE, other, both("short", 60));
    let refused = Err(Refusal::Policy(Reason::QosMaxWallDurationPerJobLimit));
    assert_eq!((longer, denied), (Ok(()), refused));
}

/// Who has more jobs in than he may by now can still change one.
#[test]
fn a_job_that_is_in_can_be_made_shorter_under_lower_limits() {
    let mut cluster = Cluster::with_accounts(TABLE, ENFORCE);
    let jobs = [(); 3].map(|()| cluster.asks(ALICE, qos("few")).expect("three"));
    cluster.load(ROOT, &TABLE.replace("PerUser=3", "PerUser=2")).expect("lower");
    let changes = JobChanges { time_limit: Some(TimeLimit::Minutes(1)), ..JobChanges::default() };
    assert_eq!(update_by(&mut cluster, ALICE, jobs[0], changes), Ok(()));
}
