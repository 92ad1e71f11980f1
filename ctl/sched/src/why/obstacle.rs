//! What holds a job: one thing after the other, as the planner says.

use std::sync::Arc;

use common::{
    config::{Config, LicenseConf, PartitionConf, PartitionState},
    hostlist::Hostlist,
    id::JobId,
    job::{Hold, Job, Licenses, Reason},
    machine::{QueueKey, State},
    node::{Availability, Node},
    time::Timestamp,
};

use super::{
    Waiting,
    component::{self, blamed},
    room::{self, Room},
    told::{conditions, lacks, licenses, limit, nodes, states},
};
use crate::reached::{Considered, Reached};

/// Beyond so many the planner repeats itself.
const MOST: usize = 16;

/// One thing that holds a job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Obstacle {
    /// Slurm's word for it.
    pub reason: Reason,
    /// For people.
    pub text: String,
    /// Until when, where that is known.
    pub until: Option<Timestamp>,
}

/// What is found when one obstacle after the other is taken away.
pub(super) struct Peeled {
    pub(super) obstacles: Vec<Obstacle>,
    /// Those that were taken away.
    pub(super) supposed: Vec<Reason>,
    /// The view without them.
    pub(super) view: State,
    /// When the job would start in it if it were alone in the queue.
    pub(super) alone: Option<Timestamp>,
    pub(super) room: Option<Room>,
}

/// Asks the planner what holds the job, were it alone in the queue; and, of what can be supposed
/// not to be, what else would.
pub(super) fn peel(view: &State, now: Timestamp, id: JobId) -> Peeled {
    let mut peeled =
        Peeled { obstacles: vec![], supposed: vec![], view: view.clone(), alone: None, room: None };
    let mut licensed = None;
    for _ in 0..MOST {
        let Some(config) = peeled.view.config.clone() else { break };
        let job = Arc::clone(&peeled.view.jobs[&id]);
        let lone = lone(&peeled.view, &job);
        let mut reached = Reached::new(&lone, now, id);
        let found = reached.as_mut().map(|reached| reached.consider(&job));
        let waits = found.as_ref().map_or(Reason::Priority, |found| found.reason);
        let reason = crate::reason(&config, &job, now, || waits);
        let start = found.as_ref().and_then(|found| found.start.as_ref());
        peeled.alone = start.map(|start| Timestamp(start.at));
        let class = found.as_ref().and_then(|found| found.class);
        let room = reached.as_ref().zip(class);
        peeled.room = room.map(|(reached, class)| room::room(reached, &lone, class));
        // That it may be another's turn is for the queue to say.
        let last = matches!(reason, Reason::None | Reason::Priority);
        if last || peeled.supposed.contains(&reason) {
            break;
        }
        let short = Some(reason).filter(|reason| *reason == Reason::Resources);
        let short = short.and_then(|_| component::short(&peeled.view, now, &job));
        let each_has_room = reason == Reason::Resources && job.het().is_some() && short.is_none();
        let job = match short {
            Some((component, room)) => {
                peeled.room = Some(room);
                component
            }
            None => blamed(&peeled.view, &job, reason),
        };
        let text = if each_has_room {
            "its components have room one by one, and not all together".to_owned()
        } else {
            text(reason, &peeled, &config, &job)
        };
        let text = if job.id == id { text } else { format!("of component {}: {text}", job.id) };
        let until = until(reason, &peeled, &job);
        peeled.obstacles.push(Obstacle { reason, text, until });
        if reason == Reason::Licenses && licensed.is_none() {
            // They come with time. But nodes may be lacking, too.
            licensed = Some((config.licenses.clone(), peeled.alone));
            let asked = component::licenses(&peeled.view, &job);
            suppose_licenses(&mut peeled.view, &asked);
            continue;
        }
        if !lift(reason, &mut peeled.view, &job) {
            break;
        }
        peeled.supposed.push(reason);
    }
    if let Some((licenses, alone)) = licensed
        && let Some(config) = &mut peeled.view.config
    {
        Arc::make_mut(config).licenses = licenses;
        peeled.alone = alone;
    }
    peeled
}

/// The same view, in which nobody else waits.
fn lone(view: &State, job: &Job) -> State {
    let mut lone = view.clone();
    lone.queues.clear();
    if let Some(key) = QueueKey::of(job) {
        lone.queues.entry(job.partition.clone()).or_default().insert(key);
    }
    lone
}

/// What the plan says when the job's turn comes, where that is no matter of room: those that start
/// before it may have brought it to a limit.
pub(super) fn at_turn(considered: &Considered) -> Option<Obstacle> {
    let reason = considered.reason;
    if matches!(reason, Reason::None | Reason::Priority | Reason::Resources) {
        return None;
    }
    let text = match Kind::of(reason) {
        Kind::Limit => "a limit of its association or QOS, with what starts before it",
        Kind::Licenses => "licenses that it asks for are promised to jobs that are ahead of it",
        Kind::Held
        | Kind::Dependency
        | Kind::Begin
        | Kind::PartitionState
        | Kind::PartitionTime
        | Kind::PartitionNodes
        | Kind::PartitionConfig
        | Kind::NamedNodes
        | Kind::Nodes
        | Kind::Resources
        | Kind::ArrayTasks
        | Kind::Reservation
        | Kind::Reserved
        | Kind::Other => "",
    };
    Some(Obstacle { reason, text: text.to_owned(), until: None })
}

/// What those before the job take from it.
pub(super) fn turn(waiting: &Waiting, considered: &Considered, now: Timestamp) -> Option<Obstacle> {
    let Waiting { ahead, alone, planned, .. } = waiting;
    let start = planned.as_ref().map(|planned| planned.at);
    let text = if considered.passed_over {
        "SchedulerParameters has no more jobs of its user or partition planned".to_owned()
    } else if start != *alone && start.is_none_or(|start| start > now) {
        match ahead.count {
            1 => "1 job is ahead of it, and gets nodes first".to_owned(),
            jobs => format!("{jobs} jobs are ahead of it, and get nodes first"),
        }
    } else {
        return None;
    };
    Some(Obstacle { reason: Reason::Priority, text, until: start })
}

/// Why its turn never comes.
pub(super) fn never(waiting: &Waiting, job: &Job) -> Option<Obstacle> {
    QueueKey::of(job)?;
    let ahead = match waiting.ahead.count {
        1 => "1 job is".to_owned(),
        jobs => format!("{jobs} jobs are"),
    };
    let text = format!(
        "{ahead} ahead of it, and nobody behind the first that wait is planned \
         (SchedulerType=sched/builtin, or bf_max_job_test)"
    );
    Some(Obstacle { reason: Reason::Priority, text, until: None })
}

fn until(reason: Reason, peeled: &Peeled, job: &Job) -> Option<Timestamp> {
    match Kind::of(reason) {
        Kind::Begin => job.begin,
        Kind::Resources | Kind::Licenses | Kind::Reservation | Kind::Reserved => peeled.alone,
        Kind::Held
        | Kind::Dependency
        | Kind::PartitionState
        | Kind::PartitionTime
        | Kind::PartitionNodes
        | Kind::PartitionConfig
        | Kind::NamedNodes
        | Kind::Nodes
        | Kind::Limit
        | Kind::ArrayTasks
        | Kind::Other => None,
    }
}

/// What is known of a reason here. Those that are not known show up by their words alone.
#[derive(Clone, Copy)]
pub(super) enum Kind {
    Held,
    Dependency,
    Begin,
    PartitionState,
    PartitionTime,
    PartitionNodes,
    PartitionConfig,
    NamedNodes,
    Nodes,
    Resources,
    /// Of an association or a QOS.
    Limit,
    ArrayTasks,
    Licenses,
    /// Its own does not hold yet.
    Reservation,
    /// Others have what it could have.
    Reserved,
    Other,
}

impl Kind {
    pub(super) fn of(reason: Reason) -> Self {
        const KNOWN: &[(Reason, Kind)] = &[
            (Reason::JobHeldUser, Kind::Held),
            (Reason::JobHeldAdmin, Kind::Held),
            (Reason::ReservationDeleted, Kind::Held),
            (Reason::Reservation, Kind::Reservation),
            (Reason::MayBeReserved, Kind::Reserved),
            (Reason::Dependency, Kind::Dependency),
            (Reason::DependencyNeverSatisfied, Kind::Dependency),
            (Reason::BeginTime, Kind::Begin),
            (Reason::PartitionDown, Kind::PartitionState),
            (Reason::PartitionInactive, Kind::PartitionState),
            (Reason::PartitionTimeLimit, Kind::PartitionTime),
            (Reason::PartitionNodeLimit, Kind::PartitionNodes),
            (Reason::PartitionConfig, Kind::PartitionConfig),
            (Reason::ReqNodeNotAvail, Kind::NamedNodes),
            (Reason::NodesNotAvail, Kind::Nodes),
            (Reason::Resources, Kind::Resources),
            (Reason::JobArrayTaskLimit, Kind::ArrayTasks),
            (Reason::QosNotAllowed, Kind::Other),
            (Reason::Licenses, Kind::Licenses),
        ];
        let known = KNOWN.iter().find(|(known, _)| *known == reason).map(|(_, kind)| *kind);
        let word = reason.as_str();
        let limits = ["Assoc", "QOS", "InvalidQOS", "InvalidAccount", "Max"];
        let limit = limits.iter().any(|begin| word.starts_with(begin)).then_some(Self::Limit);
        known.or(limit).unwrap_or(Self::Other)
    }
}

/// Supposes that this does not hold the job any more; says whether that can be supposed.
fn lift(reason: Reason, view: &mut State, job: &Job) -> bool {
    let own = |changed: Job, view: &mut State| {
        view.suppose_job(changed);
        true
    };
    match Kind::of(reason) {
        Kind::Held => {
            let priority = view.priority(job.spec.nice);
            own(Job { hold: Hold::None, priority, ..job.clone() }, view)
        }
        Kind::Dependency => own(Job { dependency: None, ..job.clone() }, view),
        Kind::Begin => own(Job { begin: None, ..job.clone() }, view),
        Kind::PartitionState => partition(view, job, |conf| conf.state = PartitionState::Up),
        Kind::PartitionTime => partition(view, job, |conf| conf.max_time = job.time_limit),
        Kind::PartitionNodes => {
            partition(view, job, |conf| (conf.min_nodes, conf.max_nodes) = (0, None))
        }
        Kind::NamedNodes | Kind::Nodes => {
            for node in out_of_use(view, job) {
                let back = Node { availability: Availability::Up, drain: false, ..node };
                view.suppose_node(back);
            }
            true
        }
        Kind::Limit => {
            let config = view.config.as_mut().map(Arc::make_mut);
            config.map(|config| config.enforce.associations = false).is_some()
        }
        Kind::ArrayTasks => {
            job.array_id().map(|array| view.suppose_no_array_limit(array)).is_some()
        }
        Kind::Reserved => {
            view.suppose_no_reservations();
            true
        }
        // Nothing but time, or another request, helps against these.
        Kind::Resources
        | Kind::Licenses
        | Kind::PartitionConfig
        | Kind::Reservation
        | Kind::Other => false,
    }
}

/// Supposes that there are more of each than all jobs together have.
fn suppose_licenses(view: &mut State, asked: &Licenses) {
    let Some(config) = &mut view.config else { return };
    let config = Arc::make_mut(config);
    for (name, _) in &asked.counts {
        config.licenses.retain(|license| license.name != *name);
        config.licenses.push(LicenseConf { name: name.clone(), total: u32::MAX });
    }
}

fn partition(view: &mut State, job: &Job, change: impl FnOnce(&mut PartitionConf)) -> bool {
    let Some(config) = &mut view.config else { return false };
    let config = Arc::make_mut(config);
    let name = job.partition.as_str();
    let Some(conf) = config.partitions.iter_mut().find(|conf| conf.name == name) else {
        return false;
    };
    change(conf);
    true
}

/// The nodes that keep the job waiting by taking none: those that it names, or of its partition.
fn out_of_use(view: &State, job: &Job) -> Vec<Node> {
    let conf = view.config.as_deref().and_then(|config| config.partition(job.partition.as_str()));
    let named = &job.spec.required_nodes;
    let all = conf.map(|conf| conf.nodes.iter().map(|name| name.as_str().into()).collect());
    let names = if named.is_empty() { all.unwrap_or_default() } else { named.clone() };
    let nodes = names.iter().filter_map(|name| view.nodes.get(name));
    nodes.filter(|node| !node.is_usable()).map(|node| node.as_ref().clone()).collect()
}

fn text(reason: Reason, peeled: &Peeled, config: &Config, job: &Job) -> String {
    let name = &job.partition;
    let conf = config.partition(name.as_str());
    let size = conf.map_or(0, |conf| conf.nodes.len());
    match Kind::of(reason) {
        Kind::Held if reason == Reason::JobHeldAdmin => "held by an operator".to_owned(),
        Kind::Held if reason == Reason::ReservationDeleted => format!(
            "the reservation that it waited for is gone: scontrol update JobId={} \
             ReservationName=",
            job.id
        ),
        Kind::Held => format!("held by its owner: scontrol release {}", job.id),
        Kind::Dependency => conditions(&peeled.view, job),
        Kind::Begin => "it asks to begin later".to_owned(),
        Kind::PartitionState if reason == Reason::PartitionDown => {
            format!("partition {name} is DOWN")
        }
        Kind::PartitionState => format!("partition {name} is INACTIVE"),
        Kind::PartitionTime => {
            let most = conf.map(|conf| conf.max_time.padded()).unwrap_or_default();
            let asks = job.time_limit.padded();
            format!("asks for {asks}, and partition {name} has MaxTime={most}")
        }
        Kind::PartitionNodes => {
            let least = conf.map_or(0, |conf| conf.min_nodes);
            let most = conf.and_then(|conf| conf.max_nodes);
            let most = most.map_or("UNLIMITED".to_owned(), |most| most.to_string());
            let asks = nodes(u64::from(job.spec.layout.min_nodes));
            format!(
                "asks for {asks}, and partition {name} has {size}, MinNodes={least}, \
                 MaxNodes={most}"
            )
        }
        Kind::PartitionConfig => {
            format!("partition {name} could not run it if all of its {size} nodes were idle")
        }
        Kind::NamedNodes => {
            let outside = |conf: &PartitionConf| {
                let foreign = job.spec.required_nodes.iter().map(|node| node.as_str());
                let foreign = foreign.filter(|node| !conf.nodes.iter().any(|own| own == node));
                Hostlist::from_names(foreign)
            };
            let out = states(&out_of_use(&peeled.view, job));
            let outside = conf.map(outside).filter(|outside| !outside.is_empty());
            let outside = outside.map(|nodes| format!("{nodes} not in partition {name}"));
            let parts = Some(out).filter(|out| !out.is_empty()).into_iter().chain(outside);
            let parts: Vec<String> = parts.collect();
            format!("it names nodes that it can't have: {}", parts.join(", "))
        }
        Kind::Nodes => {
            let out = states(&out_of_use(&peeled.view, job));
            format!("too few of the {size} nodes of partition {name} take jobs: {out}")
        }
        Kind::Resources => peeled.room.as_ref().map(|room| lacks(room, job)).unwrap_or_default(),
        Kind::Limit => limit(&peeled.view, config, job),
        Kind::ArrayTasks => {
            let array = job.array_id().and_then(|array| peeled.view.arrays.get(&array));
            let most = array.and_then(|book| book.limit).unwrap_or(0);
            format!("as many tasks of its array run as may: ArrayTaskThrottle={most}")
        }
        Kind::Licenses => licenses(&peeled.view, config, job),
        Kind::Reservation => {
            let names = job.spec.reservations.join(",");
            format!("waits for reservation {names} to begin")
        }
        Kind::Reserved => "nodes that it could have are reserved for others before it would be \
                           over: scontrol show reservation"
            .to_owned(),
        Kind::Other => String::new(),
    }
}
