//! Jobs, by some of sbatch's options.

use std::sync::Arc;

use common::{
    count,
    gres::{GresRequest, Wanted},
    hostlist::Hostlist,
    id::{GroupId, NodeName, PartitionName, UserId},
    job::{
        ArraySpec, Asks, Constraint, Dependency, JobSpec, Licenses, MAX_ARRAY_SIZE, MemoryRequest,
        Switches,
    },
    size::parse_mib,
    time::{Span, TimeLimit, Timestamp},
};

use crate::accounts;

/// The job that the options ask for. Every option has its value behind a `=`.
pub(crate) fn job(options: &str, user: UserId, now: Timestamp) -> JobSpec {
    let mut spec = plain(user);
    for option in options.split_whitespace() {
        let (name, value) = option.split_once('=').unwrap_or((option, ""));
        apply(&mut spec, name, value, now);
    }
    spec
}

fn apply(spec: &mut JobSpec, name: &str, value: &str, now: Timestamp) {
    let number = || value.parse().expect("the option takes a number");
    let limit = || TimeLimit::parse(value).expect("the option takes a time");
    let mib = || parse_mib(value).expect("the option takes an amount");
    let nodes = || -> Vec<NodeName> {
        let list = Hostlist::parse(value).expect("the option takes nodes");
        list.iter().map(|name| NodeName::from(name.as_str())).collect()
    };
    match name {
        "-N" => {
            let count = count::parse_nodes(value).expect("the option takes a count of nodes");
            (spec.layout.min_nodes, spec.layout.max_nodes) = (count.min, count.max);
            spec.layout.nodes_given = true;
        }
        "-n" => {
            spec.layout.tasks = number();
            spec.layout.tasks_given = true;
        }
        "-c" => spec.layout.cpus_per_task = Some(number()),
        "--ntasks-per-node" => spec.layout.tasks_per_node = Some(number()),
        "--mincpus" => spec.layout.min_cpus_per_node = Some(number()),
        "--mem" => spec.memory = MemoryRequest::PerNode(mib()),
        "--mem-per-cpu" => spec.memory = MemoryRequest::PerCpu(mib()),
        "-t" => spec.time_limit = Some(limit()),
        "-p" => spec.partition = PartitionName::from(value),
        "-w" => spec.required_nodes = nodes(),
        "-x" => spec.excluded_nodes = nodes(),
        "--exclusive" => exclusive(spec, value),
        "-C" => {
            let constraint = Constraint::parse(value).expect("the option takes a constraint");
            spec.constraint = Some(Arc::new(constraint));
        }
        "--tmp" => spec.tmp_disk_mib = mib(),
        "-H" => spec.hold = true,
        "--no-requeue" => spec.requeue = Some(false),
        "-a" => {
            let array = ArraySpec::parse(value, MAX_ARRAY_SIZE);
            spec.array = Some(Arc::new(array.expect("the option takes an array")));
        }
        "-d" => {
            let dependency = Dependency::parse(value);
            spec.dependency = Some(Arc::new(dependency.expect("the option takes a dependency")));
        }
        "--begin" => spec.begin = Some(later(value, now)),
        "-A" => spec.account = Some(value.to_owned()),
        "-q" => spec.qos = Some(value.to_owned()),
        "--user" => {
            spec.user = accounts::user(value);
            value.clone_into(&mut spec.user_name);
        }
        "--gres" => gres(spec).per_node = Wanted::parse_list(value).expect("the option takes it"),
        "--gpus" => gres(spec).gpus = Wanted::parse_gpus(value).expect("the option takes it"),
        "--gpus-per-node" => {
            gres(spec).gpus_per_node = Wanted::parse_gpus(value).expect("the option takes it");
        }
        "--gpus-per-task" => {
            gres(spec).gpus_per_task = Wanted::parse_gpus(value).expect("the option takes it");
        }
        "--cpus-per-gpu" => gres(spec).cpus_per_gpu = Some(number()),
        "--mem-per-gpu" => gres(spec).memory_per_gpu = Some(mib()),
        "--deadline" => asks(spec).deadline = Some(later(value, now)),
        "--time-min" => asks(spec).time_min = Some(limit()),
        "--priority" => asks(spec).priority = Some(number()),
        "-L" => asks(spec).licenses = Licenses::parse(value).expect("the option takes them"),
        "--reservation" => {
            let names = value.split(',').filter(|name| !name.is_empty());
            spec.reservations = names.map(str::to_owned).collect();
        }
        "--nice" => spec.nice = i64::from(number()),
        _ => ask_for_cores(spec, name, value),
    }
}

fn exclusive(spec: &mut JobSpec, value: &str) {
    match value {
        "user" => asks(spec).placing.user_alone = true,
        "" => spec.exclusive = true,
        _ => panic!("scenarios have no --exclusive={value}"),
    }
}

fn later(value: &str, now: Timestamp) -> Timestamp {
    let seconds = value.strip_prefix("now+").and_then(|seconds| seconds.parse().ok());
    now + Span::from_seconds(seconds.expect("it is now+SECONDS"))
}

fn plain(user: UserId) -> JobSpec {
    JobSpec {
        user,
        user_name: "alice".into(),
        group: GroupId(100),
        group_name: "users".into(),
        ..JobSpec::plain()
    }
}

fn gres(spec: &mut JobSpec) -> &mut GresRequest {
    Arc::make_mut(spec.gres.get_or_insert_default())
}

/// The options about sockets, cores and threads, and those without a value.
fn ask_for_cores(spec: &mut JobSpec, name: &str, value: &str) {
    let Asks { cores, placing, .. } = asks(spec);
    let field = match name {
        "--contiguous" => return placing.contiguous = true,
        "--spread-job" => return placing.spread = true,
        "--use-min-nodes" => return placing.use_min_nodes = true,
        "--switches" => {
            let switches = Switches::parse(value).expect("the option takes switches");
            return placing.switches = Some(switches);
        }
        "--sockets-per-node" => &mut cores.sockets,
        "--cores-per-socket" => &mut cores.cores,
        "--threads-per-core" => &mut cores.threads,
        "--ntasks-per-core" => &mut cores.tasks_per_core,
        _ => panic!("scenarios have no option {name}"),
    };
    *field = Some(value.parse().expect("the option takes a number"));
}

fn asks(spec: &mut JobSpec) -> &mut Asks {
    Arc::make_mut(spec.asks.get_or_insert_default())
}
