//! What a job would take, as limits look at it.

use super::tallies::{Tally, labelled};
use crate::{
    account::Tres,
    gres::{Gres, Wanted},
    job::{JobSpec, Place},
};

/// What a job would take.
#[derive(Clone, Copy, Debug, Default)]
pub struct Wants<'a> {
    pub cpus: u64,
    pub memory_mib: u64,
    pub nodes: u64,
    /// Where; empty where that is not known, and the amounts are the least that it may be.
    pub places: &'a [Place],
    /// Whose generic resources are asked for, where there are no places yet.
    pub spec: Option<&'a JobSpec>,
}

impl<'a> Wants<'a> {
    /// What the places come to.
    #[must_use]
    pub fn of(places: &'a [Place]) -> Self {
        Self {
            cpus: places.iter().map(|place| u64::from(place.held.cpus)).sum(),
            memory_mib: places.iter().map(|place| place.held.memory_mib).sum(),
            nodes: places.len() as u64,
            places,
            spec: None,
        }
    }

    /// How much of a resource that is.
    #[must_use]
    pub fn amount(&self, tres: &Tres) -> u64 {
        match tres {
            Tres::Cpu => self.cpus,
            Tres::Mem => self.memory_mib,
            Tres::Node => self.nodes,
            Tres::Gres(name) => self.gres(name),
        }
    }

    /// How much of a generic resource, by its name or by its name and type.
    fn gres(&self, name: &str) -> u64 {
        let nodes = u32::try_from(self.nodes).unwrap_or(u32::MAX);
        let asked = self.spec.map(|spec| spec.gres_in_all(nodes)).unwrap_or_default();
        let asked = asked.into_iter().map(|wanted| {
            let Wanted { name, kind, count } = wanted;
            Gres { name, kind, count, ids: vec![] }
        });
        let asked: Vec<Gres> = asked.collect();
        let given = self.places.iter().flat_map(|place| &place.gres);
        let labels = given.chain(&asked).flat_map(labelled);
        labels
            .filter(|(label, _)| label == name)
            .fold(0, |sum, (_, count)| u64::saturating_add(sum, count))
    }

    /// What those would have together, were it one of them. Of nodes, those count that they do
    /// not hold yet.
    pub(super) fn beside(&self, tally: Option<&Tally>, tres: &Tres) -> u64 {
        let has = tally.map_or(0, |tally| tally.amount(tres));
        let more = match tres {
            Tres::Node => {
                let known = |place: &&Place| {
                    tally.is_some_and(|tally| tally.nodes.contains_key(&place.node))
                };
                self.places.iter().filter(|place| !known(place)).count() as u64
            }
            Tres::Cpu | Tres::Mem | Tres::Gres(_) => self.amount(tres),
        };
        has + more
    }
}
