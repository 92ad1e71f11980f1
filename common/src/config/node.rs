//! A node, as configured.

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
        }
    }

    #[must_use]
    pub fn has_feature(&self, name: &str) -> bool {
        self.features.iter().any(|known| known == name)
    }
}
