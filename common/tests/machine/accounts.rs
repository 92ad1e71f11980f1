//! Accounts, associations and QOS: what enters, what starts, and what is counted.

use std::sync::Arc;

use common::{
    account::{Accounts, parse},
    config::{Config, Enforce, EnforcePartLimits, PartitionConf},
    id::{JobId, PartitionName, UserId},
    job::{EndState, JobChanges, JobSpec, Phase, Reason},
    machine::{Command, Refusal, Rules, State, Tally, Wants, Whose},
    time::TimeLimit,
};

use crate::cluster::{ALICE, BOB, Cluster, ROOT, config, spec};

pub(crate) const ENFORCE: Enforce = Enforce { associations: true, limits: true, qos: true };
const NOTHING: Enforce = Enforce { associations: false, limits: false, qos: false };

/// The users' names in [`spec`] are made of their numbers.
pub(crate) const FILE: &str = "\
QOS - 'long':MaxWallDurationPerJob=600
QOS - 'strict':Flags=DenyOnLimit:MaxTRESPerJob=cpu=2:MaxWallDurationPerJob=30
QOS - 'few':GrpSubmitJobs=3:MaxSubmitJobsPerUser=2:MaxJobsPerUser=1:GrpJobs=2
Cluster - 'test':QOS='normal'
Parent - 'root'
Account - 'physics':GrpSubmitJobs=4:MaxWallDurationPerJob=60:QOS='normal,long,strict,few'
Account - 'biology'
Parent - 'physics'
User - 'user1001':DefaultAccount='physics':MaxSubmitJobs=3
User - 'user1002':DefaultAccount='physics'
Parent - 'biology'
User - 'user1002':DefaultAccount='physics':Partition='cpu':MaxJobs=1
";

fn accounts(text: &str) -> Arc<Accounts> {
    Arc::new(parse(text).unwrap_or_else(|errors| panic!("{errors:?}")).accounts)
}

pub(crate) fn configured(enforce: Enforce) -> Config {
    let mut config = config(&["n1", "n2"], 8);
    let other = PartitionConf {
        nodes: vec!["n1".into()],
        nodes_text: "n1".into(),
        ..PartitionConf::defaults("gpu")
    };
    config.partitions.push(other);
    Config { enforce, ..config }
}

impl Cluster {
    pub(crate) fn with_accounts(text: &str, enforce: Enforce) -> Self {
        let mut cluster = Self::new(&["n1", "n2"], 8);
        let config = Arc::new(configured(enforce));
        cluster.send(Command::SetConfig { config }).expect("it can be used");
        cluster.load(ROOT, text).expect("it can be loaded");
        cluster
    }

    pub(crate) fn load(&mut self, user: UserId, text: &str) -> Result<(), Refusal> {
        let command = Command::LoadAccounts { by: self.by(user), accounts: accounts(text) };
        self.send(command).map(|_| ())
    }

    pub(crate) fn asks(
        &mut self,
        user: UserId,
        change: impl FnOnce(&mut JobSpec),
    ) -> Result<JobId, Refusal> {
        let mut asked = spec(user);
        change(&mut asked);
        self.submit(user, asked)
    }

    fn of_account(&self, name: &str) -> Tally {
        let all = self.state.accounts.as_ref().expect("they were loaded");
        let at = u32::try_from(all.account(name).expect("it is there")).expect("few");
        self.state.tallies.get(Whose::Association(at)).cloned().unwrap_or_default()
    }

    pub(crate) fn of_qos(&self, name: &str) -> Tally {
        let all = self.state.accounts.as_ref().expect("they were loaded");
        let at = u32::try_from(all.qos(name).expect("it is there").0).expect("few");
        self.state.tallies.get(Whose::Qos(at)).cloned().unwrap_or_default()
    }
}

pub(crate) fn qos(name: &str) -> impl FnOnce(&mut JobSpec) {
    let name = name.to_owned();
    move |spec| spec.qos = Some(name)
}

fn account(name: &str) -> impl FnOnce(&mut JobSpec) {
    let name = name.to_owned();
    move |spec| spec.account = Some(name)
}

#[test]
fn a_table_is_loaded_whole_by_operators() {
    let mut cluster = Cluster::with_accounts(FILE, NOTHING);
    assert_eq!(cluster.load(ALICE, FILE), Err(Refusal::NotOperator));
    let refused = cluster.load(ROOT, "Cluster - 'other'").expect_err("of another cluster");
    assert!(refused.to_string().contains("they are of cluster other, and this is test"));
    let before = cluster.log.len();
    cluster.load(ROOT, FILE).expect("the same again");
    let last = cluster.log.last().expect("the request is remembered");
    assert!(cluster.log.len() == before + 1 && last.events.is_empty(), "and nothing else");
    cluster.load(ROOT, "Cluster - 'test'").expect("another one");
    let all = cluster.state.accounts.clone().expect("it was loaded");
    assert_eq!((all.associations().len(), all.parts().qos.len()), (1, 1));
    assert_eq!(cluster.replayed(), cluster.state);
}

#[test]
fn the_first_format_has_no_accounts() {
    let mut cluster = Cluster::with_accounts(FILE, NOTHING);
    cluster.state.format = 1;
    assert_eq!(cluster.load(ROOT, "Cluster - 'test'"), Err(Refusal::Format("accounts")));
}

#[test]
fn what_a_job_does_not_say_is_filled_in() {
    let mut cluster = Cluster::with_accounts(FILE, NOTHING);
    let stands = |cluster: &Cluster, job: Result<JobId, Refusal>| {
        let spec = &cluster.state.jobs[&job.expect("it may enter")].spec;
        (spec.account.clone().unwrap_or_default(), spec.qos.clone().unwrap_or_default())
    };
    let pair = |account: &str, qos: &str| (account.to_owned(), qos.to_owned());
    let job = cluster.asks(ALICE, |_| {});
    assert_eq!(stands(&cluster, job), pair("physics", "normal"));
    let job = cluster.asks(BOB, account("Biology"));
    assert_eq!(stands(&cluster, job), pair("biology", "normal"));
    let job = cluster.asks(ALICE, qos("LONG"));
    assert_eq!(stands(&cluster, job), pair("physics", "long"));
    // Nothing is enforced: who is not in the table may enter, under whatever account.
    let job = cluster.asks(UserId(7), account("mine"));
    assert_eq!(stands(&cluster, job), pair("mine", "normal"));
    assert_eq!(cluster.asks(ALICE, qos("nosuch")), Err(Refusal::Qos));
}

/// `AllowAccounts` of a partition looks at the account that a job has in the end.
#[test]
fn a_default_account_opens_partitions() {
    let mut cluster = Cluster::with_accounts(FILE, NOTHING);
    let mut config = configured(NOTHING);
    config.enforce_part_limits = EnforcePartLimits::All;
    config.partitions[0].allow_accounts = vec!["physics".into()];
    cluster.send(Command::SetConfig { config: Arc::new(config) }).expect("it can be used");
    cluster.asks(ALICE, |_| {}).expect("physics is her default account");
    assert_eq!(cluster.asks(BOB, account("biology")), Err(Refusal::Account));
}

#[test]
fn without_a_table_there_is_no_qos() {
    let mut cluster = Cluster::new(&["n1"], 8);
    assert_eq!(cluster.asks(ALICE, qos("normal")), Err(Refusal::Qos));
    let job = cluster.asks(ALICE, account("Whatever")).expect("it may enter");
    assert_eq!(cluster.state.jobs[&job].spec.account.as_deref(), Some("Whatever"));
    assert_eq!(Rules::of(&cluster.state).map(drop), None, "and no rules");
}

#[test]
fn who_has_no_association_can_not_enter() {
    let mut cluster = Cluster::with_accounts(FILE, ENFORCE);
    assert_eq!(cluster.asks(UserId(7), |_| {}), Err(Refusal::Account));
    assert_eq!(cluster.asks(ALICE, account("biology")), Err(Refusal::Account));
    assert_eq!(cluster.asks(ALICE, account("nosuch")), Err(Refusal::Account));
    cluster.asks(BOB, account("biology")).expect("in this partition");
    let in_gpu = |spec: &mut JobSpec| {
        spec.account = Some("biology".into());
        spec.partition = PartitionName::from("gpu");
    };
    assert_eq!(cluster.asks(BOB, in_gpu), Err(Refusal::Account));
    assert_eq!(
        cluster.asks(BOB, |spec| {
            spec.account = Some("biology".into());
            spec.qos = Some("long".into());
        }),
        Err(Refusal::Qos),
        "its account does not allow it"
    );
    // Nor go there later.
    let changes = JobChanges { partition: Some("gpu".into()), ..JobChanges::default() };
    let (by, changes) = (cluster.by(BOB), Box::new(changes));
    let moved = cluster.send(Command::UpdateJob { by, job: JobId(1), changes });
    assert_eq!(moved, Err(Refusal::Account));
}

#[test]
fn enforced_without_a_table_nobody_enters() {
    let mut cluster = Cluster::new(&["n1", "n2"], 8);
    let config = Arc::new(configured(ENFORCE));
    cluster.send(Command::SetConfig { config }).expect("it can be used");
    assert_eq!(cluster.asks(ROOT, |_| {}), Err(Refusal::Account));
}

/// The first of three wishes: how many jobs one user may have submitted.
#[test]
fn so_many_jobs_a_user_may_have_submitted() {
    let mut cluster = Cluster::with_accounts(FILE, ENFORCE);
    let jobs: Vec<_> = (0..3).map(|_| cluster.asks(ALICE, |_| {}).expect("up to three")).collect();
    let refused = cluster.asks(ALICE, |_| {}).expect_err("a fourth");
    assert_eq!(refused, Refusal::Policy(Reason::AssocMaxSubmitJobLimit));
    assert_eq!(refused.errno(), Some(2050));
    assert_eq!(refused.detail().as_deref(), Some("AssocMaxSubmitJobLimit"));
    assert_eq!(
        refused.to_string(),
        "Job violates accounting/QOS policy (job submit limit, user's size and/or time limits)"
    );
    // One that runs counts, and one that is over does not.
    cluster.allocate(jobs[0], "n1", 1).expect("it may start");
    assert!(cluster.asks(ALICE, |_| {}).is_err());
    cluster.exits("n1", jobs[0], 1, 0);
    cluster.asks(ALICE, |_| {}).expect("a third again");
    // The account as a whole may have four.
    cluster.asks(BOB, |_| {}).expect("the account's fourth");
    let refused = cluster.asks(BOB, |_| {}).expect_err("a fifth");
    assert_eq!(refused, Refusal::Policy(Reason::AssocGrpSubmitJobsLimit));
    cluster.asks(BOB, account("biology")).expect("another account");
}

#[test]
fn so_many_jobs_a_qos_may_have_submitted() {
    let mut cluster = Cluster::with_accounts(FILE, ENFORCE);
    for _ in 0..2 {
        cluster.asks(ALICE, qos("few")).expect("up to two");
    }
    let third = cluster.asks(ALICE, qos("few"));
    assert_eq!(third, Err(Refusal::Policy(Reason::QosMaxSubmitJobPerUserLimit)));
    cluster.asks(BOB, qos("few")).expect("of another user");
    let fourth = cluster.asks(BOB, qos("few"));
    assert_eq!(fourth, Err(Refusal::Policy(Reason::QosGrpSubmitJobsLimit)));
    assert_eq!((cluster.of_qos("few").submitted, cluster.of_account("physics").submitted), (3, 3));
}

#[test]
fn a_job_that_waits_may_count_elsewhere() {
    let mut cluster = Cluster::with_accounts(FILE, ENFORCE);
    let job = cluster.asks(BOB, |_| {}).expect("it may enter");
    let update = |cluster: &mut Cluster, account: Option<&str>, qos: Option<&str>| {
        let (account, qos) = (account.map(str::to_owned), qos.map(str::to_owned));
        let changes = Box::new(JobChanges { account, qos, ..JobChanges::default() });
        let by = cluster.by(BOB);
        cluster.send(Command::UpdateJob { by, job, changes }).map(|_| ())
    };
    assert_eq!(update(&mut cluster, Some("chemistry"), None), Err(Refusal::Account));
    assert_eq!(update(&mut cluster, None, Some("unknown")), Err(Refusal::Qos));
    let has = |cluster: &Cluster| {
        let spec = Arc::clone(&cluster.state.jobs[&job].spec);
        (spec.account.clone().unwrap_or_default(), spec.qos.clone().unwrap_or_default())
    };
    update(&mut cluster, Some("BIOLOGY"), None).expect("it is his, too");
    assert_eq!(has(&cluster), ("biology".to_owned(), "normal".to_owned()));
    assert_eq!(update(&mut cluster, None, Some("long")), Err(Refusal::Qos), "not there");
    update(&mut cluster, Some(""), Some("Long")).expect("his default account may have it");
    assert_eq!(has(&cluster), ("physics".to_owned(), "long".to_owned()));
    assert_eq!((cluster.of_qos("normal").submitted, cluster.of_qos("long").submitted), (0, 1));
    // Of the QOS he may have two; this one is not counted twice.
    cluster.asks(BOB, qos("few")).expect("one");
    update(&mut cluster, None, Some("few")).expect("the second");
    update(&mut cluster, None, Some("few")).expect("it has it");
    assert!(cluster.asks(BOB, qos("few")).is_err(), "a third");
    cluster.allocate(job, "n1", 1).expect("it may start");
    assert_eq!(update(&mut cluster, None, Some("long")), Err(Refusal::NotPending(job)));
    assert_eq!(cluster.replayed(), cluster.state);
}

#[test]
fn a_qos_goes_before_an_association() {
    // Alice may have three, the account four; the QOS says otherwise, and it counts.
    let text = FILE.replace("QOS - 'long'", "QOS - 'long':MaxSubmitJobsPerUser=9:GrpSubmitJobs=9");
    let mut cluster = Cluster::with_accounts(&text, ENFORCE);
    for _ in 0..9 {
        cluster.asks(ALICE, qos("long")).expect("up to nine");
    }
    let tenth = cluster.asks(ALICE, qos("long"));
    assert_eq!(tenth, Err(Refusal::Policy(Reason::QosGrpSubmitJobsLimit)));
}

/// The third: how long a job may run.
#[test]
fn so_long_a_job_may_run() {
    let mut cluster = Cluster::with_accounts(FILE, ENFORCE);
    let limit =
        |minutes| move |spec: &mut JobSpec| spec.time_limit = Some(TimeLimit::Minutes(minutes));
    let longer = cluster.asks(ALICE, limit(61));
    assert_eq!(longer, Err(Refusal::Policy(Reason::AssocMaxWallDurationPerJobLimit)));
    let job = cluster.asks(ALICE, limit(60)).expect("an hour");
    // Who does not say gets what there is.
    let silent = cluster.asks(ALICE, |_| {}).expect("as long as may be");
    assert_eq!(cluster.state.jobs[&silent].time_limit, TimeLimit::Minutes(60));
    // The QOS goes before: longer, and it does not refuse but lets wait.
    let long = cluster.asks(ALICE, |spec| {
        limit(700)(spec);
        spec.qos = Some("long".into());
    });
    let rules = Rules::of(&cluster.state).expect("limits are enforced");
    let long = &cluster.state.jobs[&long.expect("it waits")];
    assert_eq!(rules.may_start(long), Err(Reason::QosMaxWallDurationPerJobLimit));
    let started = cluster.allocate(long.id, "n1", 1);
    assert_eq!(started, Err(Refusal::Stale), "whoever says so");
    // Afterwards its owner can't make it longer either.
    let changes = JobChanges { time_limit: Some(TimeLimit::Minutes(61)), ..JobChanges::default() };
    let (by, changes) = (cluster.by(ALICE), Box::new(changes));
    let longer = cluster.send(Command::UpdateJob { by, job, changes: changes.clone() });
    assert_eq!(longer, Err(Refusal::Policy(Reason::AssocMaxWallDurationPerJobLimit)));
    let by = cluster.by(ROOT);
    cluster.send(Command::UpdateJob { by, job, changes }).expect("an operator may");
}

#[test]
fn a_qos_that_denies_lets_nothing_wait_for_ever() {
    let mut cluster = Cluster::with_accounts(FILE, ENFORCE);
    let strict = |cpus, minutes| {
        move |spec: &mut JobSpec| {
            spec.qos = Some("strict".into());
            spec.layout.tasks = cpus;
            spec.time_limit = Some(TimeLimit::Minutes(minutes));
        }
    };
    let refused = |reason| Err(Refusal::Policy(reason));
    assert_eq!(cluster.asks(ALICE, strict(3, 5)), refused(Reason::QosMaxCpuPerJobLimit));
    assert_eq!(cluster.asks(ALICE, strict(2, 31)), refused(Reason::QosMaxWallDurationPerJobLimit));
    cluster.asks(ALICE, strict(2, 30)).expect("within all");
}

#[test]
fn what_starts_is_within_the_limits() {
    let text = "\
QOS - 'normal':MaxTRESPerUser=cpu=6:MinTRESPerJob=cpu=2
Cluster - 'test':GrpJobs=5
Parent - 'root'
Account - 'a':GrpTRES=cpu=10,node=1:MaxTRESPerNode=cpu=5
Parent - 'a'
User - 'user1001':MaxTRESPerJob=cpu=4:MaxJobs=2
User - 'user1002'
";
    let mut cluster = Cluster::with_accounts(text, ENFORCE);
    let jobs: Vec<_> = (0..3).map(|_| cluster.asks(ALICE, |_| {}).expect("it may enter")).collect();
    let why = |state: &State, job: JobId, cpus, node: &str| {
        let rules = Rules::of(state).expect("limits are enforced");
        let job = &state.jobs[&job];
        let held = common::resources::Resources { cpus, memory_mib: 0 };
        let places = [common::job::Place::of(node.into(), held, 1)];
        rules.may_start(job).and_then(|()| rules.may_have(job, &Wants::of(&places)))
    };
    let state = cluster.state.clone();
    assert_eq!(why(&state, jobs[0], 1, "n1"), Err(Reason::QosMinCpuNotSatisfied));
    assert_eq!(why(&state, jobs[0], 7, "n1"), Err(Reason::QosMaxCpuPerUserLimit));
    assert_eq!(why(&state, jobs[0], 5, "n1"), Err(Reason::AssocMaxCpuPerJobLimit));
    let bobs = cluster.asks(BOB, |_| {}).expect("it may enter");
    assert_eq!(why(&cluster.state, bobs, 6, "n1"), Err(Reason::AssocMaxCpuPerNode));
    cluster.allocate(jobs[0], "n1", 4).expect("within all");
    assert_eq!(why(&cluster.state, jobs[1], 3, "n1"), Err(Reason::QosMaxCpuPerUserLimit));
    assert_eq!(why(&cluster.state, jobs[1], 2, "n2"), Err(Reason::AssocGrpNodeLimit));
    assert_eq!(why(&cluster.state, jobs[1], 2, "n1"), Ok(()), "a node that they have");
    cluster.allocate(jobs[1], "n1", 2).expect("within all");
    assert_eq!(why(&cluster.state, jobs[2], 2, "n1"), Err(Reason::AssocMaxJobsLimit));
    assert_eq!(why(&cluster.state, bobs, 5, "n1"), Err(Reason::AssocGrpCpuLimit));
    // The decision has the last word.
    assert_eq!(cluster.allocate(bobs, "n1", 5), Err(Refusal::Stale));
    let tally = cluster.of_account("root");
    assert_eq!((tally.running, tally.submitted, tally.cpus, tally.nodes.len()), (2, 4, 6, 1));
}

#[test]
fn lower_limits_end_nothing_and_lost_associations_wait() {
    let mut cluster = Cluster::with_accounts(FILE, ENFORCE);
    let runs = cluster.asks(ALICE, |_| {}).expect("it may enter");
    let waits = cluster.asks(ALICE, |_| {}).expect("it may enter");
    cluster.allocate(runs, "n1", 1).expect("it may start");
    cluster
        .load(ROOT, "Cluster - 'test'\nAccount - 'physics':GrpJobs=0")
        .expect("it can be loaded");
    assert!(cluster.state.jobs[&runs].holding().is_some(), "it runs on");
    let rules = Rules::of(&cluster.state).expect("limits are enforced");
    let job = &cluster.state.jobs[&waits];
    assert_eq!(rules.may_start(job), Err(Reason::InvalidAccount));
    cluster.exits("n1", runs, 1, 0);
    let Phase::Ended { end, .. } = &cluster.state.jobs[&runs].phase else { panic!("it is over") };
    assert_eq!(end.state, EndState::Completed);
    // They are there again, and counted.
    cluster.load(ROOT, FILE).expect("it can be loaded");
    assert_eq!(cluster.of_account("physics").submitted, 1);
    assert_eq!(cluster.replayed(), cluster.state);
}

#[test]
fn associations_alone_bring_no_limits() {
    let enforce = Enforce { associations: true, limits: false, qos: false };
    let mut cluster = Cluster::with_accounts(FILE, enforce);
    for _ in 0..6 {
        cluster.asks(ALICE, |spec| spec.time_limit = Some(TimeLimit::Minutes(999))).expect("any");
    }
    let job = cluster.asks(BOB, |spec| {
        spec.account = Some("biology".into());
        spec.qos = Some("long".into());
    });
    cluster.allocate(job.expect("which QOS does not matter"), "n1", 8).expect("it may start");
    assert_eq!(cluster.asks(UserId(7), |_| {}), Err(Refusal::Account));
}
