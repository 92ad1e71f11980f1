//! Lists of hosts, spelled out and put together; and which nodes a host is.

use std::{env, fs};

use common::hostlist::{Hostlist, HostlistError};

use super::super::session::Session;
use crate::{fetch, say};

/// `show hostnames`: a name on each line. Without a list it is the job's own. As in Slurm, a list
/// that can't be read is said so, and the exit code is 0.
pub(super) fn names(session: &Session<'_>, list: Option<&str>) -> Result<u8, u8> {
    let of_job = || env::var("SLURM_JOB_NODELIST").or_else(|_| env::var("SLURM_NODELIST")).ok();
    let Some(text) = list.map(str::to_owned).or_else(of_job) else {
        session.complain("scontrol: error: host list is empty\n");
        return Ok(0);
    };
    match Hostlist::parse(&text) {
        Ok(list) => {
            let mut out = String::new();
            for name in list.iter() {
                out.push_str(&name);
                out.push('\n');
            }
            say::out(&out);
        }
        Err(error) => {
            if matches!(error, HostlistError::Range(_) | HostlistError::TooManyInRange(_)) {
                session.complain(&format!("scontrol: error: _parse_single_range: {error}\n"));
            }
            session.complain(&format!("Invalid hostlist: {text}\n"));
        }
    }
    Ok(0)
}

/// `show hostlist` and `hostlistsorted`: names, or a file of names, as a list.
pub(super) fn list(session: &Session<'_>, names: Option<&str>, sorted: bool) -> Result<u8, u8> {
    let Some(names) = names else {
        session.complain("invalid host list\n");
        return Err(1);
    };
    let text = if names.starts_with('/') {
        let read = fs::read_to_string(names)
            .map_err(|error| session.complain(&format!("Can't open \"{names}\": {error}\n")))?;
        read.split_whitespace().collect::<Vec<_>>().join(",")
    } else {
        names.to_owned()
    };
    let list = Hostlist::parse(&text)
        .map_err(|_| session.complain(&format!("Invalid hostlist: {text}\n")))?;
    let list = if sorted { list.sorted() } else { list };
    say::out(&format!("{list}\n"));
    Ok(0)
}

/// `show aliases`: the nodes that a host is, this one if none is named.
pub(super) fn aliases(session: &mut Session<'_>, host: Option<&str>) -> Result<u8, u8> {
    let stale_ok = session.flags.stale_ok;
    let reply = session
        .ask("slurm_load_node error: ", async |client| fetch::nodes(client, stale_ok).await)?;
    let this = nix::unistd::gethostname().unwrap_or_default();
    let this = this.to_string_lossy();
    let host = host.unwrap_or_else(|| this.split('.').next().unwrap_or(&this));
    let nodes = reply.nodes.iter().filter_map(|view| view.node.as_ref());
    let names: Vec<&str> =
        nodes.filter(|node| node.host_name == host).map(|node| node.name.as_str()).collect();
    if !names.is_empty() {
        say::out(&format!("{}\n", names.join(" ")));
    }
    Ok(0)
}
