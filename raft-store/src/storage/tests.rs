//! Openraft's own suite for stores.

use openraft::{
    StorageError,
    testing::log::{StoreBuilder, Suite},
    type_config::TypeConfigExt as _,
};
use tempfile::TempDir;

use super::*;
use crate::{
    History, Identity,
    health::Health,
    machine::{Machine, Parts},
    snapshot::Snapshots,
};

struct Builder;

impl StoreBuilder<TypeConfig, Storage, Machine, TempDir> for Builder {
    async fn build(&self) -> Result<(TempDir, Storage, Machine), StorageError<TypeConfig>> {
        let folder = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir());
        let folder = folder.expect("a folder");
        let cluster = common::id::ClusterId([7; 16]);
        let identity =
            Identity { cluster, raft_id: 1, name: "ctl1".into(), address: String::new() };
        let log = folder.path().join("log");
        let health = Health::new();
        Disk::create(&log, &identity).expect("a store");
        let (disk, held) = Disk::open(&log, &identity, health.clone()).expect("it opens");
        History::create(&folder.path().join("history")).expect("a history");
        let history = History::open(&folder.path().join("history")).expect("a history");
        let snapshots = Snapshots::open(&folder.path().join("snapshots")).expect("a folder");
        let snapshots = Arc::new(snapshots);
        let parts = Parts { board: Arc::default(), history, snapshots, health };
        Ok((folder, Storage::new(Arc::new(disk), &held), Machine::new(parts, None)))
    }
}

#[test]
fn openraft_s_suite_passes() {
    TypeConfig::run(async {
        Suite::test_all(Builder).await.expect("the suite passes");
    });
}
