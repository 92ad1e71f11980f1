//! Keeps `client.conf` on a controller's host up to date, as controllers come and go.

use std::{path::PathBuf, sync::Arc};

use common::{id::ClusterId, machine::State};
use raft_store::Applied;
use tokio::sync::watch;
use trust::{controllers::Address, site::Site};

/// Follows the log until the controller ends.
pub(crate) async fn follow(
    folder: PathBuf,
    cluster: ClusterId,
    mut applied: watch::Receiver<Arc<Applied>>,
) {
    let mut written = State::default().controllers;
    loop {
        let differs = |applied: &Arc<Applied>| {
            !applied.state.controllers.ptr_eq(&written) && applied.state.controllers != written
        };
        let Ok(found) = applied.wait_for(differs).await.map(|applied| Arc::clone(&applied)) else {
            return;
        };
        written = found.state.controllers.clone();
        let controllers: Vec<Address> = written
            .iter()
            .map(|(name, controller)| Address {
                name: name.to_string(),
                address: controller.address.clone(),
            })
            .collect();
        let folder = folder.clone();
        let rewritten =
            tokio::task::spawn_blocking(move || rewrite(&folder, cluster, controllers)).await;
        if let Ok(Err(error)) = rewritten {
            tracing::warn!(%error, "can't tell the commands on this host of the controllers");
        }
    }
}

/// Where the file is, and is of this cluster, it gets the new list. Where it is not, somebody
/// wants no commands here, or another cluster's.
fn rewrite(
    folder: &std::path::Path,
    cluster: ClusterId,
    controllers: Vec<Address>,
) -> Result<(), trust::site::SiteError> {
    let Ok(site) = Site::read(folder) else {
        return Ok(());
    };
    if site.id.0 != cluster.0 || site.controllers == controllers {
        return Ok(());
    }
    Site { controllers, ..site }.write(folder)
}
