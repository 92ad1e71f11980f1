//! Who leads, as the driver sees it: over connections of its own, which no fault touches.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use anyhow::{Context as _, Result};
use proto::ctl::{PingRequest, StatusReply, StatusRequest, controller_client::ControllerClient};
use tokio::runtime::Runtime;
use trust::{
    connect::Life,
    controllers::{Address, Call, Controllers, Target},
    site::Site,
    tls::Keyring,
};

use crate::pass;

/// How long a controller may take to answer.
const PATIENCE: Duration = Duration::from_millis(400);

/// Between two looks.
const PAUSE: Duration = Duration::from_millis(50);

pub(super) struct Monitor {
    runtime: Runtime,
    all: Arc<Controllers>,
    leader: Arc<Mutex<Option<String>>>,
}

impl Monitor {
    /// Looks from the calling thread's host, until it is dropped.
    ///
    /// # Errors
    /// Where the site names no authority.
    pub(super) fn start(site: &Site, addresses: Vec<Address>) -> Result<Self> {
        let keyring = Arc::new(Keyring::new(pass::obtain(site)?.credential)?);
        let mut builder = tokio::runtime::Builder::new_multi_thread();
        let runtime = builder.worker_threads(1).enable_all().build().context("a runtime")?;
        let connect = |to: Vec<Address>| {
            Arc::new(Controllers::new(to, Arc::clone(&keyring), Life::Daemon, None))
        };
        let each: Vec<_> = addresses
            .iter()
            .map(|address| (address.name.clone(), connect(vec![address.clone()])))
            .collect();
        let all = connect(addresses);
        let leader = Arc::new(Mutex::default());
        runtime.spawn(watch(each, Arc::clone(&leader)));
        Ok(Self { runtime, all, leader })
    }

    /// The controller that says that it leads.
    pub(super) fn leader(&self) -> Option<String> {
        self.leader.lock().expect("no holder panics").clone()
    }

    /// What the leader knows of all.
    pub(super) fn status(&self) -> Option<StatusReply> {
        let call = Call::within(Target::Leader, 2 * PATIENCE);
        let answer = self.all.call(call, |channel| async move {
            let request = StatusRequest { stale_ok: false };
            Ok(ControllerClient::new(channel).status(request).await?.into_inner())
        });
        self.runtime.block_on(answer).ok()
    }
}

async fn watch(each: Vec<(String, Arc<Controllers>)>, leader: Arc<Mutex<Option<String>>>) {
    loop {
        let asked = each.iter().map(|(name, controller)| async move {
            let call = Call::within(Target::Any, PATIENCE);
            let answer = controller.call(call, |channel| async move {
                Ok(ControllerClient::new(channel).ping(PingRequest {}).await?.into_inner())
            });
            answer.await.is_ok_and(|reply| reply.leader).then(|| name.clone())
        });
        let said: Vec<String> =
            futures::future::join_all(asked).await.into_iter().flatten().collect();
        {
            let mut known = leader.lock().expect("no holder panics");
            // An old one that has not heard yet may say so, too: then the new one is right.
            let new = said.iter().find(|name| known.as_ref() != Some(*name));
            *known = new.or(said.first()).cloned();
        }
        tokio::time::sleep(PAUSE).await;
    }
}
