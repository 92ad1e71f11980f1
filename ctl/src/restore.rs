//! `rafterctld --restore` and `--recover`: a cluster goes on from a copy of its log. Offline, and
//! each by its own explicit words.

use std::{fs, path::Path, time::SystemTime};

use anyhow::Context as _;
use common::{
    id::{ClusterId, ControllerName},
    job::Phase,
    machine::{Restore, restored},
};
use ctl::{
    clock,
    daemon::sign_own,
    home::{Home, Standing},
};
use raft_store::{Copied, Identity, look, recover as recover_store, restore_backup};
use trust::{authority::Authority, identity::random};

use crate::{
    init::{own_address, settle},
    options::Settings,
};

/// What an operator decides about jobs.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Terms {
    /// How many ids of jobs are passed over.
    pub(crate) job_ids: u32,
    /// Nothing can have happened after the copy.
    pub(crate) nothing_since: bool,
}

/// A number in Raft that no store has had.
fn fresh_number() -> u64 {
    u64::from_be_bytes(random()) | 1 << 63
}

fn identity(settings: &Settings, cluster: ClusterId, raft_id: u64) -> Identity {
    let (name, address) = (settings.name.clone(), settings.address.clone());
    Identity { cluster, raft_id, name, address }
}

fn restore_of(copied: &Copied, identity: &Identity, terms: Terms) -> Restore {
    Restore {
        cluster: identity.cluster,
        index: copied.index,
        job_ids: terms.job_ids,
        nothing_since: terms.nothing_since,
        controller: ControllerName::from(identity.name.as_str()),
        raft_id: identity.raft_id,
        address: identity.address.clone(),
        lost: copied.lost.clone(),
    }
}

/// What is in a copy, in a line.
fn contents(copied: &Copied) -> String {
    let jobs =
        |is: fn(&Phase) -> bool| copied.state.jobs.values().filter(|job| is(&job.phase)).count();
    format!(
        "entry {} of term {}, decided at {}: {} jobs pending, {} with nodes, {} over",
        copied.index,
        copied.term,
        common::date::format(copied.state.at, &jiff::tz::TimeZone::system()),
        jobs(|phase| matches!(phase, Phase::Pending)),
        jobs(|phase| matches!(phase, Phase::Active(_) | Phase::Completing { .. })),
        jobs(|phase| matches!(phase, Phase::Ended { .. })),
    )
}

/// A new cluster from a backup, with this controller as its first. Says what was done.
///
/// # Errors
/// Where the directory holds a controller already, or the file is no good.
pub(crate) fn restore(settings: &Settings, file: &Path, terms: Terms) -> anyhow::Result<String> {
    let home = Home::take(&settings.state_dir, &settings.name)?;
    let dir = settings.state_dir.display();
    if let Some(standing) = home.standing()? {
        anyhow::bail!(
            "{dir} holds controller {} of cluster {}: a backup is restored into an empty one",
            standing.name,
            standing.cluster
        );
    }
    // What an earlier attempt left, which came no further.
    let unfinished = home.store().with_extension("unfinished");
    for left in [&unfinished, &home.store()] {
        if left.exists() {
            fs::remove_dir_all(left).with_context(|| format!("can't remove {}", left.display()))?;
        }
    }
    let now = SystemTime::now();
    let authority = Authority::generate(now)?;
    let cluster = ClusterId(authority.cluster().0);
    let identity = identity(settings, cluster, fresh_number());
    let copied = restore_backup(file, &unfinished, &identity, |copied| {
        let at = clock::now();
        (at, restored(&copied.state, at, &restore_of(copied, &identity, terms)))
    })?;
    fs::rename(&unfinished, home.store())?;
    let credential = sign_own(&authority, &settings.name, now, settings.lifetime())?;
    let standing = Standing {
        cluster,
        name: settings.name.clone(),
        raft_id: identity.raft_id,
        operator: None,
        stored: true,
    };
    settle(settings, &home, &authority, credential, vec![own_address(settings)], &standing)?;
    Ok(format!(
        "cluster {cluster} goes on from {}\nits jobs go on from id {}. Start rafterctld, and let \
         nodes and further controllers join by tokens",
        contents(&copied),
        copied.state.next_job
    ))
}

/// This controller alone is the cluster from here on. Without `accepted` it says what that would
/// mean, and changes nothing.
///
/// # Errors
/// Where it is not accepted, the directory holds no controller, or its store can't be read.
pub(crate) fn recover(settings: &Settings, accepted: bool, terms: Terms) -> anyhow::Result<String> {
    let home = Home::take(&settings.state_dir, &settings.name)?;
    let dir = settings.state_dir.display();
    let standing = home.standing()?.with_context(|| format!("{dir} holds no controller"))?;
    if standing.name != settings.name {
        anyhow::bail!("{dir} holds controller {}, and this is {}", standing.name, settings.name);
    }
    let owner = identity(settings, standing.cluster, standing.raft_id);
    let unfinished = home.store().with_extension("unfinished");
    if unfinished.exists() {
        fs::remove_dir_all(&unfinished)?;
    }
    if !accepted {
        let copied = look(&home.store(), &unfinished, &owner)?;
        let others: Vec<&str> = copied.state.controllers.keys().map(|name| name.as_str()).collect();
        anyhow::bail!(
            "nothing was changed. This controller has the log up to {}.\nWhat {} acknowledged \
             without it is lost: jobs that were submitted, cancelled or ended, and changes to \
             nodes. The others can never come back, and must not be started again.\nTo go on with \
             this controller alone, add --accept-loss",
            contents(&copied),
            others.join(", "),
        );
    }
    let identity = identity(settings, standing.cluster, fresh_number());
    let copied = recover_store(&home.store(), &owner, &unfinished, &identity, |copied| {
        let at = clock::now();
        (at, restored(&copied.state, at, &restore_of(copied, &identity, terms)))
    })?;
    let kept = home.store().with_extension(format!("before-{}", copied.index));
    fs::rename(home.store(), &kept)?;
    fs::rename(&unfinished, home.store())?;
    home.set_standing(&Standing { raft_id: identity.raft_id, stored: true, ..standing })?;
    Ok(format!(
        "controller {} is the cluster from here on, from {}\nits jobs go on from id {}. The old \
         store is kept in {}. Start rafterctld, and add other controllers",
        settings.name,
        contents(&copied),
        copied.state.next_job,
        kept.display()
    ))
}
