//! Accounts, and what jobs and the configuration have of them.

use std::sync::Arc;

use common::{
    account::{Accounts, parse},
    config::{Config, Enforce},
    id::JobId,
    job::{Hold, JobSpec},
    machine::{Event, State},
    time::TimeLimit,
};
use proto::convert::{StateReader, state_digest, state_records};

use crate::samples::bare_spec;

/// Every limit once.
const FILE: &str = "\
QOS - 'normal':Description='the normal one'
QOS - 'all':Description='of all':Priority=7:Flags=DenyOnLimit:GrpJobs=1:GrpSubmitJobs=2:\
GrpTRES=cpu=3,mem=4,node=5,gres/gpu=6:MaxTRESPerJob=cpu=7:MaxTRESPerNode=cpu=8:MaxWall=9:\
MaxJobsPerUser=10:MaxSubmitJobsPerUser=11:MaxTRESPerUser=node=12:MaxJobsPerAccount=13:\
MaxSubmitJobsPerAccount=14:MaxTRESPerAccount='gres/gpu:a100=15':MinTRESPerJob=cpu=1
Cluster - 'ref':GrpJobs=100
Parent - 'root'
Account - 'physics':Description='Physics':Organization='science':Fairshare=parent:Priority=3
Parent - 'physics'
User - 'alice':Partition='gpu':DefaultAccount='physics':Fairshare=5:MaxJobs=1:MaxSubmitJobs=2:\
DefaultQOS='all':QOS='all,normal'
";

fn accounts() -> Accounts {
    parse(FILE).unwrap_or_else(|errors| panic!("{errors:?}")).accounts
}

pub(crate) fn events() -> Vec<Event> {
    let bare = parse("Cluster - 'bare'").expect("a good file").accounts;
    let enforce = Enforce { associations: true, limits: true, qos: true };
    let config = Config { enforce, ..Config::defaults("strict") };
    let spec = JobSpec { qos: Some("long".to_owned()), ..bare_spec() };
    vec![
        Event::AccountsLoaded { accounts: Arc::new(accounts()) },
        Event::AccountsLoaded { accounts: Arc::new(bare) },
        Event::ConfigSet { config: Arc::new(config) },
        Event::JobSubmitted {
            job: JobId(1_000),
            spec: Arc::new(spec),
            priority: 5,
            hold: Hold::None,
            time_limit: TimeLimit::Minutes(60),
            requeue: true,
        },
    ]
}

#[test]
fn a_snapshot_keeps_the_table() {
    let state = State { accounts: Some(Arc::new(accounts())), ..State::default() };
    let mut reader = StateReader::default();
    for record in state_records(&state) {
        reader.take(record).expect("a good record");
    }
    let again = reader.finish().expect("a whole state");
    assert_eq!(again, state);
    assert_ne!(state_digest(&again), state_digest(&State::default()), "it is digested");
}

#[test]
fn a_table_that_makes_no_sense_is_refused() {
    let good = proto::account::Accounts::from(&accounts());
    let refused = |change: fn(&mut proto::account::Accounts)| {
        let mut bad = good.clone();
        change(&mut bad);
        assert!(Accounts::try_from(bad).is_err());
    };
    assert_eq!(Accounts::try_from(good.clone()), Ok(accounts()));
    refused(|bad| bad.associations[1].parent = Some(1));
    refused(|bad| bad.associations[1].parent = Some(9));
    refused(|bad| bad.associations[1].parent = None);
    refused(|bad| bad.associations.swap(0, 1));
    refused(|bad| bad.associations.clear());
    refused(|bad| bad.associations.push(bad.associations[2].clone()));
    refused(|bad| bad.users.clear());
    refused(|bad| bad.users[0].default_account = "root".into());
    refused(|bad| bad.qos.truncate(1));
    refused(|bad| bad.accounts[0].description = "two\nlines".into());
    refused(|bad| {
        bad.accounts.push(proto::account::Account { name: "x".into(), ..bad.accounts[0].clone() })
    });
    refused(|bad| bad.qos[1].min_tres_per_job[0].tres = "billing".into());
}
