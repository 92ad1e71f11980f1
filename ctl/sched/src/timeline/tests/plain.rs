//! A planner that knows what is taken, and looks at all of it each time.

use super::*;

/// What is taken of a node, from when until when.
pub(super) type Taken = (usize, Amounts, u64, u64);

/// Knows what is taken, and looks at all of it each time.
#[derive(Clone, Default)]
pub(super) struct Plain {
    pub(super) totals: Vec<Amounts>,
    pub(super) taken: Vec<Taken>,
    pub(super) visits: Vec<Visit>,
}

/// Who is on which node, with how many CPUs, from when until when.
pub(super) type Visit = (usize, Tenant, u64, u64, u64);

impl Plain {
    /// The least that is free of the node within the time, of each kind.
    pub(super) fn free(&self, node: usize, from: u64, until: u64) -> Option<Amounts> {
        let touches = |taken: &&Taken| taken.0 == node && taken.2 < until && taken.3 > from;
        let touching: Vec<&Taken> = self.taken.iter().filter(touches).collect();
        let moments = touching.iter().map(|taken| taken.2.max(from)).chain([from]);
        let mut least = self.totals[node];
        for moment in moments {
            let mut left = self.totals[node];
            for taken in touching.iter().filter(|taken| taken.2 <= moment && taken.3 > moment) {
                for (left, less) in left.0.iter_mut().zip(taken.1.0) {
                    *left = left.checked_sub(less)?;
                }
            }
            least = Amounts(std::array::from_fn(|kind| least.0[kind].min(left.0[kind])));
        }
        Some(least)
    }

    /// Whether the job may be on the node then with so many CPUs, beside those who are.
    pub(super) fn lets(
        &self,
        want: &Want,
        node: usize,
        cpus: u64,
        (from, until): (u64, u64),
    ) -> bool {
        let Some(own) = want.tenant else { return true };
        let there: Vec<&Visit> = self
            .visits
            .iter()
            .filter(|visit| visit.0 == node && visit.3 < until && visit.4 > from)
            .collect();
        let apart =
            |visit: &&&Visit| visit.1.user != own.user && (visit.1.separate || own.separate);
        let Some(share) = own.share else { return !there.iter().any(|visit| apart(&visit)) };
        let same = |visit: &&&Visit| visit.1.share.is_some_and(|theirs| theirs.of == share.of);
        let used = |moment: u64| -> u64 {
            let then = there.iter().filter(same);
            let then = then.filter(|visit| visit.3 <= moment && visit.4 > moment);
            then.map(|visit| visit.2).sum()
        };
        let mut moments = there.iter().map(|visit| visit.3.max(from)).chain([from]);
        let fits = moments.all(|moment| used(moment) + cpus <= share.most);
        fits && !there.iter().any(|visit| apart(&visit))
    }

    pub(super) fn tasks(&self, want: &Want, node: usize, from: u64, until: u64) -> u32 {
        let free = self.free(node, from, until).expect("nothing is taken twice");
        let portion = want.portion(self.totals[node]);
        (1..=want.tasks_per_node)
            .take_while(|tasks| {
                let held = portion.held(*tasks).max(portion.least);
                held.0.iter().zip(free.0).all(|(held, free)| *held <= free)
                    && self.lets(want, node, held.0[0], (from, until))
            })
            .last()
            .unwrap_or(0)
    }

    /// Whether the job could start at that moment.
    pub(super) fn suffices(&self, want: &Want, from: u64) -> bool {
        let until = want.until(from);
        let nodes = 0..self.totals.len();
        let fitting = nodes
            .filter(|node| want.nodes >> node & 1 == 1)
            .map(|node| (node, self.tasks(want, node, from, until)))
            .filter(|(_, tasks)| *tasks > 0);
        let fitting: Vec<(usize, u32)> = fitting.collect();
        if want.choice == Choice::InARow {
            let sizes = want.least as usize..=fitting.len().min(want.most as usize);
            let mut windows = sizes.flat_map(|size| fitting.windows(size));
            return windows.any(|window| {
                let nodes: Vec<usize> = window.iter().map(|(node, _)| *node).collect();
                is_row(&nodes) && want.is_enough(window)
            });
        }
        if let Choice::Close(Some(few)) = want.choice
            && few.most == 1
            && from < few.until
        {
            return LEAVES.iter().any(|leaf| {
                let beside = |one: &&(usize, u32)| leaf >> one.0 & 1 == 1;
                want.is_enough(&fitting.iter().filter(beside).copied().collect::<Vec<_>>())
            });
        }
        want.is_enough(&fitting)
    }

    pub(super) fn earliest(&self, want: &Want, now: u64) -> Option<u64> {
        let mut moments: Vec<u64> = self.taken.iter().map(|taken| taken.3).chain([now]).collect();
        if let Choice::Close(Some(few)) = want.choice {
            moments.push(few.until);
        }
        moments.retain(|moment| (now..u64::MAX).contains(moment));
        moments.sort_unstable();
        moments.into_iter().find(|moment| self.suffices(want, *moment))
    }
}
