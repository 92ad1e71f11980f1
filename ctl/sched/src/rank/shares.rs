//! How much of its share each association has used: a factor from 0 to 1, the higher the less.
//!
//! Fair Tree ranks all users: who is ahead in the tree is ahead. The older way weighs each by
//! itself, `2^(-used/share)`, with what its account has used spread over its members.

use common::account::{Accounts, Association, Fairshare};

/// The tree that shares are of: accounts with `Fairshare=parent` stand in nobody's way, and their
/// children are those of the account above.
struct Tree<'a> {
    all: &'a [Association],
    children: Vec<Vec<usize>>,
    /// Above which account each really stands; none above the root.
    above: Vec<Option<usize>>,
    /// Its part of what it and its siblings have of shares.
    share: Vec<f64>,
}

impl<'a> Tree<'a> {
    fn of(accounts: &'a Accounts) -> Self {
        let all = accounts.associations();
        let mut above: Vec<Option<usize>> = Vec::with_capacity(all.len());
        for one in all {
            // A parent stands before its children.
            let parent = one.parent.map(|parent| parent as usize);
            let passes = |at: &usize| *at > 0 && all[*at].fairshare == Fairshare::Parent;
            above.push(parent.map(|at| if passes(&at) { above[at].unwrap_or(0) } else { at }));
        }
        let mut children = vec![vec![]; all.len()];
        let mut sum = vec![0.0; all.len()];
        for (at, one) in all.iter().enumerate() {
            let Some(parent) = above[at] else { continue };
            if one.user.is_none() && one.fairshare == Fairshare::Parent {
                continue;
            }
            children[parent].push(at);
            sum[parent] += shares(one);
        }
        let share = |at: usize| match above[at] {
            Some(parent) if sum[parent] > 0.0 => shares(&all[at]) / sum[parent],
            Some(_) => 0.0,
            None => 1.0,
        };
        let share = (0..all.len()).map(share).collect();
        Self { all, children, above, share }
    }
}

fn shares(one: &Association) -> f64 {
    match one.fairshare {
        Fairshare::Shares(shares) => f64::from(shares),
        Fairshare::Parent => 0.0,
    }
}

/// How far an association has kept below its share of what its siblings have used together.
fn level(tree: &Tree<'_>, used: &[f64], at: usize) -> f64 {
    let one = &tree.all[at];
    if one.user.is_some() && one.fairshare == Fairshare::Parent {
        return f64::INFINITY;
    }
    if tree.share[at] == 0.0 {
        return 0.0;
    }
    let of_all = tree.above[at].map_or(used[at], |parent| used[parent]);
    let part = if of_all > 0.0 { used[at] / of_all } else { 0.0 };
    if part == 0.0 { f64::INFINITY } else { tree.share[at] / part }
}

/// The factors by Fair Tree, by the places of the associations: those of accounts are 0.
pub(super) fn fair_tree(accounts: &Accounts, used: &[f64]) -> Vec<f64> {
    let tree = Tree::of(accounts);
    let levels = (0..used.len()).map(|at| level(&tree, used, at)).collect();
    let users = tree.all.iter().filter(|one| one.user.is_some()).count();
    let mut walk = Walk { tree, levels, next: users, last: users, ranks: vec![0; used.len()] };
    walk.go(walk.tree.children[0].clone(), false);
    #[expect(clippy::cast_precision_loss, reason = "there are not so many users")]
    let factor = |rank: &usize| *rank as f64 / users.max(1) as f64;
    walk.ranks.iter().map(factor).collect()
}

/// On its way through the tree, the best first.
struct Walk<'a> {
    tree: Tree<'a>,
    levels: Vec<f64>,
    /// The rank of the next user, and the one that was given last.
    next: usize,
    last: usize,
    ranks: Vec<usize>,
}

impl Walk<'_> {
    /// Ranks what is below. `tied`: the best of these is as good as who was ranked last.
    fn go(&mut self, mut siblings: Vec<usize>, tied: bool) {
        let is_account = |at: usize| self.tree.all[at].user.is_none();
        siblings.sort_by(|left, right| {
            let level = self.levels[*right].total_cmp(&self.levels[*left]);
            level.then(is_account(*left).cmp(&is_account(*right)))
        });
        let mut rest = siblings.as_slice();
        let mut before: Option<f64> = None;
        while let Some(&first) = rest.first() {
            let level = self.levels[first];
            let tied = before.map_or(tied, |before| before == level);
            before = Some(level);
            if self.tree.all[first].user.is_some() {
                if !tied {
                    self.last = self.next;
                }
                self.ranks[first] = self.last;
                self.next -= 1;
                rest = &rest[1..];
                continue;
            }
            // Accounts that are as good as each other stand together: their children are ranked
            // among each other.
            let equal = rest.iter().take_while(|at| self.levels[**at] == level).count();
            let children = rest[..equal].iter().flat_map(|at| self.tree.children[*at].clone());
            let children = children.collect();
            rest = &rest[equal..];
            self.go(children, tied);
        }
    }
}

/// The factors as they were before Fair Tree, with `FairShareDampeningFactor`.
pub(super) fn classic(accounts: &Accounts, used: &[f64], dampening: f64) -> Vec<f64> {
    let tree = Tree::of(accounts);
    let of_all = used.first().copied().unwrap_or(0.0);
    // Of the whole cluster: its share, and what counts as used by it.
    let mut share: Vec<f64> = vec![1.0; used.len()];
    let mut effective: Vec<f64> = vec![1.0; used.len()];
    let mut factors = vec![0.0; used.len()];
    for at in 1..used.len() {
        let parent = tree.above[at].unwrap_or(0);
        let own = if of_all > 0.0 { used[at] / of_all } else { 0.0 };
        if tree.all[at].fairshare == Fairshare::Parent {
            (share[at], effective[at]) = (share[parent], effective[parent]);
        } else {
            share[at] = share[parent] * tree.share[at];
            effective[at] = match parent {
                0 => own,
                _ => own + (effective[parent] - own) * tree.share[at],
            };
        }
        factors[at] = match share[at] {
            0.0 => 0.0,
            share => (-(effective[at] / share) / dampening).exp2(),
        };
    }
    factors
}

#[cfg(test)]
mod tests {
    use common::account::parse;

    use super::*;

    fn table(lines: &str) -> Accounts {
        parse(&format!("Cluster - 'test'\n{lines}")).expect("a sound table").accounts
    }

    /// What all have used with those below them, where this is what users have used.
    fn used(accounts: &Accounts, of_users: &[(&str, f64)]) -> Vec<f64> {
        let all = accounts.associations();
        let of = |one: &Association| {
            let user = one.user.as_deref();
            let known = of_users.iter().find(|(name, _)| Some(*name) == user);
            known.map_or(0.0, |(_, used)| *used)
        };
        let mut used: Vec<f64> = all.iter().map(of).collect();
        for at in (1..all.len()).rev() {
            used[all[at].parent.unwrap_or(0) as usize] += used[at];
        }
        used
    }

    fn of_users(accounts: &Accounts, factors: &[f64]) -> Vec<(String, f64)> {
        let all = accounts.associations().iter().zip(factors);
        all.filter_map(|(one, factor)| Some((one.user.clone()?, *factor))).collect()
    }

    /// The example of Slurm's page on classic fair share.
    #[test]
    fn the_manuals_example_of_classic_shares() {
        let accounts = table(
            "Parent - 'root'\nAccount - 'a':Fairshare=40\nAccount - 'd':Fairshare=60\n\
             Parent - 'a'\nAccount - 'b':Fairshare=30\nAccount - 'c':Fairshare=10\n\
             Parent - 'b'\nUser - 'u1'\nParent - 'c'\nUser - 'u2'\nUser - 'u3'\n\
             Parent - 'd'\nAccount - 'e':Fairshare=25\nAccount - 'f':Fairshare=35\n\
             Parent - 'e'\nUser - 'u4'\nParent - 'f'\nUser - 'u5'\n",
        );
        // Users have used 0.2, 0.25, 0, 0.25 and 0; three tenths were used by others of the root.
        let mut used =
            used(&accounts, &[("u1", 0.2), ("u2", 0.25), ("u3", 0.0), ("u4", 0.25), ("u5", 0.0)]);
        used[0] = 1.0;
        let factors = of_users(&accounts, &classic(&accounts, &used, 1.0));
        let expected = [0.408_479, 0.022_097, 0.125_000, 0.500_000, 0.749_154];
        for ((user, factor), expected) in factors.iter().zip(expected) {
            assert!((factor - expected).abs() < 1e-6, "{user}: {factor}, not {expected}");
        }
    }

    /// A real cluster of Slurm's: `sshare -a` beside what its users had used.
    #[test]
    fn a_real_clusters_tree() {
        let accounts = table(
            "Parent - 'root'\nUser - 'root'\nAccount - 'proj':Fairshare=5\n\
             Parent - 'proj'\nUser - 'alice'\nUser - 'bob'\nUser - 'carol'\n",
        );
        let factors = fair_tree(&accounts, &used(&accounts, &[("alice", 683.0)]));
        let expected = [("root", 1.0), ("alice", 0.25), ("bob", 0.75), ("carol", 0.75)];
        assert_eq!(of_users(&accounts, &factors), expected.map(|(user, at)| (user.to_owned(), at)));
    }

    #[test]
    fn all_of_the_better_account_are_ahead() {
        let accounts = table(
            "Parent - 'root'\nAccount - 'a'\nAccount - 'b'\n\
             Parent - 'a'\nUser - 'heavy'\nUser - 'light'\nParent - 'b'\nUser - 'lone'\n",
        );
        let mine = [("heavy", 3.0), ("light", 0.0), ("lone", 4.0)];
        let factors = fair_tree(&accounts, &used(&accounts, &mine));
        let names = |factors: &[f64]| {
            let mut users = of_users(&accounts, factors);
            users.sort_by(|left, right| right.1.total_cmp(&left.1));
            users.into_iter().map(|(user, _)| user).collect::<Vec<_>>()
        };
        assert_eq!(names(&factors), ["light", "heavy", "lone"]);
        let mine = [("heavy", 3.0), ("light", 2.0), ("lone", 4.0)];
        let factors = fair_tree(&accounts, &used(&accounts, &mine));
        assert_eq!(names(&factors), ["lone", "light", "heavy"]);
    }

    #[test]
    fn accounts_that_are_as_good_rank_their_users_together() {
        let accounts = table(
            "Parent - 'root'\nAccount - 'a'\nAccount - 'b'\n\
             Parent - 'a'\nUser - 'a1':Fairshare=3\nUser - 'a2'\n\
             Parent - 'b'\nUser - 'b1':Fairshare=2\nUser - 'b2'\n",
        );
        let mine = [("a1", 1.0), ("a2", 1.0), ("b1", 1.0), ("b2", 1.0)];
        let factors = fair_tree(&accounts, &used(&accounts, &mine));
        let expected = [("a1", 1.0), ("a2", 0.25), ("b1", 0.75), ("b2", 0.5)];
        assert_eq!(of_users(&accounts, &factors), expected.map(|(user, at)| (user.to_owned(), at)));
    }

    #[test]
    fn a_user_as_good_as_an_account_shares_the_rank_of_its_best() {
        let accounts = table(
            "Parent - 'root'\nUser - 'idle'\nAccount - 'a'\nParent - 'a'\nUser - 'a1'\nUser - 'a2'\n",
        );
        let factors = fair_tree(&accounts, &used(&accounts, &[]));
        let all = of_users(&accounts, &factors);
        assert!(all.iter().all(|(_, factor)| *factor == 1.0), "{all:?}");
    }

    #[test]
    fn children_of_an_account_without_shares_of_its_own_are_its_parents() {
        let accounts = table(
            "Parent - 'root'\nAccount - 'a':Fairshare=parent\nAccount - 'b'\n\
             Parent - 'a'\nUser - 'a1'\nUser - 'a2':Fairshare=parent\nParent - 'b'\nUser - 'b1'\n",
        );
        // One of two shares, and a quarter of what was used: ahead of the account b.
        let mine = [("a1", 1.0), ("a2", 1.0), ("b1", 2.0)];
        let factors = fair_tree(&accounts, &used(&accounts, &mine));
        let all = of_users(&accounts, &factors);
        let expected = [("a1", 2.0 / 3.0), ("a2", 1.0), ("b1", 1.0 / 3.0)];
        assert_eq!(all, expected.map(|(user, at)| (user.to_owned(), at)));
    }
}
