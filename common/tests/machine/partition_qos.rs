//! The QOS of a partition: its limits go before those of the job's.

use std::sync::Arc;

use common::{
    config::{Config, Enforce},
    id::{JobId, PartitionName},
    job::{JobChanges, JobSpec, Place, Reason},
    machine::{Command, Refusal, Rules, State, Wants},
    resources::Resources,
};

use crate::{
    accounts::{ENFORCE, configured, qos},
    cluster::{ALICE, BOB, Cluster, ROOT},
};

/// A cluster whose second partition has a QOS.
fn with_qos(text: &str, qos: &str) -> Cluster {
    let mut cluster = Cluster::with_accounts(text, ENFORCE);
    give_qos(&mut cluster, Some(qos));
    cluster
}

fn give_qos(cluster: &mut Cluster, qos: Option<&str>) {
    let mut config = configured(ENFORCE);
    config.partitions[1].qos = qos.map(str::to_owned);
    cluster.send(Command::SetConfig { config: Arc::new(config) }).expect("it can be used");
}

fn in_gpu(qos: Option<&str>) -> impl FnOnce(&mut JobSpec) {
    let qos = qos.map(str::to_owned);
    move |spec| {
        spec.partition = PartitionName::from("gpu");
        spec.qos = qos;
    }
}

/// Of which two jobs may be submitted in the partition, four under the QOS `own`, and of which
/// `over` goes before what the partition says.
const LAYERS: &str = "\
QOS - 'normal'
QOS - 'room':GrpSubmitJobs=2:GrpTRES=cpu=3
QOS - 'own':GrpSubmitJobs=4:MaxSubmitJobsPerUser=1:MaxTRESPerUser=cpu=2
QOS - 'over':GrpSubmitJobs=3:Flags=OverPartQOS
Cluster - 'test':QOS='normal,own,over'
Account - 'physics':GrpSubmitJobs=2
Parent - 'physics'
User - 'user1001':DefaultAccount='physics'
User - 'user1002':DefaultAccount='physics'
";

#[test]
fn a_partition_s_qos_goes_before_a_job_s() {
    let mut cluster = with_qos(LAYERS, "room");
    let refused = |reason| Err(Refusal::Policy(reason));
    cluster.asks(ALICE, in_gpu(None)).expect("one");
    cluster.asks(BOB, in_gpu(Some("own"))).expect("two");
    let third = cluster.asks(ALICE, in_gpu(Some("own")));
    assert_eq!(third, refused(Reason::QosGrpSubmitJobsLimit), "of the partition");
    // What the partition's does not limit, the job's own does, and what neither does, the account.
    let second = cluster.asks(BOB, qos("own"));
    assert_eq!(second, refused(Reason::QosMaxSubmitJobPerUserLimit));
    assert_eq!(cluster.asks(BOB, |_| {}), refused(Reason::AssocGrpSubmitJobsLimit));
    assert_eq!((cluster.of_qos("room").submitted, cluster.of_qos("own").submitted), (2, 1));
    // Unless the job's says that it goes before.
    cluster.asks(ALICE, in_gpu(Some("over"))).expect("the third there, and the first under it");
    assert_eq!(cluster.of_qos("room").submitted, 3, "and it counts for both");
    assert_eq!(cluster.replayed(), cluster.state);
}

#[test]
fn jobs_move_to_and_from_a_partition_with_a_qos() {
    let mut cluster = with_qos(LAYERS, "room");
    let first = cluster.asks(ALICE, in_gpu(None)).expect("one");
    cluster.asks(ALICE, in_gpu(None)).expect("two");
    let other = cluster.asks(BOB, qos("over")).expect("elsewhere, under what goes before");
    let to = |cluster: &mut Cluster, job, partition: &str| {
        let partition = Some(partition.into());
        let changes = Box::new(JobChanges { partition, ..JobChanges::default() });
        let by = cluster.by(ROOT);
        cluster.send(Command::UpdateJob { by, job, changes }).map(|_| ())
    };
    to(&mut cluster, other, "gpu").expect("its own goes before");
    to(&mut cluster, other, "cpu").expect("and back");
    to(&mut cluster, first, "gpu").expect("it is there, and is not counted twice");
    let plain = cluster.asks(ALICE, qos("own")).expect("elsewhere");
    let refused = to(&mut cluster, plain, "gpu");
    assert_eq!(refused, Err(Refusal::Policy(Reason::QosGrpSubmitJobsLimit)));
    cluster.allocate(first, "n1", 1).expect("it may start");
    cluster.exits("n1", first, 1, 0);
    to(&mut cluster, plain, "gpu").expect("there is room again");
    // Of several, the first one counts.
    assert_eq!(cluster.of_qos("room").submitted, 2);
    to(&mut cluster, plain, "gpu,cpu").expect("it is there");
    assert_eq!(cluster.of_qos("room").submitted, 2);
    to(&mut cluster, plain, "cpu,gpu").expect("it is elsewhere");
    assert_eq!(cluster.of_qos("room").submitted, 1);
    cluster.state.check();
    // And what a partition has later counts from the beginning.
    give_qos(&mut cluster, None);
    assert_eq!(cluster.of_qos("room").submitted, 0);
    give_qos(&mut cluster, Some("own"));
    assert_eq!((cluster.of_qos("room").submitted, cluster.of_qos("own").submitted), (0, 2));
    cluster.state.check();
    assert_eq!(cluster.replayed(), cluster.state);
}

#[test]
fn amounts_of_a_partition_s_qos_hold_before_those_of_a_job_s() {
    let mut cluster = with_qos(LAYERS, "room");
    let own = cluster.asks(ALICE, in_gpu(Some("own"))).expect("it may enter");
    let over = cluster.asks(ALICE, in_gpu(Some("over"))).expect("it may enter");
    let why = |state: &State, job: JobId, cpus| {
        let rules = Rules::of(state).expect("limits are enforced");
        let held = Resources { cpus, memory_mib: 0 };
        let places = [Place::of("n1".into(), held, 1)];
        rules.may_have(&state.jobs[&job], &Wants::of(&places))
    };
    assert_eq!(why(&cluster.state, own, 4), Err(Reason::QosGrpCpuLimit));
    assert_eq!(why(&cluster.state, own, 3), Err(Reason::QosMaxCpuPerUserLimit));
    assert_eq!(why(&cluster.state, own, 2), Ok(()));
    assert_eq!(why(&cluster.state, over, 4), Err(Reason::QosGrpCpuLimit), "it sets none itself");
    cluster.allocate(own, "n1", 2).expect("within all");
    assert_eq!(why(&cluster.state, over, 2), Err(Reason::QosGrpCpuLimit), "they share");
    assert_eq!(why(&cluster.state, over, 1), Ok(()));
}

#[test]
fn what_one_limits_nothing_limits_that_comes_later() {
    let text = "\
QOS - 'normal'
QOS - 'room':GrpTRES=cpu=3:MinTRESPerJob=cpu=2
QOS - 'own':GrpTRES=cpu=1:MinTRESPerJob=cpu=3:MaxTRESPerJob=cpu=4
Cluster - 'test':QOS='own'
Account - 'physics':MaxTRESPerJob=cpu=1
Parent - 'physics'
User - 'user1001':DefaultAccount='physics'
";
    let mut cluster = with_qos(text, "room");
    let there = cluster.asks(ALICE, in_gpu(None)).expect("it may enter");
    let elsewhere = cluster.asks(ALICE, |_| {}).expect("it may enter");
    let why = |job: JobId, cpus| {
        let rules = Rules::of(&cluster.state).expect("limits are enforced");
        let held = Resources { cpus, memory_mib: 0 };
        let places = [Place::of("n1".into(), held, 1)];
        rules.may_have(&cluster.state.jobs[&job], &Wants::of(&places))
    };
    assert_eq!(why(there, 1), Err(Reason::QosMinCpuNotSatisfied));
    assert_eq!(why(there, 2), Ok(()), "three would be the least elsewhere");
    assert_eq!(why(there, 3), Ok(()), "and one the most, of all and of an account's job");
    assert_eq!(why(there, 4), Err(Reason::QosGrpCpuLimit));
    assert_eq!(why(elsewhere, 1), Err(Reason::QosMinCpuNotSatisfied));
    assert_eq!(why(elsewhere, 3), Err(Reason::QosGrpCpuLimit));
}

#[test]
fn a_partition_s_qos_that_is_not_there_lets_nothing_in() {
    let mut cluster = with_qos(LAYERS, "nosuch");
    assert_eq!(cluster.asks(ALICE, in_gpu(None)), Err(Refusal::Qos));
    let job = cluster.asks(ALICE, |_| {}).expect("in another partition");
    cluster.state.check();
    // Where no limits are enforced, there is none that it would have to know.
    let enforce = Enforce { limits: false, ..ENFORCE };
    let mut config = Config { enforce, ..configured(ENFORCE) };
    config.partitions[1].qos = Some("nosuch".to_owned());
    cluster.send(Command::SetConfig { config: Arc::new(config) }).expect("it can be used");
    cluster.asks(ALICE, in_gpu(None)).expect("it may enter");
    cluster.allocate(job, "n1", 1).expect("it may start");
}

/// A job counts in the first of its partitions alone, when it enters and when it moves.
#[test]
fn a_job_moves_where_it_could_enter() {
    let mut cluster = with_qos(&LAYERS.replace(":GrpSubmitJobs=2\nParent", "\nParent"), "room");
    cluster.asks(ALICE, in_gpu(None)).expect("one");
    cluster.asks(BOB, in_gpu(None)).expect("two");
    let entered = cluster.asks(ALICE, |spec| spec.partition = PartitionName::from("cpu,gpu"));
    let plain = cluster.asks(BOB, |spec| spec.partition = PartitionName::from("cpu"));
    let changes = JobChanges { partition: Some("cpu,gpu".into()), ..JobChanges::default() };
    let (by, changes) = (cluster.by(ROOT), Box::new(changes));
    let job = plain.expect("it may enter");
    let moved = cluster.send(Command::UpdateJob { by, job, changes }).map(|_| ());
    assert_eq!((entered.map(|_| ()), moved), (Ok(()), Ok(())));
}
