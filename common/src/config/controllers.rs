//! Where the controllers are: `SlurmctldHost`, and its old names.

use super::{
    Config, ControllerConf,
    record::{Record, Setting, hostlist, number},
    report::{Place, Report},
    sections::Sections,
};

pub(super) fn fill(config: &mut Config, sections: &Sections, whole: &Place, report: &mut Report) {
    let port = port(&sections.cluster, report);
    let old = old_names(&sections.cluster, port, report);
    let mut controllers = vec![];
    for Setting { value, place } in &sections.hosts {
        match slurmctld_host(value, port) {
            Ok(hosts) => controllers.extend(hosts.into_iter().map(|host| (host, place))),
            Err(wanted) => report.problem(place, format!("SlurmctldHost={value}: {wanted}")),
        }
    }
    match (controllers.first(), old.first()) {
        (None, None) if sections.hosts.is_empty() => report.problem(
            whole,
            "no controller is named: SlurmctldHost is not set (nor ControlMachine, its old name)",
        ),
        (Some(_), Some((_, place))) => {
            report.problem(place, "both SlurmctldHost and its old names are set");
        }
        (Some(_) | None, Some(_) | None) => {}
    }
    controllers.extend(old);
    for (controller, place) in controllers {
        let same = |other: &ControllerConf| other.name == controller.name;
        if config.controllers.iter().any(same) {
            report.problem(place, format!("the controller {} is named twice", controller.name));
        } else {
            config.controllers.push(controller);
        }
    }
}

/// `SlurmctldPort`. Of Slurm's range, only the first is listened on.
fn port(cluster: &Record, report: &mut Report) -> u16 {
    let port = cluster.read("SlurmctldPort", report, |value| {
        let (first, last) = value.split_once('-').unwrap_or((value, value));
        let (first, last) = (number(1..=65_535)(first)?, number(1..=65_535)(last)?);
        if first <= last { Ok((first, last)) } else { Err("the range is empty".to_owned()) }
    });
    let (first, last) = port.unwrap_or((6817, 6817));
    if first < last
        && let Some(Setting { place, .. }) = cluster.get("SlurmctldPort")
    {
        let text = format!("of SlurmctldPort, only {first} is listened on: one port serves all");
        report.warning(place, text);
    }
    first
}

/// `name`, `name(address)` or `name(address:port)`; without an address, a hostlist.
fn slurmctld_host(value: &str, port: u16) -> Result<Vec<ControllerConf>, String> {
    let Some((name, rest)) = value.split_once('(') else {
        let named = |name: String| ControllerConf { address: name.clone(), name, port };
        return check_names(hostlist(value)?.iter().map(named).collect());
    };
    let address = rest.strip_suffix(')').ok_or("the bracket does not end the value")?;
    let (address, port) = endpoint(address, port)?;
    check_names(vec![ControllerConf { name: name.trim().to_owned(), address, port }])
}

/// Names become parts of certificates and of tables.
fn check_names(controllers: Vec<ControllerConf>) -> Result<Vec<ControllerConf>, String> {
    let wrong = controllers.iter().find(|controller| !super::is_name(&controller.name));
    match wrong {
        Some(wrong) => Err(format!("`{}' is no name of a host", wrong.name)),
        None if controllers.is_empty() => Err("the name of a host is wanted".to_owned()),
        None => Ok(controllers),
    }
}

/// `address`, `address:port`, `[address]:port`; an address with several colons is one of IPv6.
fn endpoint(text: &str, port: u16) -> Result<(String, u16), String> {
    let wanted = || format!("`{text}' is no address");
    let (address, port_text) = match text.strip_prefix('[') {
        Some(rest) => {
            let (address, rest) = rest.split_once(']').ok_or_else(wanted)?;
            match rest.strip_prefix(':') {
                Some(port) => (address, Some(port)),
                None if rest.is_empty() => (address, None),
                None => return Err(wanted()),
            }
        }
        None if text.matches(':').count() == 1 => {
            let (address, port) = text.split_once(':').ok_or_else(wanted)?;
            (address, Some(port))
        }
        None => (text, None),
    };
    if address.is_empty() || address.contains(|c: char| c.is_whitespace() || "()[]/".contains(c)) {
        return Err(wanted());
    }
    let port = port_text.map_or(Ok(port), number(1..=65_535))?;
    Ok((address.to_owned(), port))
}

/// `ControlMachine`, `BackupController`, and their addresses.
fn old_names<'a>(
    cluster: &'a Record,
    port: u16,
    report: &mut Report,
) -> Vec<(ControllerConf, &'a Place)> {
    let mut controllers = vec![];
    for (name_key, address_key) in
        [("ControlMachine", "ControlAddr"), ("BackupController", "BackupAddr")]
    {
        let names = cluster.read(name_key, report, hostlist).unwrap_or_default();
        let addresses = cluster.read(address_key, report, hostlist).unwrap_or_default();
        let Some(Setting { place, value }) = cluster.get(name_key) else {
            if let Some(Setting { place, .. }) = cluster.get(address_key) {
                report.problem(place, format!("{address_key} is set, but {name_key} is not"));
            }
            continue;
        };
        if !addresses.is_empty() && addresses.len() != names.len() {
            report.problem(place, format!("{name_key} and {address_key} differ in number"));
        }
        for (at, name) in names.iter().enumerate() {
            if !super::is_name(&name) {
                report.problem(place, format!("{name_key}={value}: `{name}' is no name of a host"));
            }
            let address = addresses.nth(at).unwrap_or_else(|| name.clone());
            controllers.push((ControllerConf { name, address, port }, place));
        }
    }
    controllers
}
