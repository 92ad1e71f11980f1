//! Which CPUs a job has.

use common::{
    cpus::{CpuSet, Grain, MOST},
    job::Place,
};

use super::enumeration;
use crate::{Invalid, config, types as wire};

enumeration!(Grain, config::Grain, "grain", { Cpu = Cpu, Core = Core, Socket = Socket });

/// Each run of ids: the first one, and how many they are.
pub(super) fn runs(cpus: &CpuSet) -> Vec<u32> {
    cpus.runs().into_iter().flat_map(|(first, count)| [first, count]).collect()
}

/// The set of those runs.
///
/// # Errors
/// Where they are no runs, do not rise, or go beyond what a node may have.
pub fn cpu_set(runs: &[u32]) -> Result<CpuSet, Invalid> {
    let mut cpus = CpuSet::default();
    let mut least = 0;
    for run in runs.chunks(2) {
        let [first, count] = *run else { return Err(Invalid::Range("runs")) };
        let end = first.checked_add(count).filter(|end| *end <= MOST);
        let end = end.filter(|_| first >= least && count > 0).ok_or(Invalid::Range("runs"))?;
        cpus.insert_run(first, count);
        least = end + 1;
    }
    Ok(cpus)
}

/// What the places have, each set once for all that follow each other and have the same.
pub(super) fn of_places(places: &[Place]) -> Vec<wire::CpuIds> {
    if places.iter().all(|place| place.cpus.is_empty()) {
        return vec![];
    }
    let alike = places.chunk_by(|one, next| one.cpus == next.cpus);
    let ids = alike.map(|alike| wire::CpuIds {
        places: u32::try_from(alike.len()).expect("a job has fewer places"),
        runs: runs(&alike[0].cpus),
    });
    ids.collect()
}

/// The places with what they have.
pub(super) fn with_places(
    places: Vec<wire::Place>,
    cpus: Vec<wire::CpuIds>,
) -> Result<Vec<Place>, Invalid> {
    let mut places: Vec<Place> =
        places.into_iter().map(TryInto::try_into).collect::<Result<_, _>>()?;
    let mut left = places.iter_mut();
    for wire::CpuIds { places, runs } in cpus {
        let cpus = cpu_set(&runs)?;
        for _ in 0..places {
            let place = left.next().ok_or(Invalid::Range("places"))?;
            place.cpus = cpus.clone();
        }
    }
    Ok(places)
}
