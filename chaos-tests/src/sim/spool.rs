//! A node's spool: the files of its runs, and what of them outlives a power cut.
//!
//! The files hold what the real ones hold, and the real code says what they tell.

use std::collections::{BTreeMap, btree_map::Entry};

use node::run::{Launch, RunId};
use serde::Serialize;
use step::{
    manifest::{Manifest, VERSION},
    spool::{Files, Found, SpoolError, told},
};

use super::world::Random;

#[derive(Clone, Debug)]
struct File {
    content: Vec<u8>,
    synced: bool,
}

#[derive(Clone, Debug, Default)]
struct Folder {
    files: BTreeMap<&'static str, File>,
    cpus: u32,
}

#[derive(Debug, Default)]
pub(super) struct Spool {
    folders: BTreeMap<RunId, Folder>,
    /// Removed, and maybe not yet on the disk: when.
    removed: BTreeMap<RunId, (u64, Folder)>,
}

/// A run's files, as the code reads them that reads the real ones.
struct View<'a> {
    folder: Option<&'a Folder>,
    locked: bool,
    boot: u64,
}

impl Files for View<'_> {
    fn read(&self, name: &str) -> Result<Option<Vec<u8>>, SpoolError> {
        let file = self.folder.and_then(|folder| folder.files.get(name));
        Ok(file.map(|file| file.content.clone()))
    }

    fn is_locked(&self) -> Result<bool, SpoolError> {
        Ok(self.locked)
    }

    fn boot(&self) -> Result<String, SpoolError> {
        Ok(self.boot.to_string())
    }
}

/// After how many milliseconds a removal is on the disk for sure.
const WRITEBACK_MS: u64 = 5_000;

impl Spool {
    pub(super) fn is_empty(&self) -> bool {
        self.folders.is_empty()
    }

    pub(super) fn runs(&self) -> Vec<RunId> {
        self.folders.keys().copied().collect()
    }

    pub(super) fn cpus(&self, run: RunId) -> u32 {
        self.folders.get(&run).map_or(0, |folder| folder.cpus)
    }

    /// What became of a run. `locked`: its supervisor lives.
    pub(super) fn told(&self, run: RunId, locked: bool, boot: u64) -> Found {
        let view = View { folder: self.folders.get(&run), locked, boot };
        told(&view).expect("what is in memory can be read")
    }

    /// Writes the folder of a run that is ordered.
    pub(super) fn prepare(&mut self, launch: &Launch, node: &str, boot: u64) {
        let run = launch.run();
        let places = launch.job.run().map_or(&[][..], |run| &run.places);
        let held = places.iter().filter(|place| place.node.as_str() == node);
        let cpus = held.map(|place| place.held.cpus).sum();
        match self.folders.entry(run) {
            Entry::Vacant(vacant) => vacant.insert(Folder { files: BTreeMap::new(), cpus }),
            Entry::Occupied(_) => panic!("{run} is prepared over what is there"),
        };
        self.write(run, "manifest.json", &manifest(launch, node, boot, cpus), false);
    }

    pub(super) fn write(
        &mut self,
        run: RunId,
        name: &'static str,
        value: &impl Serialize,
        synced: bool,
    ) {
        let content = serde_json::to_vec(value).expect("records have only text keys");
        let folder = self.folders.entry(run).or_default();
        folder.files.insert(name, File { content, synced });
    }

    pub(super) fn remove(&mut self, now: u64, run: RunId) {
        self.removed.retain(|_, (at, _)| *at + WRITEBACK_MS > now);
        if let Some(folder) = self.folders.remove(&run) {
            self.removed.insert(run, (now, folder));
        }
    }

    /// The host loses its power: files that were not synced are there, in half, or not at all, and
    /// folders that were just removed may be back.
    pub(super) fn cut_power(&mut self, now: u64, random: &mut Random) {
        for (run, (at, folder)) in std::mem::take(&mut self.removed) {
            if at + WRITEBACK_MS > now && random.chance(500) {
                self.folders.entry(run).or_insert(folder);
            }
        }
        self.folders.retain(|_, folder| {
            folder.files.retain(|_, file| {
                if !file.synced {
                    match random.below(4) {
                        0 => return false,
                        1 => file.content.truncate(file.content.len() / 2),
                        _ => {}
                    }
                }
                file.synced = true;
                true
            });
            !folder.files.is_empty()
        });
    }
}

fn manifest(launch: &Launch, node: &str, boot: u64, cpus: u32) -> Manifest {
    let RunId { job, attempt } = launch.run();
    Manifest {
        version: VERSION,
        boot: boot.to_string(),
        cluster: "sim".to_owned(),
        node: node.to_owned(),
        job: job.0,
        attempt: attempt.0,
        term: 0,
        uid: 1_001,
        gid: 1_001,
        groups: vec![],
        user_name: "alice".to_owned(),
        arguments: vec![],
        work_dir: "/".to_owned(),
        umask: 0o22,
        limits: vec![],
        std_in: None,
        std_out: "/dev/null".to_owned(),
        std_err: None,
        append: false,
        cpus,
        bound_to: vec![],
        memory_mib: None,
    }
}
