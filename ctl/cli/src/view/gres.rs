//! Generic resources of jobs and nodes, as Slurm writes them.

use common::gres::{self, Gres, Wanted, label};
use proto::types::{GresRequest, GresWanted, Place};

use super::{Job, Node};

/// What the messages say; what is malformed is left out.
fn all(wires: &[proto::types::Gres]) -> Vec<Gres> {
    wires.iter().filter_map(|wire| wire.clone().try_into().ok()).collect()
}

/// As trackable resources, each after a comma: the names, and then their types.
pub(crate) fn tres(all: &[Gres]) -> String {
    let mut sums: Vec<(String, u64)> = vec![];
    let mut add = |label: String, count: u64| match sums.iter_mut().find(|sum| sum.0 == label) {
        Some((_, sum)) => *sum = sum.saturating_add(count),
        None => sums.push((label, count)),
    };
    for gres in all.iter().filter(|gres| gres.count > 0) {
        add(gres.name.clone(), gres.count);
        if gres.kind.is_some() {
            add(gres.label(), gres.count);
        }
    }
    sums.sort_unstable();
    sums.iter().map(|(label, count)| format!(",gres/{label}={count}")).collect()
}

fn texts(wanted: &[GresWanted], mark: char) -> Vec<String> {
    let text = |wanted: &GresWanted| format!("gres/{}", Wanted::from(wanted.clone()).text(mark));
    wanted.iter().map(text).collect()
}

fn joined(texts: Vec<String>) -> Option<String> {
    (!texts.is_empty()).then(|| texts.join(","))
}

impl Job<'_> {
    fn gres(&self) -> Option<&GresRequest> {
        self.spec.gres.as_ref()
    }

    /// `TresPerNode`
    pub(crate) fn tres_per_node(&self) -> Option<String> {
        let request = self.gres()?;
        let mut all = texts(&request.per_node, ':');
        all.extend(texts(&request.gpus_per_node, ':'));
        joined(all)
    }

    /// `TresPerJob`
    pub(crate) fn tres_per_job(&self) -> Option<String> {
        joined(texts(&self.gres()?.gpus, ':'))
    }

    /// `TresPerTask`: CPUs among them.
    pub(crate) fn tres_per_task(&self) -> Option<String> {
        let cpus = self.layout.cpus_per_task.map(|cpus| format!("cpu={cpus}"));
        let gpus = self.gres().map(|request| texts(&request.gpus_per_task, '='));
        joined(cpus.into_iter().chain(gpus.unwrap_or_default()).collect())
    }

    /// `CpusPerTres`
    pub(crate) fn cpus_per_tres(&self) -> Option<String> {
        self.gres()?.cpus_per_gpu.map(|cpus| format!("gres/gpu:{cpus}"))
    }

    /// `MemPerTres`, in MiB.
    pub(crate) fn mem_per_tres(&self) -> Option<String> {
        self.gres()?.memory_per_gpu_mib.map(|mib| format!("gres/gpu:{mib}"))
    }

    /// What it asks for, as trackable resources.
    pub(super) fn requested_gres(&self) -> String {
        let one = |wanted: &GresWanted| {
            let Wanted { name, kind, count } = wanted.clone().into();
            Gres { name, kind, count, ids: vec![] }
        };
        tres(&self.view.gres.iter().map(one).collect::<Vec<_>>())
    }

    /// What it has on all nodes.
    fn given(&self) -> Vec<Gres> {
        self.places().iter().flat_map(|place| all(&place.gres)).collect()
    }

    pub(super) fn allocated_gres(&self) -> String {
        tres(&self.given())
    }

    /// `JOB_GRES`: what it has on all nodes, by kind.
    pub(crate) fn job_gres(&self) -> Option<String> {
        let mut sums: Vec<(String, u64)> = vec![];
        for gres in self.given() {
            let label = label(&gres.name, gres.kind.as_deref());
            match sums.iter_mut().find(|sum| sum.0 == label) {
                Some((_, sum)) => *sum = sum.saturating_add(gres.count),
                None => sums.push((label, gres.count)),
            }
        }
        joined(sums.iter().map(|(label, count)| format!("{label}:{count}")).collect())
    }
}

/// `GRES` of a node of a job: with the ids.
pub(crate) fn detailed(place: &Place) -> String {
    let texts: Vec<String> = all(&place.gres).iter().map(Gres::detailed).collect();
    texts.join(",")
}

impl Node<'_> {
    /// `Gres`
    pub(crate) fn gres(&self) -> Option<String> {
        gres::listed(&all(&self.node.gres))
    }

    /// `GresUsed`
    pub(crate) fn gres_used(&self) -> Option<String> {
        gres::used_text(&all(&self.node.gres), &all(&self.node.gres_used))
    }

    pub(crate) fn gres_tres(&self) -> String {
        tres(&all(&self.node.gres))
    }

    pub(crate) fn gres_used_tres(&self) -> String {
        tres(&all(&self.node.gres_used))
    }
}

#[cfg(test)]
mod tests {
    use common::time::Timestamp;
    use proto::{
        ctl::{JobView, NodeView},
        types::{Gres as Wire, Reason},
    };

    use super::*;
    use crate::view::samples::{self, NodeSample as _, SUBMITTED, Sample as _, place};

    fn wire(name: &str, kind: Option<&str>, count: u64, ids: &[u32]) -> Wire {
        let (name, r#type) = (name.to_owned(), kind.map(str::to_owned));
        Wire { name, r#type, count, ids: ids.to_vec() }
    }

    fn wanted(text: &str) -> Vec<GresWanted> {
        let list = Wanted::parse_list(text).expect("it is a list");
        list.iter().map(Into::into).collect()
    }

    fn job(view: &JobView) -> Job<'_> {
        Job::of(view, Timestamp::from_seconds(SUBMITTED)).expect("a whole view")
    }

    #[test]
    fn what_a_job_asks_for_is_shown_as_slurm_does() {
        let mut view = samples::pending(1, "a", 1, Reason::None);
        view.spec().gres = Some(GresRequest {
            per_node: wanted("gpu:a100:2,tmp:1"),
            gpus_per_task: wanted("gpu:1"),
            gpus: wanted("gpu:4"),
            cpus_per_gpu: Some(2),
            memory_per_gpu_mib: Some(512),
            ..GresRequest::default()
        });
        view.spec().layout.as_mut().expect("a layout").cpus_per_task = Some(3);
        view.gres = wanted("gpu:a100:2,tmp:10K");
        let job = job(&view);
        assert_eq!(job.tres_per_node().as_deref(), Some("gres/gpu:a100:2,gres/tmp:1"));
        assert_eq!(job.tres_per_job().as_deref(), Some("gres/gpu:4"));
        assert_eq!(job.tres_per_task().as_deref(), Some("cpu=3,gres/gpu=1"));
        assert_eq!(job.cpus_per_tres().as_deref(), Some("gres/gpu:2"));
        assert_eq!(job.mem_per_tres().as_deref(), Some("gres/gpu:512"));
        let expected = "cpu=1,mem=100M,node=1,billing=1,gres/gpu=2,gres/gpu:a100=2,gres/tmp=10240";
        assert_eq!(job.requested(), expected);
        assert_eq!((job.job_gres(), job.allocated()), (None, None));
    }

    #[test]
    fn what_a_job_has_is_shown_with_its_ids() {
        let mut places = vec![place("n1", 1, 100), place("n2", 1, 100)];
        places[0].gres = vec![wire("gpu", Some("a100"), 2, &[2, 3])];
        places[1].gres =
            vec![wire("gpu", Some("a100"), 2, &[0, 1]), wire("gpu", Some("v100"), 1, &[3])];
        let view = samples::pending(1, "a", 1, Reason::None).runs(SUBMITTED, places);
        let job = job(&view);
        assert_eq!(job.job_gres().as_deref(), Some("gpu:a100:4,gpu:v100:1"));
        let details: Vec<String> = job.places().iter().map(detailed).collect();
        assert_eq!(details, ["gpu:a100:2(IDX:2-3)", "gpu:a100:2(IDX:0-1),gpu:v100:1(IDX:3)"]);
        let expected = "cpu=2,mem=200M,node=2,billing=2,gres/gpu=5,gres/gpu:a100=4,gres/gpu:v100=1";
        assert_eq!(job.allocated().as_deref(), Some(expected));
    }

    #[test]
    fn nodes_say_what_they_have_and_what_of_it_is_held() {
        let mut view: NodeView = samples::node(1).holds(1, 100);
        assert_eq!(Node::of(&view).expect("a whole view").gres_used(), None);
        view.node().gres =
            vec![wire("gpu", Some("a100"), 4, &[0, 1, 2, 3]), wire("tmp", None, 10_240, &[])];
        view.node().gres_used = vec![wire("gpu", Some("a100"), 2, &[0, 1])];
        let node = Node::of(&view).expect("a whole view");
        assert_eq!(node.gres().as_deref(), Some("gpu:a100:4,tmp:10K"));
        assert_eq!(node.gres_used().as_deref(), Some("gpu:a100:2(IDX:0-1),tmp:0"));
        assert_eq!(node.gres_tres(), ",gres/gpu=4,gres/gpu:a100=4,gres/tmp=10240");
        assert_eq!(node.gres_used_tres(), ",gres/gpu=2,gres/gpu:a100=2");
    }
}
