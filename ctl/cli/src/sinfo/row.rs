//! The rows of `sinfo`: nodes of a partition that look alike share one.

use std::collections::{HashMap, HashSet, hash_map::Entry};

use super::field::{Field, Style};
use crate::view::{Node, Partition, node::Share};

/// A partition, and nodes of it.
#[derive(Clone, Debug)]
pub(crate) struct Row<'a> {
    pub(crate) partition: &'a Partition<'a>,
    /// Where the partition stands in the configuration.
    pub(crate) place: usize,
    pub(crate) nodes: Vec<Node<'a>>,
}

/// The least and the most of something; none where nobody has told.
pub(crate) type Extent = Option<(u64, u64)>;

impl<'a> Row<'a> {
    pub(crate) fn extent(&self, of: impl Fn(&Node<'a>) -> Option<u64>) -> Extent {
        self.nodes.iter().filter_map(of).fold(None, |extent, value| {
            let (least, most) = extent.unwrap_or((value, value));
            Some((least.min(value), most.max(value)))
        })
    }

    /// Nodes that are allocated, idle, other, and all.
    pub(crate) fn shares(&self) -> [u64; 4] {
        let mut shares = [0; 4];
        for node in &self.nodes {
            match node.state().share() {
                Share::Allocated => shares[0] += 1,
                Share::Idle => shares[1] += 1,
                Share::Other => shares[2] += 1,
            }
            shares[3] += 1;
        }
        shares
    }

    /// CPUs that are allocated, idle, other, and all.
    pub(crate) fn cpus(&self) -> [u64; 4] {
        let mut cpus = [0; 4];
        for node in &self.nodes {
            let total = u64::from(node.total.cpus);
            let used = u64::from(node.used.cpus).min(total);
            cpus[0] += used;
            cpus[if node.state().usable() { 1 } else { 2 }] += total - used;
            cpus[3] += total;
        }
        cpus
    }
}

/// How nodes are put into rows.
pub(crate) struct Grouping {
    /// The fields that tell rows apart.
    pub(crate) fields: Vec<Field>,
    pub(crate) exact: bool,
    /// A row for each node of each partition.
    pub(crate) by_node: bool,
}

impl Grouping {
    /// The rows, in the order in which their first nodes come. A partition of which no node is
    /// wanted has a row without nodes, if rows name their partition at all.
    pub(crate) fn rows<'a>(
        &self,
        partitions: &'a [Partition<'a>],
        wanted: impl Fn(&Node<'_>) -> bool,
        style: &Style<'_>,
    ) -> Vec<Row<'a>> {
        let named = self.fields.iter().any(|field| field.names_partition());
        let mut rows: Vec<Row<'a>> = Vec::new();
        let mut known: HashMap<String, usize> = HashMap::new();
        let mut seen: HashSet<(usize, &str)> = HashSet::new();
        for (place, partition) in partitions.iter().enumerate() {
            let mut of_partition = String::new();
            for field in &self.fields {
                if let Field::Partition(field) = field {
                    field.put(&mut of_partition, partition);
                    of_partition.push('\0');
                }
            }
            let nodes = partition.nodes.iter().filter(|node| wanted(node));
            let mut any = false;
            for node in nodes {
                any = true;
                let mut key = of_partition.clone();
                self.put_key(&mut key, node, style);
                let row = match known.entry(key) {
                    Entry::Occupied(row) => *row.get(),
                    Entry::Vacant(row) => {
                        rows.push(Row { partition, place, nodes: vec![] });
                        *row.insert(rows.len() - 1)
                    }
                };
                // A node may be in several partitions that share the row.
                if seen.insert((row, node.name())) {
                    rows[row].nodes.push(*node);
                }
            }
            if !any && named && !self.by_node {
                rows.push(Row { partition, place, nodes: vec![] });
            }
        }
        rows
    }

    fn put_key(&self, key: &mut String, node: &Node<'_>, style: &Style<'_>) {
        if self.by_node {
            key.push_str(node.name());
            key.push('\0');
        }
        for field in &self.fields {
            field.put_key(key, node, self.exact, style);
            key.push('\0');
        }
    }
}
