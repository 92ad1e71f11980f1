//! What a run is: all that the supervisor needs to know, as the node's daemon wrote it down.

use serde::{Deserialize, Serialize};

/// The form of the manifest that this release writes, and the only one that it runs.
pub const VERSION: u32 = 1;

/// `manifest.json`. The environment and the script lie beside it, as they are.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// [`VERSION`].
    pub version: u32,
    /// [`crate::spool::boot_id`] at the time of the order. A run that was ordered in an earlier
    /// life of the kernel is never started: nobody can say whether it had been.
    pub boot: String,
    pub cluster: String,
    /// The node's name, as `NodeName=` has it.
    pub node: String,
    pub job: u32,
    pub attempt: u32,
    /// The term of the leader that ordered the run.
    pub term: u64,
    pub uid: u32,
    pub gid: u32,
    /// The supplementary groups. Without effect unless the supervisor runs as root.
    pub groups: Vec<u32>,
    pub user_name: String,
    /// What follows the script's name on its command line.
    pub arguments: Vec<String>,
    pub work_dir: String,
    pub umask: u32,
    /// The submission's limits. The soft ones are set, as far as this host's hard ones allow.
    pub limits: Vec<Limit>,
    /// None: `/dev/null`. Patterns are expanded; a relative path is under `work_dir`.
    pub std_in: Option<String>,
    pub std_out: String,
    /// None: the same as `std_out`.
    pub std_err: Option<String>,
    /// Whether what the output files hold stays.
    pub append: bool,
    /// The job's share of the node's CPUs, which weighs when it competes with others for them.
    pub cpus: u32,
    /// The kernel's numbers of the CPUs that it is bound to; none: it is not bound.
    #[serde(default)]
    pub bound_to: Vec<u32>,
    /// None: no limit.
    pub memory_mib: Option<u64>,
}

/// A limit of setrlimit(2), by Linux's number; `u64::MAX` is unlimited.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limit {
    pub resource: u32,
    pub soft: u64,
    pub hard: u64,
}

/// Why a manifest can't be followed.
#[derive(Debug)]
pub enum Unusable {
    Broken(serde_json::Error),
    /// It is of another release's form.
    Version(u32),
}

/// The manifest that these bytes are.
///
/// # Errors
/// Where they are none, or one of another version.
pub fn read(content: &[u8]) -> Result<Manifest, Unusable> {
    #[derive(Deserialize)]
    struct Versioned {
        version: u32,
    }
    let Versioned { version } = serde_json::from_slice(content).map_err(Unusable::Broken)?;
    if version != VERSION {
        return Err(Unusable::Version(version));
    }
    serde_json::from_slice(content).map_err(Unusable::Broken)
}
