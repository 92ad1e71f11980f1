//! What runs are charged, whose usage they are, and what of a priority stays with a job.

use std::sync::Arc;

use common::{
    job::{Charge, Hold, JobChanges, Rank},
    machine::{Command, Owner, Refusal},
    time::Timestamp,
};

use crate::{
    accounts::FILE,
    cluster::{ALICE, BOB, Cluster, ROOT, config, spec},
};

const NOT_ENFORCED: common::config::Enforce =
    common::config::Enforce { associations: false, limits: false, qos: false };

fn owner(user: &str, partition: Option<&str>) -> Owner {
    let partition = partition.map(str::to_owned);
    Owner { account: "physics".to_owned(), user: user.to_owned(), partition }
}

/// The seconds of units that each has used.
fn used(cluster: &Cluster) -> Vec<(Owner, u64)> {
    let amount = |buckets: &[common::machine::Bucket]| {
        buckets.iter().map(|bucket| bucket.amount).sum::<u64>() / Charge::UNIT
    };
    cluster.state.usage.iter().map(|(owner, buckets)| (owner.clone(), amount(buckets))).collect()
}

#[test]
fn a_run_is_its_associations_usage_once_it_is_over() {
    let mut cluster = Cluster::with_accounts(FILE, NOT_ENFORCED);
    let job = cluster.asks(ALICE, |_| ()).expect("it may enter");
    cluster.allocate(job, "n1", 3).expect("it may start");
    cluster.pass(100);
    assert_eq!(used(&cluster), []);
    cluster.exits("n1", job, 1, 0);
    assert_eq!(used(&cluster), [(owner("user1001", None), 300)]);

    // A run that is tried again is used up, too.
    let again = cluster.asks(BOB, |_| ()).expect("it may enter");
    cluster.allocate(again, "n1", 2).expect("it may start");
    cluster.pass(50);
    let by = cluster.by(ROOT);
    cluster.send(Command::Requeue { by, job: again, hold: false }).expect("it may be");
    cluster.pass(50);
    cluster.exits("n1", again, 1, 0);
    assert!(cluster.state.jobs[&again].is_pending(), "it was requeued");
    let of_bob = used(&cluster)[1].1;
    assert!((100..=200).contains(&of_bob), "{of_bob}");
    assert_eq!(cluster.replayed(), cluster.state);

    // The table may be another one: what was used stays where it was.
    cluster.load(ROOT, "Cluster - 'test'").expect("another one");
    assert_eq!(used(&cluster).len(), 2);
}

#[test]
fn a_run_without_an_association_is_nobodys_usage() {
    let mut cluster = Cluster::with_accounts(FILE, NOT_ENFORCED);
    let job = cluster.asks(ALICE, |spec| spec.account = Some("biology".into())).expect("it may");
    cluster.allocate(job, "n1", 3).expect("it may start");
    cluster.pass(100);
    cluster.exits("n1", job, 1, 0);
    assert_eq!(used(&cluster), []);
}

#[test]
fn what_a_run_costs_is_decided_where_it_starts() {
    let table = "QOS - 'dear':UsageFactor=2.5\nCluster - 'test':QOS='normal,dear'\n\
                 Account - 'physics'\nParent - 'physics'\nUser - 'user1001'\n";
    let mut cluster = Cluster::with_accounts(table, NOT_ENFORCED);
    let weigh = |cluster: &mut Cluster, weights: &str| {
        let mut config = cluster.state.config.as_deref().expect("it is configured").clone();
        config.partitions[0].billing_weights = weights.to_owned();
        cluster.send(Command::SetConfig { config: Arc::new(config) }).expect("it can be used");
    };
    let charge = |cluster: &mut Cluster, qos: Option<&str>| {
        let job = cluster.asks(ALICE, |spec| spec.qos = qos.map(str::to_owned)).expect("it may");
        cluster.allocate(job, "n1", 2).expect("it may start");
        let charge = cluster.state.jobs[&job].holding().expect("it runs").charge;
        cluster.pass(10);
        weigh(cluster, "CPU=100");
        cluster.exits("n1", job, 1, 0);
        weigh(cluster, "");
        charge
    };
    assert_eq!(charge(&mut cluster, None), None, "a unit for each CPU needs no word");
    assert_eq!(charge(&mut cluster, Some("dear")), Some(Charge(5_000_000)));
    assert_eq!(used(&cluster), [(owner("user1001", None), 10 * (2 + 5))]);
    weigh(&mut cluster, "CPU=0.5,Node=3");
    let job = cluster.asks(ALICE, |_| ()).expect("it may enter");
    cluster.allocate(job, "n1", 2).expect("it may start");
    let run = cluster.state.jobs[&job].holding().expect("it runs");
    assert_eq!(run.charge(), Charge(4_000_000));
}

#[test]
fn a_node_with_a_wrong_clock_charges_no_more_than_the_log_saw() {
    let mut cluster = Cluster::with_accounts(FILE, NOT_ENFORCED);
    for (said, charged) in [(Timestamp(u64::MAX), 100), (Timestamp(0), 0)] {
        let before: u64 = used(&cluster).iter().map(|(_, used)| used).sum();
        let job = cluster.asks(ALICE, |_| ()).expect("it may enter");
        cluster.allocate(job, "n1", 1).expect("it may start");
        cluster.pass(100);
        let exit = common::job::ExitStatus { code: 0, signal: 0 };
        let ended = common::machine::Report::Ended { at: said, exit, out_of_memory: false };
        cluster.report("n1", job, 1, ended);
        let after: u64 = used(&cluster).iter().map(|(_, used)| used).sum();
        assert_eq!(after - before, charged);
    }
}

#[test]
fn age_counts_from_when_nothing_held_it() {
    let mut cluster = Cluster::new(&["n1"], 8);
    let job = cluster.submit(ALICE, spec(ALICE)).expect("it may enter");
    let rank = |cluster: &Cluster| cluster.state.jobs[&job].rank;
    let submitted = cluster.now;
    assert_eq!(rank(&cluster), Rank::default());
    assert_eq!(cluster.state.jobs[&job].eligible(), submitted);
    cluster.pass(10);
    let by = cluster.by(ALICE);
    cluster.send(Command::Hold { by, job, admin: false }).expect("her own");
    cluster.pass(10);
    let by = cluster.by(ALICE);
    cluster.send(Command::Release { by, job }).expect("her own");
    assert_eq!(rank(&cluster).since, Some(cluster.now));
    cluster.pass(10);
    cluster.allocate(job, "n1", 1).expect("it may start");
    cluster.pass(10);
    let by = cluster.by(ALICE);
    cluster.send(Command::Requeue { by, job, hold: false }).expect("her own");
    cluster.pass(10);
    cluster.exits("n1", job, 1, 0);
    assert_eq!(rank(&cluster).since, Some(cluster.now), "it waits anew");
    assert_eq!(cluster.replayed(), cluster.state);
}

#[test]
fn a_priority_that_was_set_stays_until_the_job_is_held() {
    let mut cluster = Cluster::new(&["n1"], 8);
    let job = cluster.submit(ALICE, spec(ALICE)).expect("it may enter");
    let by = cluster.by(ROOT);
    let changes = Box::new(JobChanges { priority: Some(77), ..JobChanges::default() });
    cluster.send(Command::UpdateJob { by, job, changes }).expect("an operator may");
    let known = |cluster: &Cluster| {
        let job = &cluster.state.jobs[&job];
        (job.priority, job.rank.direct)
    };
    assert_eq!(known(&cluster), (77, true));
    cluster.allocate(job, "n1", 1).expect("it may start");
    let by = cluster.by(ALICE);
    cluster.send(Command::Requeue { by, job, hold: false }).expect("her own");
    cluster.exits("n1", job, 1, 0);
    assert_eq!(known(&cluster), (77, true));
    let by = cluster.by(ALICE);
    cluster.send(Command::Hold { by, job, admin: false }).expect("her own");
    assert_eq!(known(&cluster), (0, false));
    assert_eq!(cluster.state.jobs[&job].hold, Hold::User);
}

#[test]
fn where_factors_count_only_operators_set_priorities() {
    let mut cluster = Cluster::new(&["n1"], 8);
    let mut weighed = config(&["n1"], 8);
    weighed.settings.insert("PriorityWeightAge".into(), "1000".into());
    cluster.send(Command::SetConfig { config: Arc::new(weighed) }).expect("it can be used");
    let job = cluster.submit(ALICE, spec(ALICE)).expect("it may enter");
    let mut set = |user, priority| {
        let by = cluster.by(user);
        let changes = Box::new(JobChanges { priority: Some(priority), ..JobChanges::default() });
        cluster.send(Command::UpdateJob { by, job, changes }).map(|_| ())
    };
    assert_eq!(set(ALICE, 5), Err(Refusal::Denied));
    assert_eq!(set(ROOT, 50), Ok(()));
    assert_eq!(set(ALICE, 51), Err(Refusal::Denied));
    assert_eq!(set(ALICE, 49), Ok(()), "she may go behind others");
}
