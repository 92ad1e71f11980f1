//! What is asked of a reservation, as `scontrol` takes it.

use common::{
    date,
    hostlist::Hostlist,
    reservation::{Flag, Flags, FlagsError},
    time::{TimeLimit, Timestamp},
};
use jiff::tz::TimeZone;
use proto::{
    reservation::{Changes, ListChange, list_change::Change as List},
    types::NameList,
};

use crate::scontrol::update::pair::{Change, Pair};

/// What is asked for.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Asked {
    pub(super) changes: Changes,
    /// `Duration+=` and `Duration-=`, in seconds.
    pub(super) shift_s: i64,
}

/// What is wrong, in Slurm's words up to what becomes of the reservation.
type Wrong = String;

/// What Slurm's reservations can be of, and these can't.
const REFUSED: &[(&str, usize, &str)] = &[
    ("AllowedPartition", 7, "a job needs no more than access to the reservation"),
    ("BurstBuffer", 1, "there are no burst buffers"),
    ("Comment", 3, "reservations have no comments"),
    ("CoreCnt", 2, "reservations are of whole nodes"),
    ("CPUCnt", 2, "reservations are of whole nodes"),
    ("Licenses", 1, "reservations are of nodes"),
    ("MaxStartDelay", 1, "reservations begin at their time"),
    ("QOS", 1, "access is by users, accounts and groups"),
    ("Reoccurring", 3, "use Flags=DAILY and the like"),
    ("Skip", 2, "an instance can't be left out"),
    ("TRES", 1, "reservations are of whole nodes"),
    ("Watts", 1, "power is not managed"),
];

/// Reads the words behind the name.
pub(super) fn parse(words: &[&str], now: Timestamp, zone: &TimeZone) -> Result<Asked, Wrong> {
    let mut asked = Asked::default();
    for word in words {
        let pair = Pair::of(word);
        if pair.value.is_none() {
            return Err(format!(
                "Misformatted parameter '{word}', most options have a parameter after '='."
            ));
        }
        set(&mut asked, &pair, now, zone)?;
    }
    Ok(asked)
}

fn set(asked: &mut Asked, pair: &Pair<'_>, now: Timestamp, zone: &TimeZone) -> Result<(), Wrong> {
    let Pair { word, .. } = pair;
    let text = pair.text();
    let changes = &mut asked.changes;
    let time = |what: &str| {
        let wrong = |error: date::DateError| format!("{error}; Invalid {what} time {word}.");
        date::parse(text, now, zone).map(|at| at.0).map_err(wrong)
    };
    let lists = pair.is("Users", 1) || pair.is("Accounts", 1);
    let signed = pair.change != Change::Set;
    if signed && !lists && !pair.is("Flags", 2) && !pair.is("Duration", 1) {
        return Err(format!("The +=/-= notation is not supported for {word}."));
    }
    if pair.is("StartTime", 1) {
        changes.start = Some(time("start")?);
    } else if pair.is("EndTime", 1) {
        changes.end = Some(time("end")?);
    } else if pair.is("Duration", 1) {
        duration(asked, pair)?;
    } else if pair.is("Users", 1) {
        changes.users = Some(names(pair));
    } else if pair.is("Accounts", 1) {
        changes.accounts = Some(names(pair));
    } else if pair.is("Groups", 1) {
        changes.groups = Some(NameList { names: list(text) });
    } else if pair.is("Nodes", 5) {
        nodes(changes, text)?;
    } else if pair.is("NodeCnt", 5) {
        let wrong = || format!("Invalid node count {text}.");
        changes.node_count = Some(text.parse().map_err(|_| wrong())?);
    } else if pair.is("PartitionName", 1) {
        changes.partition = Some(text.to_owned());
    } else if pair.is("Features", 2) {
        changes.features = Some(text.to_owned());
    } else if pair.is("Flags", 2) {
        flags(changes, pair)?;
    } else if let Some((name, _, why)) = REFUSED.iter().find(|(name, n, _)| pair.is(name, *n)) {
        return Err(format!("{name} is not supported: {why}."));
    } else {
        return Err(format!("Unknown parameter {word}."));
    }
    Ok(())
}

/// Minutes, or a time with colons or days; `infinite`.
fn duration(asked: &mut Asked, pair: &Pair<'_>) -> Result<(), Wrong> {
    let wrong = || format!("Invalid duration {}.", pair.word);
    let text = pair.text();
    let limit = TimeLimit::parse(text).map_err(|_| wrong())?;
    if text.starts_with(['+', '-']) {
        return Err(wrong());
    }
    // One without end is as long as one can be.
    let length = limit.span().map_or(u64::MAX, |span| span.0);
    let seconds = i64::try_from(length / 1_000).unwrap_or(i64::MAX);
    match pair.change {
        Change::Set => asked.changes.length = Some(length),
        Change::Add => asked.shift_s = seconds,
        Change::Subtract => asked.shift_s = -seconds,
    }
    Ok(())
}

fn list(text: &str) -> Vec<String> {
    text.split(',').filter(|name| !name.is_empty()).map(str::to_owned).collect()
}

fn names(pair: &Pair<'_>) -> ListChange {
    let names = NameList { names: list(pair.text()) };
    let change = match pair.change {
        Change::Set => List::Set(names),
        Change::Add => List::Add(names),
        Change::Subtract => List::Remove(names),
    };
    ListChange { change: Some(change) }
}

fn nodes(changes: &mut Changes, text: &str) -> Result<(), Wrong> {
    if text.eq_ignore_ascii_case("ALL") {
        changes.all_nodes = true;
        return Ok(());
    }
    let list = Hostlist::parse(text).map_err(|_| format!("Invalid hostlist: {text}."))?;
    changes.nodes = Some(NameList { names: list.iter().collect() });
    Ok(())
}

fn flags(changes: &mut Changes, pair: &Pair<'_>) -> Result<(), Wrong> {
    let text = pair.text();
    let (flags, purge) = Flags::parse(text).map_err(|error| match error {
        FlagsError::Unknown(_) | FlagsError::Unsupported(..) => format!("{error}."),
    })?;
    match pair.change {
        Change::Set | Change::Add => changes.set_flags = flags.bits(),
        Change::Subtract => changes.drop_flags = flags.bits(),
    }
    if flags.has(Flag::PurgeComp) && pair.change != Change::Subtract {
        let unknown = || format!("Error parsing flags {text}.");
        let after = match purge {
            None => TimeLimit::Minutes(5),
            Some(text) => TimeLimit::parse(text).map_err(|_| unknown())?,
        };
        changes.purge_after = Some(after.span().ok_or_else(unknown)?.0);
    }
    Ok(())
}

impl Asked {
    /// What Slurm wants to be said of one that is to be made.
    pub(super) fn complete(self) -> Result<Changes, Wrong> {
        let changes = self.changes;
        let start = changes.start.ok_or("A start time must be given.")?;
        if changes.end.is_none() && changes.length.is_none() {
            return Err("An end time or duration must be given.".to_owned());
        }
        if changes.end.is_some_and(|end| end < start) {
            return Err("Start time cannot be after end time.".to_owned());
        }
        let any = changes.all_nodes || changes.nodes.is_some();
        if !any && changes.node_count.unwrap_or(0) == 0 {
            return Err(
                "CoreCnt, Nodes, NodeCnt, BurstBuffer, Licenses or Watts must be specified."
                    .to_owned(),
            );
        }
        if changes.users.is_none() && changes.groups.is_none() && changes.accounts.is_none() {
            let text = "Either Users/Groups and/or Accounts must be specified.";
            return Err(text.to_owned());
        }
        // Where nodes are named, that many are not counted.
        let node_count = changes.node_count.filter(|_| !any);
        Ok(Changes { node_count, ..changes })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(line: &str) -> Result<Asked, Wrong> {
        let words: Vec<&str> = line.split(' ').collect();
        parse(&words, Timestamp::from_seconds(1_000_000), &TimeZone::UTC)
    }

    fn made(line: &str) -> Result<Changes, Wrong> {
        read(line).and_then(Asked::complete)
    }

    #[test]
    fn what_is_asked_is_read() {
        let line = "start=now+1hour dur=1-0 user=alice,bob nodes=n[1-2] fl=daily,maint,purge=7";
        let changes = made(line).unwrap();
        assert_eq!(changes.start, Some(1_003_600_000));
        assert_eq!(changes.length, Some(86_400_000));
        assert_eq!(changes.nodes.unwrap().names, ["n1", "n2"]);
        let flags = Flags::from_bits(changes.set_flags).unwrap();
        let names: Vec<&str> = flags.iter().map(|(_, name)| name).collect();
        assert_eq!(names, ["MAINT", "DAILY", "PURGE_COMP"]);
        assert_eq!(changes.purge_after, Some(420_000));
        assert!(made("start=now end=now+1hour accounts=a nodes=ALL").unwrap().all_nodes);
        let both = made("start=now dur=5 users=a nodes=n1 nodecnt=7").unwrap();
        assert_eq!(both.node_count, None);
        assert_eq!(read("duration+=10").unwrap().shift_s, 600);
        assert_eq!(read("duration-=10").unwrap().shift_s, -600);
        let more = read("users+=carol").unwrap().changes.users.unwrap();
        assert_eq!(more.change, Some(List::Add(NameList { names: vec!["carol".into()] })));
    }

    /// As Slurm 22.05 says it.
    #[test]
    fn mistakes_are_named_in_slurms_words() {
        let cases = [
            ("dur=60 users=a nodes=n1", "A start time must be given."),
            ("start=now users=a nodes=n1", "An end time or duration must be given."),
            ("start=now dur=60 nodes=n1", "Either Users/Groups and/or Accounts must be specified."),
            (
                "start=now dur=60 users=a",
                "CoreCnt, Nodes, NodeCnt, BurstBuffer, Licenses or Watts must be specified.",
            ),
            (
                "start=now+2hours end=now+1hour users=a nodes=n1",
                "Start time cannot be after end time.",
            ),
            ("start=now dur=foo", "Invalid duration dur=foo."),
            ("start=now dur=+5", "Invalid duration dur=+5."),
            ("flags=bogus", "Error parsing flags bogus."),
            ("bogus=1", "Unknown parameter bogus=1."),
            ("b23", "Misformatted parameter 'b23', most options have a parameter after '='."),
            ("nodecnt=x", "Invalid node count x."),
            (
                "flags=replace",
                "the flag REPLACE is not supported: the nodes of a reservation are chosen once, \
                 and stay.",
            ),
            ("corecnt=2", "CoreCnt is not supported: reservations are of whole nodes."),
        ];
        for (line, expected) in cases {
            assert_eq!(made(line), Err(expected.to_owned()), "{line}");
        }
    }
}
