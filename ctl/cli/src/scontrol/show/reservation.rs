//! A reservation's record.

use common::{
    hostlist::Hostlist,
    reservation::{Allowed, Flag, Reservation},
    time::{Span, Timestamp},
};
use proto::ctl::ReservationView;
use serde_json::{Value, json};

use super::record::{Record, or_null};
use crate::{
    render::{Clock, json as slurm},
    view::Malformed,
};

/// A reservation with its parts at hand.
pub(crate) struct Shown<'a> {
    pub(crate) view: &'a ReservationView,
    pub(crate) one: Reservation,
}

impl<'a> Shown<'a> {
    pub(crate) fn of(view: &'a ReservationView) -> Result<Self, Malformed> {
        let one = view.reservation.clone().and_then(|one| one.try_into().ok());
        Ok(Self { view, one: one.ok_or(Malformed("reservation"))? })
    }

    pub(crate) fn all(views: &'a [ReservationView]) -> Result<Vec<Self>, Malformed> {
        views.iter().map(Self::of).collect()
    }

    pub(crate) fn nodes(&self) -> String {
        Hostlist::from_names(self.one.nodes.iter().map(|name| name.as_str())).to_string()
    }

    pub(crate) fn length(&self) -> Span {
        Span(self.view.end.saturating_sub(self.view.start))
    }

    pub(crate) fn state(&self) -> &'static str {
        if self.view.active { "ACTIVE" } else { "INACTIVE" }
    }

    fn flags(&self) -> Vec<String> {
        let purge = self.one.purge_after.unwrap_or(Span(0));
        let word = |(flag, name): (Flag, &str)| {
            let purges = flag == Flag::PurgeComp;
            if purges { format!("{name}={}", purge.padded()) } else { name.to_owned() }
        };
        self.one.flags.iter().map(word).collect()
    }

    /// The users, where they are not those of groups.
    fn users(&self) -> String {
        if self.one.groups.is_empty() { listed(&self.one.users) } else { String::new() }
    }
}

/// `alice,bob`, or `-alice,-bob` of those who may not.
fn listed(allowed: &Allowed) -> String {
    let sign = if allowed.denied { "-" } else { "" };
    let names: Vec<String> = allowed.names.iter().map(|name| format!("{sign}{name}")).collect();
    names.join(",")
}

/// Appends the record, in Slurm's order.
pub(super) fn text(out: &mut String, shown: &Shown<'_>, clock: &Clock, one_line: bool) {
    let Shown { view, one } = shown;
    let mut record = Record::new(out, one_line);
    record
        .pair("ReservationName", &one.name)
        .pair("StartTime", clock.text(Some(Timestamp(view.start)), "Unknown"))
        .pair("EndTime", clock.text(Some(Timestamp(view.end)), "Unknown"))
        .pair("Duration", shown.length().padded())
        .line();
    record
        .pair("Nodes", shown.nodes())
        .pair("NodeCnt", one.nodes.len())
        .pair("CoreCnt", view.cpus)
        .pair("Features", or_null(one.features.as_deref()))
        .pair("PartitionName", or_null(one.partition.as_deref()))
        .pair("Flags", shown.flags().join(","))
        .line();
    record.pair("TRES", format_args!("cpu={}", view.cpus)).line();
    record
        .pair("Users", or_null(Some(&shown.users())))
        .pair("Groups", or_null(Some(&one.groups.join(","))))
        .pair("Accounts", or_null(Some(&listed(&one.accounts))))
        .pair("Licenses", "(null)")
        .pair("State", shown.state())
        .pair("BurstBuffer", "(null)")
        .line();
    record.pair("MaxStartDelay", "(null)");
    record.end();
}

/// As `--json` has it.
pub(super) fn value(shown: &Shown<'_>) -> Value {
    let Shown { view, one } = shown;
    let seconds = |at: u64| slurm::number(Timestamp(at).seconds());
    json!({
        "accounts": listed(&one.accounts),
        "burst_buffer": "",
        "core_count": view.cpus,
        "core_specializations": [],
        "end_time": seconds(view.end),
        "features": one.features.clone().unwrap_or_default(),
        "flags": shown.flags(),
        "groups": one.groups.join(","),
        "licenses": "",
        "max_start_delay": 0,
        "name": one.name,
        "node_count": one.nodes.len(),
        "node_list": shown.nodes(),
        "partition": one.partition.clone().unwrap_or_default(),
        "purge_completed": { "time": slurm::maybe(one.purge_after.map(Span::seconds)) },
        "start_time": seconds(view.start),
        "tres": format!("cpu={}", view.cpus),
        "users": shown.users(),
    })
}
