//! The QOS of partitions, and the one that goes before it. Since format 2.

use std::sync::Arc;

use common::{
    account::parse,
    config::{Config, PartitionConf},
    machine::Event,
};

const FILE: &str = "\
QOS - 'over':Flags=OverPartQOS
QOS - 'strict':Flags=DenyOnLimit,OverPartQOS
Cluster - 'ref'
";

pub(crate) fn events() -> Vec<Event> {
    let accounts = parse(FILE).unwrap_or_else(|errors| panic!("{errors:?}")).accounts;
    let room = PartitionConf { qos: Some("room".to_owned()), ..PartitionConf::defaults("gpu") };
    let partitions = vec![room, PartitionConf::defaults("cpu")];
    let config = Config { partitions, ..Config::defaults("room") };
    vec![
        Event::ConfigSet { config: Arc::new(config) },
        Event::AccountsLoaded { accounts: Arc::new(accounts) },
    ]
}
