//! A configuration's lines, sorted by what they are about.

use std::path::Path;

use super::{
    Config, cluster, controllers, gres_lines,
    keys::{CLUSTER, DOWN_NODES, Key, NODE, NODE_SET, PARTITION},
    node_lines, partition_lines,
    record::{Record, Setting},
    report::{Place, Report},
    source::{Pair, Read},
    topology,
};

/// What a line about nodes or a partition sets, after the defaults that stood before it.
pub(super) struct Line {
    pub(super) place: Place,
    pub(super) record: Record,
}

#[derive(Default)]
pub(super) struct Sections {
    pub(super) cluster: Record,
    /// The values of `SlurmctldHost`, which may be set many times.
    pub(super) hosts: Vec<Setting>,
    pub(super) nodes: Vec<Line>,
    pub(super) partitions: Vec<Line>,
    pub(super) down_nodes: Vec<Line>,
    pub(super) node_sets: Vec<Line>,
}

/// What `NodeName=DEFAULT` and its like have said so far.
#[derive(Default)]
struct Defaults {
    nodes: Record,
    partitions: Record,
    down_nodes: Record,
}

impl Sections {
    pub(super) fn sort(lines: Vec<Vec<Pair>>, report: &mut Report) -> Self {
        let mut sections = Self::default();
        let mut defaults = Defaults::default();
        for line in lines {
            sections.line(line, &mut defaults, report);
        }
        sections
    }

    fn line(&mut self, pairs: Vec<Pair>, defaults: &mut Defaults, report: &mut Report) {
        let Some(first) = pairs.first() else { return };
        let begins = |key: &str| first.key.eq_ignore_ascii_case(key);
        if begins("NodeName") {
            one(pairs, NODE, &mut self.nodes, Some(&mut defaults.nodes), report);
        } else if begins("PartitionName") {
            let defaults = Some(&mut defaults.partitions);
            one(pairs, PARTITION, &mut self.partitions, defaults, report);
        } else if begins("DownNodes") {
            let defaults = Some(&mut defaults.down_nodes);
            one(pairs, DOWN_NODES, &mut self.down_nodes, defaults, report);
        } else if begins("NodeSet") {
            one(pairs, NODE_SET, &mut self.node_sets, None, report);
        } else if begins("FrontendName") {
            // The rest of the line belongs to what is refused.
            self.of_cluster(first.clone(), report);
        } else {
            for pair in pairs {
                self.of_cluster(pair, report);
            }
        }
    }

    fn of_cluster(&mut self, pair: Pair, report: &mut Report) {
        if pair.key.eq_ignore_ascii_case("SlurmctldHost") {
            let host = Setting { value: pair.value.clone(), place: pair.place.clone() };
            self.hosts.push(host);
            let mut apart = Record::default();
            apart.take(pair, CLUSTER, report);
            self.cluster.change(apart);
        } else {
            self.cluster.take(pair, CLUSTER, report);
        }
    }

    /// The configuration that the lines make. It counts only if no problem was reported.
    pub(super) fn into_config(
        self,
        whole: &Place,
        (path, read): (&Path, &mut Read<'_>),
        report: &mut Report,
    ) -> Config {
        let mut config = cluster::config(&self.cluster, whole, report);
        controllers::fill(&mut config, &self, whole, report);
        node_lines::fill(&mut config, &self, whole, report);
        gres_lines::fill(&mut config, &self, (path, read), report);
        topology::fill(&mut config, &self, (path, read), report);
        partition_lines::fill(&mut config, &self, whole, report);
        config.settings = self.cluster.into_texts();
        if let Some(hosts) = config.settings.get_mut("SlurmctldHost") {
            let values: Vec<&str> = self.hosts.iter().map(|host| host.value.as_str()).collect();
            *hosts = values.join(",");
        }
        config
    }
}

/// Takes a line whose first key names what it is about. `DEFAULT` changes the defaults instead.
fn one(
    pairs: Vec<Pair>,
    table: &'static [Key],
    lines: &mut Vec<Line>,
    defaults: Option<&mut Record>,
    report: &mut Report,
) {
    let Some(Pair { value, place, .. }) = pairs.first().cloned() else { return };
    let mut record = Record::default();
    let is_default = value.eq_ignore_ascii_case("DEFAULT") && defaults.is_some();
    for pair in pairs.into_iter().skip(usize::from(is_default)) {
        record.take(pair, table, report);
    }
    match defaults {
        Some(defaults) if is_default => defaults.change(record),
        Some(defaults) => {
            record.default_to(defaults);
            lines.push(Line { place, record });
        }
        None => lines.push(Line { place, record }),
    }
}
