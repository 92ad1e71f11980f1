//! What all parts of a controller hold on to.

use std::{fmt, sync::Arc, time::Duration};

use common::{
    config::{CERTIFICATE_LIFETIME_S, Config},
    id::{ControllerName, UserId},
    machine::{Controller, State},
    time::Timestamp,
};
use raft_store::{Identity, Log};
use tokio::sync::Semaphore;
use trust::tls::Keyring;

use crate::{
    authorities::Authorities,
    measures::Measures,
    nodes::Nodes,
    proposer::{Proposer, View},
    reasons::Reasons,
};

/// Reads the configuration file, whole. What is wrong with it comes back as text for people, with
/// file and line.
pub type ReadConfig = Arc<dyn Fn() -> Result<Config, String> + Send + Sync>;

/// The parts that requests and the leader's tasks work with.
pub(crate) struct Shared {
    pub(crate) identity: Identity,
    /// Who formed the cluster, where this controller was the first.
    pub(crate) operator: Option<UserId>,
    pub(crate) log: Log,
    pub(crate) proposer: Proposer,
    pub(crate) authorities: Authorities,
    pub(crate) keyring: Arc<Keyring>,
    pub(crate) nodes: Nodes,
    pub(crate) reasons: Reasons,
    /// Turns for questions to the planner.
    pub(crate) planning: Arc<Semaphore>,
    pub(crate) read_config: ReadConfig,
    pub(crate) started: Timestamp,
    pub(crate) measures: Measures,
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared").field("identity", &self.identity).finish_non_exhaustive()
    }
}

impl Shared {
    /// The head's state, where this controller leads.
    pub(crate) fn head(&self) -> Option<Arc<View>> {
        self.proposer.view().borrow().clone()
    }

    /// How long certificates of nodes and controllers count: `RafterCertificateLifetime`.
    pub(crate) fn lifetime(state: &State) -> Duration {
        let config = state.config.as_ref();
        let seconds = config.map_or(CERTIFICATE_LIFETIME_S, |conf| conf.certificate_lifetime_s);
        Duration::from_secs(u64::from(seconds))
    }

    /// The controllers as they were told by the log, for whoever has to find them.
    pub(crate) fn controllers(state: &State) -> Vec<proto::node::ControllerAddress> {
        let address = |(name, controller): (&ControllerName, &Controller)| {
            let (name, address) = (name.to_string(), controller.address.clone());
            proto::node::ControllerAddress { name, address }
        };
        state.controllers.iter().map(address).collect()
    }
}
