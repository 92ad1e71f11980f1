//! What is said of generic resources: `GresTypes`, `Gres` of nodes, and the file `gres.conf`.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};

use super::{
    Config, GresConf,
    keys::GRES,
    record::{Record, Setting, hostlist},
    report::{Place, Report},
    sections::{Line, Sections},
    source::{self, Read},
};
use crate::{
    gres::{GPU, Wanted, parse_count},
    hostlist::Hostlist,
};

/// How many kinds one node may have: a name counts for each of its types, and once more where
/// there are several. That many are planned at a time.
pub const MOST_KINDS: usize = 6;

/// How many of one name a node may have where they are told apart.
const MOST_DEVICES: u64 = 1_024;

/// Resources that live on GPUs which jobs share.
const SHARED: [&str; 2] = ["mps", "shard"];

/// A line of `gres.conf`.
struct Devices {
    /// None: of every node.
    nodes: Option<BTreeSet<String>>,
    name: String,
    kind: Option<String>,
    files: Vec<String>,
    cores: Option<String>,
}

/// Where the file is: beside the one that was named.
fn file(path: &Path) -> PathBuf {
    path.parent().unwrap_or(Path::new("")).join("gres.conf")
}

pub(super) fn fill(
    config: &mut Config,
    sections: &Sections,
    (path, read): (&Path, &mut Read<'_>),
    report: &mut Report,
) {
    config.gres_types = types(&sections.cluster, report);
    let mut of_nodes: BTreeMap<String, (&Place, Vec<GresConf>)> = BTreeMap::new();
    for Line { place, record } in &sections.nodes {
        let of_node = record.read("Gres", report, |value| listed(value, &config.gres_types));
        let names = record.text("NodeName").and_then(|names| Hostlist::parse(names).ok());
        let (Some(of_node), Some(names)) = (of_node, names) else { continue };
        of_nodes.extend(names.iter().map(|name| (name, (place, of_node.clone()))));
    }
    // Slurm looks at the file only where there is something to say of.
    if config.gres_types.is_empty() {
        return;
    }
    let devices = devices(path, read, report);
    for node in &mut config.nodes {
        let Some((place, of_node)) = of_nodes.remove(&node.name) else { continue };
        node.gres = of_node;
        let lines: Vec<&Devices> = devices.iter().filter(|line| line.is_of(&node.name)).collect();
        equip(&mut node.gres, &lines);
        for text in wrong(&node.gres) {
            report.problem(place, format!("node {}: {text}", node.name));
        }
    }
}

fn types(cluster: &Record, report: &mut Report) -> Vec<String> {
    let types = cluster.read("GresTypes", report, |value| {
        let names: Vec<&str> = value.split(',').map(str::trim).collect();
        let word =
            |name: &&str| name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
        if names.iter().any(|name| name.is_empty() || !word(name)) {
            return Err("names are wanted, such as gpu".to_owned());
        }
        match names.iter().find(|name| SHARED.contains(name)) {
            Some(shared) => {
                Err(format!("{shared} is refused: a GPU is given to one job at a time"))
            }
            None => Ok(names.into_iter().map(str::to_owned).collect()),
        }
    });
    types.unwrap_or_default()
}

/// What a node has by `Gres=gpu:a100:4,tmp:10K`.
fn listed(value: &str, types: &[String]) -> Result<Vec<GresConf>, String> {
    let wanted = || "a list such as gpu:a100:4 is wanted".to_owned();
    if value.is_empty() || ["(null)", "none"].contains(&value) {
        return Ok(vec![]);
    }
    let mut all: Vec<GresConf> = vec![];
    for text in value.split(',') {
        // Cores come from gres.conf, if at all.
        let text = text.split('(').next().unwrap_or(text).trim();
        let text = match text.split_once(":no_consume") {
            Some(_) => return Err("no_consume is refused: what a job has, another has not".into()),
            None => text,
        };
        let [one] = &Wanted::parse_list(text).map_err(|_| wanted())?[..] else {
            return Err(wanted());
        };
        if !types.contains(&one.name) {
            return Err(format!("{} is not among GresTypes", one.name));
        }
        if all.iter().any(|known| known.name == one.name && known.kind == one.kind) {
            return Err(format!("{text} stands twice"));
        }
        all.push(GresConf {
            name: one.name.clone(),
            kind: one.kind.clone(),
            count: one.count,
            files: vec![],
            cores: None,
        });
    }
    Ok(all)
}

impl Devices {
    fn is_of(&self, node: &str) -> bool {
        self.nodes.as_ref().is_none_or(|nodes| nodes.contains(node))
    }

    /// Whether it may be about this: a type that one of both does not name is any.
    fn is_about(&self, gres: &GresConf) -> bool {
        let same_kind = self.kind == gres.kind || self.kind.is_none() || gres.kind.is_none();
        self.name == gres.name && same_kind
    }
}

/// Gives the node's resources their files. Each file is given once; what is there beyond the count
/// is left out, as in Slurm.
fn equip(all: &mut [GresConf], lines: &[&Devices]) {
    let mut given: Vec<&str> = vec![];
    for gres in all {
        for line in lines {
            if !line.is_about(gres) {
                continue;
            }
            let left = usize::try_from(gres.count).unwrap_or(usize::MAX) - gres.files.len();
            let fresh = line.files.iter().filter(|file| !given.contains(&file.as_str()));
            let fresh: Vec<&str> = fresh.take(left).map(String::as_str).collect();
            gres.files.extend(fresh.iter().map(|file| (*file).to_owned()));
            given.extend(fresh);
            if gres.cores.is_none() {
                gres.cores.clone_from(&line.cores);
            }
        }
    }
}

/// What can't be planned of what a node has.
fn wrong(all: &[GresConf]) -> impl Iterator<Item = String> {
    let names: BTreeSet<&str> = all.iter().map(|gres| gres.name.as_str()).collect();
    let of_name = |name: &str| all.iter().filter(|gres| gres.name == name).count();
    let kinds: usize = names
        .iter()
        .map(|name| match of_name(name) {
            1 => 1,
            several => several + 1,
        })
        .sum();
    let too_many = (kinds > MOST_KINDS).then(|| {
        format!("{kinds} kinds of generic resources are too many; {MOST_KINDS} can be planned")
    });
    let told_apart = all.iter().filter(|gres| gres.is_told_apart());
    let large = told_apart.filter(|gres| gres.count > MOST_DEVICES).map(|gres| {
        format!("{} of {} are too many; {MOST_DEVICES} can be told apart", gres.count, gres.name)
    });
    too_many.into_iter().chain(large.collect::<Vec<_>>())
}

impl GresConf {
    /// Whether each of them has an id.
    #[must_use]
    pub fn is_told_apart(&self) -> bool {
        self.name == GPU || !self.files.is_empty()
    }
}

fn devices(path: &Path, read: &mut Read<'_>, report: &mut Report) -> Vec<Devices> {
    let file = file(path);
    let text = match read(&file) {
        Ok(text) => text,
        // It may be left out (gres.conf(5)). Who reads is not asked for more than a text, so what
        // the system says of a file that is not there has to do.
        Err(error) if error.to_ascii_lowercase().starts_with("no such file") => return vec![],
        Err(error) => {
            let place = Place { file: file.display().to_string().into(), line: 0 };
            report.problem(&place, format!("can't be read: {error}"));
            return vec![];
        }
    };
    // What was read once need not be read again.
    let mut again = |other: &Path| if other == file { Ok(text.clone()) } else { read(other) };
    let lines = source::lines(&file, &mut again, report);
    let mut devices = vec![];
    for line in lines {
        let Some(first) = line.first() else { continue };
        let place = first.place.clone();
        let mut record = Record::default();
        for pair in line {
            record.take(pair, GRES, report);
        }
        devices.extend(of_line(&record, place, report));
    }
    devices
}

fn of_line(record: &Record, place: Place, report: &mut Report) -> Option<Devices> {
    let nodes = record.read("NodeName", report, hostlist).map(|names| names.iter().collect());
    let Some(name) = record.text("Name") else {
        if record.get("AutoDetect").is_none() {
            report.problem(&place, "a line says what it is about by Name");
        }
        return None;
    };
    let files = record.read("File", report, |value| {
        let files: Vec<String> = hostlist(value)?.iter().collect();
        match files.iter().find(|file| !file.starts_with('/')) {
            Some(wrong) => Err(format!("an absolute path is wanted, not {wrong}")),
            None => Ok(files),
        }
    });
    let files: Vec<String> = files.unwrap_or_default();
    let count = record.read("Count", report, |value| {
        parse_count(value).ok_or_else(|| "a number is wanted, as in 10K".to_owned())
    });
    if let (Some(count), Some(Setting { place, .. })) = (count, record.get("File"))
        && count != files.len() as u64
    {
        let text = format!("Count={count}, but File names {}", files.len());
        report.problem(place, text);
    }
    Some(Devices {
        nodes,
        name: name.to_owned(),
        kind: record.text("Type").map(str::to_owned),
        files,
        cores: record.text("Cores").map(str::to_owned),
    })
}
