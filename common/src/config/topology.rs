//! The switches between the nodes: `topology.conf`, which is read where `TopologyPlugin` is
//! `topology/tree`.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

use super::{
    Config,
    keys::SWITCH,
    record::{Record, hostlist},
    report::{Place, Report},
    sections::Sections,
    source::{self, Read},
};

/// A switch, and what is beside it below: nodes, or other switches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SwitchConf {
    pub name: String,
    pub switches: Vec<String>,
    /// In the configuration's order.
    pub nodes: Vec<String>,
}

impl SwitchConf {
    /// Whether nodes are beside it.
    #[must_use]
    pub fn is_leaf(&self) -> bool {
        self.switches.is_empty()
    }
}

/// What each switch has below it. Those below come before those above.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tree<'a> {
    pub branches: Vec<Branch<'a>>,
}

/// A switch with all that is below it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Branch<'a> {
    pub conf: &'a SwitchConf,
    /// 0: a leaf.
    pub level: u32,
    pub nodes: BTreeSet<&'a str>,
}

impl<'a> Tree<'a> {
    /// The tree that the switches are. What would be below itself is left out.
    #[must_use]
    pub fn of(switches: &'a [SwitchConf]) -> Self {
        let mut tree = Self::default();
        let mut left: Vec<&SwitchConf> = switches.iter().collect();
        loop {
            let before = left.len();
            left.retain(|conf| !tree.grow(conf));
            if left.len() == before {
                return tree;
            }
        }
    }

    /// Adds a switch, if all that is below it is there.
    fn grow(&mut self, conf: &'a SwitchConf) -> bool {
        let below = conf.switches.iter().map(|name| self.branch(name));
        let Some(below) = below.collect::<Option<Vec<&Branch<'_>>>>() else { return false };
        let level = below.iter().map(|branch| branch.level + 1).max().unwrap_or(0);
        let mut nodes: BTreeSet<&str> = conf.nodes.iter().map(String::as_str).collect();
        nodes.extend(below.iter().flat_map(|branch| &branch.nodes));
        self.branches.push(Branch { conf, level, nodes });
        true
    }

    #[must_use]
    pub fn branch(&self, name: &str) -> Option<&Branch<'a>> {
        self.branches.iter().find(|branch| branch.conf.name == name)
    }
}

impl Config {
    /// Beside how many switches the nodes are. One that is beside none is by itself.
    #[must_use]
    pub fn leaves(&self, nodes: &[&str]) -> usize {
        let mut left: BTreeSet<&str> = nodes.iter().copied().collect();
        let mut leaves = 0;
        for leaf in self.switches.iter().filter(|conf| conf.is_leaf()) {
            let before = left.len();
            leaf.nodes.iter().for_each(|node| {
                left.remove(node.as_str());
            });
            leaves += usize::from(left.len() < before);
        }
        leaves + left.len()
    }

    /// `max_switch_wait`: for so many seconds at most jobs wait for few switches.
    #[must_use]
    pub fn max_switch_wait(&self) -> u32 {
        let options = self.settings.get("SchedulerParameters").map_or("", String::as_str);
        let wait = options.split(',').filter_map(|option| option.split_once('='));
        let wait = wait.filter(|(name, _)| name.trim().eq_ignore_ascii_case("max_switch_wait"));
        wait.filter_map(|(_, value)| value.trim().parse().ok()).next_back().unwrap_or(300)
    }
}

pub(super) fn fill(
    config: &mut Config,
    sections: &Sections,
    (path, read): (&Path, &mut Read<'_>),
    report: &mut Report,
) {
    let plugin = sections.cluster.text("TopologyPlugin").unwrap_or_default();
    if !plugin.to_ascii_lowercase().ends_with("tree") {
        return;
    }
    let file = path.parent().unwrap_or(Path::new("")).join("topology.conf");
    let mut places: Vec<Place> = vec![];
    let all: Vec<String> = config.nodes.iter().map(|node| node.name.clone()).collect();
    for line in source::lines(&file, read, report) {
        let Some(place) = line.first().map(|pair| pair.place.clone()) else { continue };
        let mut record = Record::default();
        for pair in line {
            record.take(pair, SWITCH, report);
        }
        if let Some(switch) = switch(&record, &all, &place, report) {
            config.switches.push(switch);
            places.push(place);
        }
    }
    for (conf, place) in config.switches.iter().zip(&places) {
        if let Some(text) = wrong(conf, &config.switches) {
            report.problem(place, format!("switch {}: {text}", conf.name));
        }
    }
}

fn switch(
    record: &Record,
    all: &[String],
    place: &Place,
    report: &mut Report,
) -> Option<SwitchConf> {
    let mut names = |key| record.read(key, report, hostlist).map(|names| names.iter().collect());
    let (switches, nodes): (Option<Vec<String>>, Option<Vec<String>>) =
        (names("Switches"), names("Nodes"));
    let Some(name) = record.text("SwitchName").map(str::to_owned) else {
        report.problem(place, "a line begins with SwitchName");
        return None;
    };
    let listed: BTreeSet<String> = nodes.unwrap_or_default().into_iter().collect();
    let known: BTreeSet<&String> = all.iter().collect();
    for unknown in listed.iter().filter(|node| !known.contains(node)) {
        report.problem(place, format!("switch {name} names {unknown}, which is no node"));
    }
    let nodes = all.iter().filter(|node| listed.contains(*node)).cloned().collect();
    Some(SwitchConf { name, switches: switches.unwrap_or_default(), nodes })
}

/// What is wrong with a switch among the others.
fn wrong(conf: &SwitchConf, all: &[SwitchConf]) -> Option<String> {
    if all.iter().filter(|other| other.name == conf.name).count() > 1 {
        return Some("it is configured twice".to_owned());
    }
    if conf.nodes.is_empty() == conf.switches.is_empty() {
        return Some("either nodes or switches are beside it".to_owned());
    }
    let mut above: BTreeMap<&str, u32> = BTreeMap::new();
    for below in all.iter().flat_map(|other| other.switches.iter().chain(&other.nodes)) {
        *above.entry(below).or_default() += 1;
    }
    let mut below = conf.switches.iter().chain(&conf.nodes);
    if let Some(twice) = below.find(|name| above.get(name.as_str()).is_some_and(|n| *n > 1)) {
        return Some(format!("{twice} is below two switches"));
    }
    let known = |name: &&String| all.iter().any(|other| other.name == **name);
    if let Some(unknown) = conf.switches.iter().find(|name| !known(name)) {
        return Some(format!("{unknown} is no switch"));
    }
    let rooted = Tree::of(all).branch(&conf.name).is_some();
    (!rooted).then(|| "it is below itself, or one below it is".to_owned())
}
