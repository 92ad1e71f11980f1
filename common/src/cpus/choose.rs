//! Which CPUs of a node a job gets.
//!
//! As Slurm does where nothing is said of it: single CPUs and sockets are filled from the lowest id
//! on. Of cores, a task's lie in one socket where one has room for them, and the tasks go from
//! socket to socket, so that each has its share of the memory's bandwidth.

use super::{CpuLayout, CpuSet, Grain, MOST};

/// What is to be chosen.
#[derive(Clone, Copy, Debug)]
pub struct Request {
    /// How many CPUs in all.
    pub cpus: u32,
    /// CPUs of each task.
    pub of_task: u32,
}

/// Chooses out of what is not `used`; `unnamed` more are held by jobs of which nobody knows which
/// they have: those count as the highest. None where there is too little, or where no whole cores
/// or sockets are asked for.
#[must_use]
pub fn choose(
    layout: CpuLayout,
    grain: Grain,
    (used, unnamed): (&CpuSet, u32),
    request: Request,
) -> Option<CpuSet> {
    let step = layout.step(grain);
    let all = layout.cpus();
    if all > MOST || !request.cpus.is_multiple_of(step) {
        return None;
    }
    if used.is_empty() && unnamed == 0 && request.cpus == all {
        return Some(CpuSet::first(all));
    }
    let free = Free::of(layout, step, (used, unnamed));
    let steps = request.cpus / step;
    let chosen = match grain {
        Grain::Cpu => free.together(layout.of_socket(), steps),
        Grain::Socket => free.lowest(steps),
        Grain::Core if layout.cores == 1 => free.lowest(steps),
        Grain::Core => {
            let tasks = request.of_task.max(1);
            // As many cores as whole tasks fill.
            let each = (tasks / gcd(tasks, step)).min(steps);
            free.in_turn(layout.cores, steps, each)
        }
    }?;
    let mut set = CpuSet::default();
    chosen.into_iter().for_each(|at| set.insert_run(at * step, step));
    Some(set)
}

fn gcd(one: u32, other: u32) -> u32 {
    if other == 0 { one } else { gcd(other, one % other) }
}

/// The steps that are free, rising: CPUs, cores or sockets by their numbers.
struct Free(Vec<u32>);

impl Free {
    fn of(layout: CpuLayout, step: u32, (used, unnamed): (&CpuSet, u32)) -> Self {
        let steps = layout.cpus() / step;
        let mut taken = vec![false; steps as usize];
        for id in used.iter() {
            if let Some(taken) = taken.get_mut((id / step) as usize) {
                *taken = true;
            }
        }
        let mut free: Vec<u32> = (0..steps).filter(|at| !taken[*at as usize]).collect();
        free.truncate(free.len().saturating_sub(unnamed.div_ceil(step) as usize));
        Self(free)
    }

    fn lowest(&self, count: u32) -> Option<Vec<u32>> {
        self.0.get(..count as usize).map(<[u32]>::to_vec)
    }

    /// The lowest in the first socket that has room for all, if there is one.
    fn together(&self, of_socket: u32, count: u32) -> Option<Vec<u32>> {
        let mut sockets = self.0.chunk_by(|one, next| one / of_socket == next / of_socket);
        let found = sockets.find_map(|free| free.get(..count as usize));
        found.map(<[u32]>::to_vec).or_else(|| self.lowest(count))
    }

    /// So many of each socket in turn, from the first on that has room for as many. Where none has,
    /// those are taken one by one, of each socket in turn.
    fn in_turn(&self, of_socket: u32, count: u32, each: u32) -> Option<Vec<u32>> {
        let sockets = self.0.chunk_by(|one, next| one / of_socket == next / of_socket);
        let mut sockets: Vec<&[u32]> = sockets.collect();
        let mut chosen = Vec::with_capacity(count as usize);
        let mut turn = 0;
        while let Some(left) = (count as usize).checked_sub(chosen.len()).filter(|left| *left > 0) {
            let wanted = left.min(each as usize);
            let first = |sockets: &[&[u32]], turn: usize, least: usize| {
                (turn..sockets.len()).chain(0..turn).find(|at| sockets[*at].len() >= least)
            };
            let take = if first(&sockets, turn, wanted).is_some() { wanted } else { 1 };
            for _ in 0..wanted / take {
                let at = first(&sockets, turn, take)?;
                let (taken, rest) = sockets[at].split_at(take);
                chosen.extend(taken);
                sockets[at] = rest;
                turn = (at + 1) % sockets.len();
            }
        }
        Some(chosen)
    }
}
