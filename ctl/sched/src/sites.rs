//! Which nodes of its partition a job may have, by their names, features and temporary disks.

use std::{collections::BTreeMap, sync::Arc};

use common::{
    config::{Config, NodeConf},
    cpus::Grain,
    job::{CoreAsk, Features, Job, JobSpec},
};

use crate::{
    board::{Board, Share},
    timeline::MaskId,
};

/// One choice of nodes. A job may have several, of which the one is taken that starts first.
#[derive(Clone, Debug)]
pub(crate) struct Site {
    pub(crate) mask: MaskId,
    /// Of these at least so many.
    pub(crate) counts: Vec<(MaskId, u32)>,
    /// Which of the constraint's alternatives it is.
    alternative: usize,
}

/// The choices that jobs of a partition have, by their constraints and temporary disks, as long as
/// the same nodes may be given away.
#[derive(Debug, Default)]
pub(crate) struct Sites(BTreeMap<(String, u64, CoreAsk), Arc<[Site]>>);

impl Sites {
    /// Those of the job, among the nodes that may be given away.
    pub(crate) fn of(
        &mut self,
        board: &mut Board,
        config: &Config,
        nodes: &[usize],
        job: &Job,
    ) -> Arc<[Site]> {
        let may = |share: &Share| share.usable && !share.awaited;
        let spec = &job.spec;
        if !spec.excluded_nodes.is_empty() {
            return sites(board, config, nodes, spec, may).into();
        }
        let key = (spec.constraint().text.clone(), spec.tmp_disk_mib, spec.asks().cores);
        match self.0.get(&key) {
            Some(known) => Arc::clone(known),
            None => {
                let found: Arc<[Site]> = sites(board, config, nodes, spec, may).into();
                self.0.insert(key, Arc::clone(&found));
                found
            }
        }
    }

    /// Other nodes may be given away from here on.
    pub(crate) fn forget(&mut self) {
        self.0.clear();
    }
}

/// Each of the job's choices, among those of the nodes that are let.
pub(crate) fn sites(
    board: &mut Board,
    config: &Config,
    nodes: &[usize],
    spec: &JobSpec,
    may: impl Fn(&Share) -> bool,
) -> Vec<Site> {
    let Board { shares, timeline, .. } = board;
    let constraint = spec.constraint();
    let conf = |at: usize| &config.nodes[shares[at].rank];
    let allowed: Vec<usize> = nodes
        .iter()
        .copied()
        .filter(|at| may(&shares[*at]) && !spec.excluded_nodes.contains(&shares[*at].name))
        .collect();
    let of = |features: &Features| {
        let has = |at: &usize| features.met(&|name| conf(*at).has_feature(name));
        allowed.iter().copied().filter(has).collect::<Vec<_>>()
    };
    let counted = constraint.counts.iter();
    let counts: Vec<(Vec<usize>, u32)> =
        counted.map(|(features, count)| (of(features), *count)).collect();
    let counts: Vec<_> =
        counts.into_iter().map(|(nodes, count)| (timeline.mask(nodes), count)).collect();
    let grain = config.grain;
    let admitted = |alternative, at: &usize| admits(spec, (grain, alternative), conf(*at));
    let alternatives = constraint.alternatives().enumerate();
    alternatives
        .map(|(alternative, features)| Site {
            mask: timeline.mask(allowed.iter().copied().filter(|at| admitted(features, at))),
            counts: counts.clone(),
            alternative,
        })
        .collect()
}

impl Site {
    /// Whether all these nodes have what this choice asks of each.
    pub(crate) fn admits(
        &self,
        board: &Board,
        config: &Config,
        spec: &JobSpec,
        nodes: &[usize],
    ) -> bool {
        let alternative = spec.constraint().same.get(self.alternative);
        let conf = |at: &usize| &config.nodes[board.shares[*at].rank];
        nodes.iter().all(|at| admits(spec, (config.grain, alternative), conf(at)))
    }
}

fn admits(
    spec: &JobSpec,
    (grain, alternative): (Grain, Option<&Features>),
    node: &NodeConf,
) -> bool {
    node.tmp_disk_mib >= spec.tmp_disk_mib
        && spec.asks().cores.admits(grain, node)
        && spec.constraint().admits(alternative, &|name| node.has_feature(name))
}
