//! Where the borders between slots are.

/// How finely time is cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Grid {
    /// How many slots there may be.
    pub budget: usize,
    /// The length of the shortest slot where there are too many ends for exact borders.
    pub step: u64,
    /// How far ahead precision is of use.
    pub window: u64,
}

impl Grid {
    /// Exact, however many ends there are.
    pub const EXACT: Self = Self { budget: usize::MAX, step: 1, window: u64::MAX };

    /// The beginnings of the slots: `now`, and then the exact ends where half the budget holds
    /// them all, so that the other half is left for the ends of bookings. Else slots of one step
    /// for sixty of them, then ever longer ones, up to the window.
    pub(super) fn borders(&self, now: u64, ends: impl Iterator<Item = u64>) -> Vec<u64> {
        let mut borders = vec![now];
        borders.extend(ends.filter(|end| *end > now));
        borders.dedup();
        let coarse = self.coarse(now);
        if borders.len() + coarse.len() > self.budget / 2 {
            borders = vec![now];
            borders.extend(self.graded(now));
        }
        borders.extend(coarse);
        borders.sort_unstable();
        borders.dedup();
        borders
    }

    fn graded(&self, now: u64) -> impl Iterator<Item = u64> {
        let (step, window) = (self.step, now.saturating_add(self.window));
        let mut at = now;
        std::iter::from_fn(move || {
            let steps = match (at - now) / step {
                ..60 => 1,
                60..240 => 5,
                240..1_440 => 15,
                1_440.. => 60,
            };
            at = at.saturating_add(steps * step);
            (at <= window).then_some(at)
        })
    }

    /// Doubling lengths of time, so that even the end of something very long is rounded to some
    /// border. An exact grid needs none.
    fn coarse(&self, now: u64) -> Vec<u64> {
        if self.budget == usize::MAX {
            return vec![];
        }
        let doubled = (6..20).map(|power| (1_u64 << power).saturating_mul(self.step));
        doubled.map(|length| now.saturating_add(length)).collect()
    }
}
