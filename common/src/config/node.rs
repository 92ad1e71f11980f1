//! A node, as configured.

use std::collections::BTreeMap;

use crate::{gres::Gres, node::GresFound};

/// One node, after `NodeName=DEFAULT` and hostlists.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeConf {
    pub name: String,
    /// `NodeHostname`: what its machine calls itself.
    pub hostname: String,
    /// `NodeAddr`: a name or an IP address.
    pub address: String,
    pub port: u16,
    pub cpus: u32,
    pub boards: u32,
    /// On all its boards.
    pub sockets: u32,
    pub cores_per_socket: u32,
    pub threads_per_core: u32,
    pub real_memory_mib: u64,
    pub tmp_disk_mib: u64,
    pub weight: u32,
    pub features: Vec<String>,
    pub state: ConfiguredState,
    pub reason: Option<String>,
    /// `Gres`, in the order of the file.
    pub gres: Vec<GresConf>,
}

/// What a node has of one generic resource: `Gres=gpu:a100:4`, and what `gres.conf` says of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GresConf {
    pub name: String,
    /// `Type`
    pub kind: Option<String>,
    pub count: u64,
    /// `File`: the devices, one for each of them, in the order of their ids. Fewer where the file
    /// names fewer than are counted; the node then has less than it should.
    pub files: Vec<String>,
    /// `Cores`, as it was written.
    pub cores: Option<String>,
}

/// The state that a node begins with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConfiguredState {
    Unknown,
    Down,
    Drain,
}

impl NodeConf {
    /// A node of which nothing is said beyond its name: slurm.conf(5)'s defaults.
    #[must_use]
    pub fn defaults(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            hostname: name.to_owned(),
            address: name.to_owned(),
            port: 6818,
            cpus: 1,
            boards: 1,
            sockets: 1,
            cores_per_socket: 1,
            threads_per_core: 1,
            real_memory_mib: 1,
            tmp_disk_mib: 0,
            weight: 1,
            features: vec![],
            state: ConfiguredState::Unknown,
            reason: None,
            gres: vec![],
        }
    }

    #[must_use]
    pub fn has_feature(&self, name: &str) -> bool {
        self.features.iter().any(|known| known == name)
    }
}

impl NodeConf {
    /// What it has of generic resources. Ids count up through all types of a name.
    #[must_use]
    pub fn gres_total(&self) -> Vec<Gres> {
        let mut next: BTreeMap<&str, u32> = BTreeMap::new();
        let total = |conf: &'_ GresConf, first: u32| {
            let count = u32::try_from(conf.count).unwrap_or(u32::MAX);
            let ids = if conf.is_told_apart() { first..first.saturating_add(count) } else { 0..0 };
            let (name, kind) = (conf.name.clone(), conf.kind.clone());
            Gres { name, kind, count: conf.count, ids: ids.collect() }
        };
        let mut all = vec![];
        for conf in &self.gres {
            let first = next.entry(&conf.name).or_default();
            let gres = total(conf, *first);
            *first = first.saturating_add(u32::try_from(gres.ids.len()).unwrap_or(u32::MAX));
            all.push(gres);
        }
        all
    }

    /// What its daemon finds where nothing is missing; none where it has no generic resources.
    #[must_use]
    pub fn promised_gres(&self) -> Option<Vec<GresFound>> {
        let one = |gres: &GresConf| GresFound { name: gres.name.clone(), count: gres.count };
        (!self.gres.is_empty()).then(|| self.gres.iter().map(one).collect())
    }

    /// The device of that name and id, where it has a file.
    #[must_use]
    pub fn device(&self, name: &str, id: u32) -> Option<&str> {
        let mut first = 0;
        for conf in self.gres.iter().filter(|conf| conf.name == name) {
            let at = u64::from(id).checked_sub(first)?;
            if at < conf.count {
                return conf.files.get(usize::try_from(at).ok()?).map(String::as_str);
            }
            first += conf.count;
        }
        None
    }
}
