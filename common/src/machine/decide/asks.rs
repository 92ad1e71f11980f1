//! What a job may ask for beyond CPUs and memory.

use crate::{
    config::PartitionConf,
    id::NodeName,
    job::{Asks, CoreAsk, Features, JobSpec, Licenses, Placing},
    machine::{Refusal, State},
    time::{TimeLimit, Timestamp},
};

/// Whether the log can say it, and whether there is such a thing at all.
pub(super) fn may_ask(state: &State, spec: &JobSpec) -> Result<(), Refusal> {
    if spec.tmp_disk_mib > 0 && state.format < 2 {
        return Err(Refusal::Format("requests for temporary disk"));
    }
    let Asks { licenses, deadline, time_min, priority, cores, placing } = spec.asks();
    let timed = deadline.is_some() || time_min.is_some() || priority.is_some();
    if timed && state.format < 2 {
        return Err(Refusal::Format("--deadline, --time-min and --priority"));
    }
    may_have_licenses(state, licenses)?;
    if *cores != CoreAsk::NONE && state.format < 2 {
        return Err(Refusal::Format("requests for sockets, cores and threads"));
    }
    if *placing != Placing::NONE && state.format < 2 {
        return Err(Refusal::Format(
            "--exclusive=user, --contiguous, --spread-job, --switches and --use-min-nodes",
        ));
    }
    let Some(constraint) = &spec.constraint else { return Ok(()) };
    if state.format < 2 {
        return Err(Refusal::Format("constraints"));
    }
    let nodes = || state.config.iter().flat_map(|config| &config.nodes);
    let known = |name: &&str| nodes().any(|node| node.has_feature(name));
    if constraint.names().iter().all(known) { Ok(()) } else { Err(Refusal::Features) }
}

/// Whether a job with that limit, begun at this moment or when it asks to begin, is over in time.
pub(super) fn may_take(now: Timestamp, spec: &JobSpec, limit: TimeLimit) -> Result<(), Refusal> {
    let Asks { deadline, time_min, .. } = spec.asks();
    if time_min.is_some_and(|least| least > limit || least.span().is_none_or(|it| it.0 == 0)) {
        return Err(Refusal::TimeMin);
    }
    let Some(deadline) = deadline else { return Ok(()) };
    let begin = spec.begin.map_or(now, |begin| begin.max(now));
    let end = spec.least_limit(limit).span().map(|least| begin + least);
    if end.is_some_and(|end| end <= *deadline) { Ok(()) } else { Err(Refusal::TimeLimit) }
}

/// Whether there are as many, in use or not.
pub(super) fn may_have_licenses(state: &State, asked: &Licenses) -> Result<(), Refusal> {
    if asked.is_empty() {
        return Ok(());
    }
    if state.format < 2 {
        return Err(Refusal::Format("licenses"));
    }
    let config = state.config.as_ref().ok_or(Refusal::Disabled)?;
    let there = |(name, count): &(String, u32)| config.license_total(name) >= *count;
    if asked.counts.iter().all(there) { Ok(()) } else { Err(Refusal::License) }
}

/// Where `--nodes` is not given, a job gets as many as its constraint counts.
pub(super) fn widen_for_constraint(spec: &mut JobSpec) {
    let least = spec.constraint().least_nodes();
    let layout = &mut spec.layout;
    if !layout.nodes_given && layout.min_nodes < least {
        layout.min_nodes = least;
        if !layout.tasks_given {
            layout.tasks = layout.tasks.max(least);
        }
    }
}

/// Whether a node of the partition has as much temporary disk as the job asks for.
pub(super) fn has_tmp_disk(state: &State, partition: &PartitionConf, spec: &JobSpec) -> bool {
    let enough = |name: &String| {
        let conf = state.node_conf(&NodeName::from(name.as_str()));
        conf.is_some_and(|conf| conf.tmp_disk_mib >= spec.tmp_disk_mib)
    };
    spec.tmp_disk_mib == 0 || partition.nodes.iter().any(enough)
}

/// Whether the job may have the node, one of its constraint's alternatives being chosen.
pub(super) fn admits(
    state: &State,
    spec: &JobSpec,
    alternative: Option<&Features>,
    node: &NodeName,
) -> bool {
    let constraint = spec.constraint();
    spec.tmp_disk_mib == 0 && constraint.is_empty() && spec.asks().cores == CoreAsk::NONE
        || state.node_conf(node).is_some_and(|conf| {
            conf.tmp_disk_mib >= spec.tmp_disk_mib
                && state
                    .config
                    .as_ref()
                    .is_some_and(|config| spec.asks().cores.admits(config.grain, conf))
                && constraint.admits(alternative, &|feature| conf.has_feature(feature))
        })
}
