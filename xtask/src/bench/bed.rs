//! A cluster to measure on, and its end.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::Result;
use tempfile::TempDir;

use crate::{
    cluster::{Cluster, Folder, Plan, stop},
    wait::Interrupt,
};

/// Where clusters are made, and of what.
pub(super) struct Beds {
    pub(super) folder: PathBuf,
    /// Where the built programs are.
    pub(super) built: PathBuf,
    pub(super) interrupt: Interrupt,
}

impl Beds {
    /// Lets `measure` use a fresh cluster, and stops it whatever comes of that. The logs of one
    /// that was not measured to the end are kept.
    pub(super) fn with<T>(
        &self,
        nodes: usize,
        cpus: u32,
        settings: &[&str],
        measure: impl FnOnce(&Cluster) -> Result<T>,
    ) -> Result<T> {
        let folder = TempDir::with_prefix_in("cluster-", &self.folder)?;
        let plan = Plan {
            controllers: 3,
            nodes: Some(nodes),
            cpus: Some(cpus),
            settings: settings.iter().map(|line| (*line).to_owned()).collect(),
            ..Plan::default()
        };
        let laid = Folder::create(folder.path(), &self.built, None)?;
        let measured = Cluster::raise(laid, &plan, &self.interrupt).and_then(|cluster| {
            let measured = measure(&cluster);
            stop(&cluster.folder)?;
            measured
        });
        if measured.is_err() && !self.interrupt.came() {
            let kept: &Path = &folder.keep();
            eprintln!("what the daemons said is kept in {}/log", kept.display());
        }
        measured
    }

    /// A program of ours that speaks to `cluster` itself.
    pub(super) fn program(&self, name: &str, cluster: &Cluster) -> Command {
        let mut command = Command::new(self.built.join(name));
        command.env("RAFTER_DIR", cluster.folder.path("site"));
        command
    }
}
