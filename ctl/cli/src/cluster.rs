//! `--clusters`: other clusters are not reached from here.

use crate::{client::Client, say};

/// Whether `names` means the cluster of this host. An error is the exit code; `option` is how the
/// command's advice names the option.
pub(crate) fn check(client: &Client, option: &str, names: Option<&str>) -> Result<(), u8> {
    let Some(names) = names else { return Ok(()) };
    let cluster = client.cluster();
    let other = |name: &&str| !name.eq_ignore_ascii_case("all") && *name != cluster;
    match names.split(',').find(other) {
        None => Ok(()),
        Some(name) => {
            say::error(&format!("No cluster '{name}' known by database."));
            say::error(&format!(
                "'{name}' can't be reached now, or it is an invalid entry for --{option}.  \
                 Use 'sacctmgr list clusters' to see available clusters."
            ));
            Err(1)
        }
    }
}
