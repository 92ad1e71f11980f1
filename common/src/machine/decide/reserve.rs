//! Reservations: how they are made, changed and ended, and which jobs may ask for one.

use std::sync::Arc;

use super::operator;
use crate::{
    config::Config,
    id::{JobId, NodeName},
    job::{Hold, Job, JobChanges, JobSpec},
    machine::{Answer, By, Event, Lacking, Refusal, State},
    reservation::{
        Allowed, Flag, Flags, ListChange, NodesAsked, Reservation, ReservationChanges,
        ReservationRequest,
    },
    time::{Span, Timestamp},
};

/// How far in the past a reservation may begin that is made.
const MOST_LATE: Span = Span::from_seconds(600);

/// What Slurm gives one that is to last for ever.
const LONGEST: Span = Span::from_minutes(365 * 24 * 60);

pub(super) fn create(
    state: &State,
    now: Timestamp,
    by: &By,
    request: ReservationRequest,
) -> Result<(Vec<Event>, Answer), Refusal> {
    operator(state, by)?;
    let config = state.config.as_ref().ok_or(Refusal::Disabled)?;
    if state.format < 2 {
        return Err(Refusal::Format("reservations"));
    }
    let ReservationRequest { name, asked, utc_offset_s } = request;
    let number = state.reservations.count.checked_add(1).ok_or(Refusal::TooManyJobs)?;
    let start = asked.start.ok_or(Refusal::Time)?;
    let fresh = Reservation {
        name: String::new(),
        number,
        start,
        end: start,
        nodes: vec![],
        users: Allowed::default(),
        accounts: Allowed::default(),
        groups: vec![],
        partition: None,
        features: None,
        flags: Flags::default(),
        purge_after: None,
        idle_since: Some(now),
        utc_offset_s,
    };
    let mut made = asked_for(state, config, now, fresh, &asked)?;
    if made.start + MOST_LATE < now || made.end <= now {
        return Err(Refusal::Time);
    }
    made.name = name.unwrap_or_else(|| named_for(&made));
    if !is_name(&made.name) {
        return Err(Refusal::ReservationInvalid);
    }
    if state.reservations.get(&made.name).is_some() {
        return Err(Refusal::ReservationName);
    }
    settle_nodes(state, config, now, &mut made, asked.nodes.as_ref())?;
    let created = Event::ReservationCreated { reservation: Arc::new(made), by: by.user };
    Ok((vec![created], Answer::Reservation(number)))
}

/// As Slurm names one that has no name: for whom it is, and its number.
fn named_for(made: &Reservation) -> String {
    let lists = [&made.users.names, &made.accounts.names];
    let first = lists.into_iter().flatten().next();
    format!("{}_{}", first.map_or("resv", String::as_str), made.number)
}

/// Jobs name several between commas.
fn is_name(name: &str) -> bool {
    let bad = |c: char| c == ',' || c.is_whitespace() || c.is_control();
    !name.is_empty() && name.len() <= 256 && !name.contains(bad)
}

pub(super) fn update(
    state: &State,
    now: Timestamp,
    by: &By,
    name: &str,
    asked: &ReservationChanges,
) -> Result<Vec<Event>, Refusal> {
    operator(state, by)?;
    let config = state.config.as_ref().ok_or(Refusal::Disabled)?;
    let old = state.reservations.get(name).ok_or(Refusal::ReservationInvalid)?;
    let begun = old.holds(now);
    if begun && asked.start.is_some_and(|start| start != old.start) {
        return Err(Refusal::ReservationStarted);
    }
    // What has begun again is changed from this time on.
    let mut base = old.as_ref().clone();
    if let Some(instance) = old.instance(now) {
        (base.start, base.end) = (instance.start, instance.end);
    }
    let mut made = asked_for(state, config, now, base, asked)?;
    if made.end <= now || asked.start.is_some_and(|start| start + MOST_LATE < now) {
        return Err(Refusal::Time);
    }
    let moved = asked.nodes.is_some()
        || asked.start.is_some()
        || asked.end.is_some()
        || asked.length.is_some()
        || made.flags != old.flags;
    if moved {
        settle_nodes(state, config, now, &mut made, asked.nodes.as_ref())?;
    }
    // Nobody who is in it loses his nodes.
    let runs = |id: JobId| state.jobs.get(&id).and_then(|job| job.holding());
    let strayed = state.reservations.jobs_of(name).filter_map(runs).any(|run| {
        run.places.iter().any(|place| !made.nodes.contains(&place.node))
            && !made.flags.has(Flag::Flex)
    });
    if strayed {
        return Err(Refusal::Busy);
    }
    if made == **old {
        return Ok(vec![]);
    }
    Ok(vec![Event::ReservationUpdated { reservation: Arc::new(made), by: Some(by.user) }])
}

pub(super) fn delete(state: &State, by: &By, name: &str) -> Result<Vec<Event>, Refusal> {
    let old = state.reservations.get(name);
    let own = |one: &Reservation| {
        let known = |job: &Arc<Job>| job.spec.user == by.user && state.may_be_in(one, &job.spec);
        one.flags.has(Flag::UserDelete) && state.jobs.values().any(known)
    };
    if !state.is_operator(by.user) && !old.is_some_and(|one| own(one)) {
        return Err(Refusal::NotOperator);
    }
    old.ok_or(Refusal::ReservationInvalid)?;
    if state.reservations.jobs_of(name).next().is_some() {
        return Err(Refusal::ReservationBusy);
    }
    Ok(vec![Event::ReservationDeleted { name: name.to_owned(), by: Some(by.user) }])
}

/// Ends one whose time is over, or that nobody uses, once nobody runs in it any more: of one that
/// repeats, this time alone. Who waited for it is held.
pub(super) fn end(state: &State, now: Timestamp, name: &str, number: u32) -> Vec<Event> {
    let jobs = || state.reservations.jobs_of(name).filter_map(|id| state.jobs.get(&id));
    let Some(known) = state.reservations.get(name) else {
        let waits = jobs().filter(|job| job.is_pending());
        return waits.flat_map(|job| left(state, name, true, job)).collect();
    };
    let known = Some(known).filter(|one| one.number == number);
    let purged = |one: &Reservation| one.purged_at().is_some_and(|at| at <= now);
    let over = |one: &&Arc<Reservation>| one.instance(now).is_none() || purged(one);
    let Some(one) = known.filter(over) else { return vec![] };
    if let Some(next) = next_of(one, now) {
        return vec![Event::ReservationUpdated { reservation: Arc::new(next), by: None }];
    }
    if jobs().any(|job| job.holding().is_some()) {
        return vec![];
    }
    let holds = !one.flags.has(Flag::NoHoldJobsAfterEnd);
    let mut events: Vec<Event> = jobs().flat_map(|job| left(state, name, holds, job)).collect();
    events.push(Event::ReservationDeleted { name: name.to_owned(), by: None });
    events
}

/// The reservation without the time that it holds now, where it repeats.
fn next_of(one: &Reservation, now: Timestamp) -> Option<Reservation> {
    one.period()?;
    let next = one.instance(one.instance(now)?.end)?;
    Some(Reservation { start: next.start, end: next.end, ..one.clone() })
}

/// A job's reservation is gone.
fn left(state: &State, name: &str, holds: bool, job: &Job) -> Vec<Event> {
    let mut reservations = job.spec.reservations.clone();
    reservations.retain(|other| other != name && state.reservations.get(other).is_some());
    let alone = reservations.is_empty();
    let changes = JobChanges { reservations: Some(reservations), ..JobChanges::default() };
    let mut events = vec![Event::JobUpdated { job: job.id, changes: Arc::new(changes) }];
    if alone && holds && job.hold == Hold::None {
        events.push(Event::JobHeld { job: job.id, hold: Hold::Reservation });
    }
    events
}

/// The reservation as it would be, its nodes aside.
fn asked_for(
    state: &State,
    config: &Config,
    now: Timestamp,
    base: Reservation,
    asked: &ReservationChanges,
) -> Result<Reservation, Refusal> {
    let mut made = base;
    let length = made.length();
    made.start = asked.start.unwrap_or(made.start);
    made.end = match (asked.end, asked.length) {
        (Some(end), _) => end,
        (None, Some(length)) => made.start + length.min(LONGEST),
        (None, None) => made.start + length,
    };
    if made.end <= made.start || made.end.since(now) > LONGEST + LONGEST {
        return Err(Refusal::Time);
    }
    made.flags = made.flags.union(asked.set_flags).without(asked.drop_flags);
    if made.flags.period().is_some_and(|period| made.length() > period) {
        return Err(Refusal::Time);
    }
    made.purge_after = asked.purge_after.or(made.purge_after);
    if let Some(groups) = &asked.groups {
        made.groups.clone_from(groups);
        made.users = Allowed { names: asked.members.clone(), denied: false };
    }
    if let Some(change) = &asked.users {
        made.users = changed(&made.users, change).ok_or(Refusal::NotOperator)?;
    }
    if let Some(change) = &asked.accounts {
        made.accounts = changed(&made.accounts, change).ok_or(Refusal::Account)?;
        let known = |name: &String| {
            state.accounts.as_ref().is_none_or(|table| table.account(name).is_some())
        };
        if !made.accounts.names.iter().all(known) {
            return Err(Refusal::Account);
        }
    }
    if made.users.is_empty() && made.accounts.is_empty() {
        return Err(Refusal::ReservationEmpty);
    }
    if let Some(name) = &asked.partition {
        config.partition(name).ok_or_else(|| Refusal::NoSuchPartition(name.clone()))?;
        made.partition = Some(name.clone());
    }
    if let Some(features) = &asked.features {
        made.features = Some(features.clone()).filter(|text| !text.is_empty());
    }
    Ok(made)
}

/// The list after the change; none where a list would both let and deny.
fn changed(old: &Allowed, change: &ListChange) -> Option<Allowed> {
    let (ListChange::Set(names) | ListChange::Add(names) | ListChange::Remove(names)) = change;
    let denied = names.first().is_some_and(|name| name.starts_with('-'));
    if names.iter().any(|name| name.starts_with('-') != denied) {
        return None;
    }
    let mut plain: Vec<String> =
        names.iter().map(|name| name.trim_start_matches('-').to_owned()).collect();
    match change {
        ListChange::Set(_) => Some(Allowed { denied, names: plain }),
        ListChange::Add(_) if old.is_empty() => Some(Allowed { denied, names: plain }),
        ListChange::Add(_) if denied != old.denied => None,
        ListChange::Add(_) => {
            plain.retain(|name| !old.names.contains(name));
            Some(Allowed { names: old.names.iter().cloned().chain(plain).collect(), denied })
        }
        ListChange::Remove(_) => {
            let mut names = old.names.clone();
            names.retain(|name| !plain.contains(name));
            (names.len() < old.names.len()).then_some(Allowed { names, denied: old.denied })
        }
    }
}

/// Which nodes it gets, and whether it may have them at that time.
fn settle_nodes(
    state: &State,
    config: &Config,
    now: Timestamp,
    made: &mut Reservation,
    asked: Option<&NodesAsked>,
) -> Result<(), Refusal> {
    let part = made.partition.as_deref().and_then(|name| config.partition(name));
    let all = config.nodes.iter().map(|conf| conf.name.as_str());
    let in_order = |keep: &dyn Fn(&str) -> bool| -> Vec<NodeName> {
        all.clone().filter(|name| keep(name)).map(NodeName::from).collect()
    };
    match asked {
        None => {}
        Some(NodesAsked::Named(names)) => {
            if let Some(unknown) = names.iter().find(|name| !state.nodes.contains_key(name)) {
                return Err(Refusal::NoSuchNode(unknown.clone()));
            }
            made.nodes = in_order(&|name| names.iter().any(|one| one.as_str() == name));
            made.flags = made.flags.with(Flag::SpecNodes);
        }
        Some(NodesAsked::All) => {
            let of_part = part.filter(|_| made.flags.has(Flag::PartNodes));
            made.nodes = in_order(&|name| {
                of_part.is_none_or(|part| part.nodes.iter().any(|one| one == name))
            });
            made.flags = made.flags.with(Flag::SpecNodes);
            if of_part.is_none() {
                made.flags = made.flags.with(Flag::AllNodes);
            }
        }
        Some(NodesAsked::Count(count)) => {
            choose(state, config, now, made, *count)?;
            return Ok(());
        }
    }
    if made.nodes.is_empty() {
        return Err(Refusal::NodeCount);
    }
    if !made.overrides() && rivals(state, made).any(|other| made.collides(other)) {
        return Err(Refusal::ReservationOverlap);
    }
    if made.nodes.iter().any(|node| is_busy(state, made, node)) {
        return Err(Refusal::Busy);
    }
    Ok(())
}

fn rivals<'a>(state: &'a State, made: &Reservation) -> impl Iterator<Item = &'a Reservation> {
    let number = made.number;
    state.reservations.iter().filter(move |other| other.number != number)
}

/// Whether somebody else may still run on the node when it begins.
fn is_busy(state: &State, made: &Reservation, node: &NodeName) -> bool {
    if made.flags.has(Flag::IgnoreJobs) {
        return false;
    }
    let jobs = state.holding.get(node).into_iter().flatten();
    let mut jobs = jobs.filter_map(|id| state.jobs.get(id));
    jobs.any(|job| {
        let Some(run) = job.holding() else { return false };
        let own = run.stay.as_ref().is_some_and(|stay| stay.name == made.name);
        // A component is over with its leader.
        let leader = job.led_by().and_then(|leader| state.jobs.get(&leader)?.holding()?.deadline);
        let ends = run.deadline.into_iter().chain(leader).min();
        !own && ends.is_none_or(|ends| ends > made.start)
    })
}

/// The first nodes of its partition that have the features, take jobs, and are free by then.
fn choose(
    state: &State,
    config: &Config,
    now: Timestamp,
    made: &mut Reservation,
    count: u32,
) -> Result<(), Refusal> {
    let part = match &made.partition {
        Some(name) => config.partition(name),
        None => config.default_partition(),
    };
    let part = part.ok_or(Refusal::NoDefaultPartition)?;
    made.partition = Some(part.name.clone());
    let wanted: Vec<&str> = made.features.iter().flat_map(|text| text.split('&')).collect();
    let known = |name: &&str| config.nodes.iter().any(|conf| conf.has_feature(name));
    if !wanted.iter().all(known) {
        return Err(Refusal::Features);
    }
    // Each of them as if it were alone in it: so only its own times count.
    let mut probe = made.clone();
    let mut free = |name: &NodeName| {
        probe.nodes = vec![name.clone()];
        made.overrides() || !rivals(state, &probe).any(|other| probe.collides(other))
    };
    let mut chosen = Vec::new();
    for conf in &config.nodes {
        let name = NodeName::from(conf.name.as_str());
        let takes_jobs = state.nodes.get(&name).is_some_and(|node| node.is_usable());
        if chosen.len() < count as usize
            && part.nodes.contains(&conf.name)
            && wanted.iter().all(|feature| conf.has_feature(feature))
            && (takes_jobs || made.start > now)
            && !is_busy(state, made, &name)
            && free(&name)
        {
            chosen.push(name);
        }
    }
    if count == 0 || chosen.len() < count as usize {
        return Err(Refusal::Busy);
    }
    made.nodes = chosen;
    Ok(())
}

/// Whether a job may ask for its reservations.
pub(super) fn may_reserve(state: &State, now: Timestamp, spec: &JobSpec) -> Result<(), Refusal> {
    if spec.reservations.is_empty() {
        return Ok(());
    }
    if state.format < 2 {
        return Err(Refusal::Format("reservations"));
    }
    let mut all = Vec::new();
    for name in &spec.reservations {
        let one = state.reservations.get(name).ok_or(Refusal::ReservationInvalid)?;
        if !state.may_be_in(one, spec) {
            return Err(Refusal::ReservationAccess);
        }
        if one.instance(now).is_none() {
            return Err(Refusal::ReservationInvalid);
        }
        all.push(one);
    }
    // Where it could never run in any of them, Slurm says so at once.
    let names_others =
        |one: &&&Arc<Reservation>| spec.required_nodes.iter().any(|node| !one.nodes.contains(node));
    let bound: Vec<_> = all.iter().filter(|one| !one.flags.has(Flag::Flex)).collect();
    if bound.len() < all.len() {
        return Ok(());
    }
    if bound.iter().all(names_others) {
        return Err(Refusal::CannotEverFit(Lacking::Reserved));
    }
    if bound.iter().all(|one| one.nodes.len() < spec.layout.min_nodes as usize) {
        return Err(Refusal::CannotEverFit(Lacking::Nodes));
    }
    Ok(())
}
