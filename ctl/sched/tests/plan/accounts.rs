//! Accounts, among the lines of a scenario's configuration.

use std::sync::Arc;

use common::{
    account::{Accounts, parse},
    id::UserId,
};

/// The lines of `slurm.conf`, and the table that the others are, if there are any.
pub(crate) fn split(conf: &str) -> (String, Option<Arc<Accounts>>) {
    let of_table = |line: &&str| line.contains(" - '");
    let (table, conf): (Vec<&str>, Vec<&str>) = conf.lines().partition(of_table);
    let read = |lines: &[&str]| {
        let loaded = parse(&lines.join("\n"));
        Arc::new(loaded.unwrap_or_else(|errors| panic!("{errors:?}")).accounts)
    };
    let table = (!table.is_empty()).then(|| read(&table));
    (conf.join("\n"), table)
}

/// The people of scenarios.
pub(crate) fn user(name: &str) -> UserId {
    match name {
        "alice" => UserId(1001),
        "bob" => UserId(1002),
        "op" => UserId(500),
        "carol" => UserId(1003),
        _ => panic!("scenarios have no user {name}"),
    }
}
