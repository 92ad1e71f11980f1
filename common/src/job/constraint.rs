//! What a job asks of the features of its nodes: the language of `sbatch --constraint`.
//!
//! ```text
//! intel&gpu            each node has both; a comma says the same
//! a|b&c                from left to right: (a or b) and c
//! a&(b|c)              what is in parentheses is one
//! [rack1|rack2]        all nodes are of the same one of these
//! gpu*2                at least two nodes have it
//! gpu*1&fast*2         at least one has the first, and at least two the second
//! [big*1&small*3]      nodes of these alone: one of the first, three others of the second
//! c&[rack1|rack2]      each node has c, and all are of the same rack
//! ```
//!
//! Source: sbatch(1), `--constraint`, and what real Slurm was seen to take and to refuse.

use std::{cmp::Reverse, iter::Peekable, str::Chars};

/// What is asked of the features of a job's nodes: all of it. By default, nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Constraint {
    /// As it was asked for, with `&` for each comma, which is what is shown.
    pub text: String,
    /// Of each node.
    pub every: Option<Features>,
    /// All nodes satisfy the same one of these; empty: nothing of the kind.
    pub same: Vec<Features>,
    /// So many nodes at least for each of these.
    pub counts: Vec<(Features, u32)>,
    /// They stood in brackets together: each node is of one of them, and counts for one alone.
    pub apart: bool,
}

/// What one node is to have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Features {
    One(String),
    /// What follows is applied to the first in order: `a|b&c` is a or b, and c.
    Chain {
        first: Box<Features>,
        rest: Vec<(Join, Features)>,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Join {
    And,
    Or,
}

/// It is no such expression. In Slurm's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("Invalid feature specification")]
pub struct ConstraintError;

impl Constraint {
    /// Asks for nothing.
    pub const NONE: Self =
        Self { text: String::new(), every: None, same: vec![], counts: vec![], apart: false };

    /// # Errors
    /// Where it is no such expression. Slurm takes some more, of which it does not say what they
    /// mean: counts that are alternatives of each other, for one.
    pub fn parse(text: &str) -> Result<Self, ConstraintError> {
        let mut reader = Reader { letters: text.trim().chars().peekable() };
        let mut whole = Self { text: text.trim().replace(',', "&"), ..Self::default() };
        let mut alone = false;
        let mut join = None;
        loop {
            let term = reader.term()?;
            // What is asked of several nodes together is no alternative to anything.
            let together = !matches!(term, Term::Plain(_));
            if join == Some(Join::Or) && (together || alone) {
                return Err(ConstraintError);
            }
            alone = together;
            whole.add(join, term)?;
            join = reader.join();
            if join.is_none() {
                return reader.letters.next().map_or(Ok(whole), |_| Err(ConstraintError));
            }
        }
    }

    fn add(&mut self, join: Option<Join>, term: Term) -> Result<(), ConstraintError> {
        match term {
            Term::Plain(features) => {
                self.every = Some(match self.every.take() {
                    Some(before) => before.then(join.unwrap_or(Join::And), features),
                    None => features,
                });
            }
            Term::Same(same) if self.same.is_empty() => self.same = same,
            Term::Same(_) => return Err(ConstraintError),
            // What several counts mean where some of them stand in brackets, Slurm does not say.
            Term::Counts(counts) => {
                let several = counts.len() > 1;
                if self.apart || several && !self.counts.is_empty() {
                    return Err(ConstraintError);
                }
                self.apart = several;
                self.counts.extend(counts);
            }
        }
        Ok(())
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.every.is_none() && self.same.is_empty() && self.counts.is_empty()
    }

    /// How many nodes it takes at least to have all that it counts.
    #[must_use]
    pub fn least_nodes(&self) -> u32 {
        let counts = self.counts.iter().map(|(_, count)| *count);
        if self.apart { counts.fold(0, u32::saturating_add) } else { counts.max().unwrap_or(0) }
    }

    /// Whether the job may have a node, one of its alternatives being chosen. `has` says of a
    /// feature whether the node has it.
    pub fn admits(&self, alternative: Option<&Features>, has: &impl Fn(&str) -> bool) -> bool {
        self.every.iter().chain(alternative).all(|features| features.met(has))
            && (!self.apart || self.counts.iter().any(|(features, _)| features.met(has)))
    }

    /// What all nodes may have alike: one after the other, or nothing in particular.
    pub fn alternatives(&self) -> impl Iterator<Item = Option<&Features>> {
        let any = self.same.is_empty().then_some(None);
        self.same.iter().map(Some).chain(any)
    }

    /// Each feature that it names.
    #[must_use]
    pub fn names(&self) -> Vec<&str> {
        let mut names = vec![];
        let counted = self.counts.iter().map(|(features, _)| features);
        for features in self.every.iter().chain(&self.same).chain(counted) {
            features.collect(&mut names);
        }
        names
    }
}

impl Features {
    /// Whether a node has what is asked for. `has` says it of one feature.
    pub fn met(&self, has: &impl Fn(&str) -> bool) -> bool {
        match self {
            Self::One(name) => has(name),
            Self::Chain { first, rest } => {
                rest.iter().fold(first.met(has), |met, (join, features)| match join {
                    Join::And => met && features.met(has),
                    Join::Or => met || features.met(has),
                })
            }
        }
    }

    /// The chain that goes on with `next`.
    fn then(self, join: Join, next: Self) -> Self {
        match self {
            Self::Chain { first, mut rest } => {
                rest.push((join, next));
                Self::Chain { first, rest }
            }
            Self::One(_) => Self::Chain { first: Box::new(self), rest: vec![(join, next)] },
        }
    }

    fn collect<'a>(&'a self, names: &mut Vec<&'a str>) {
        match self {
            Self::One(name) => names.push(name),
            Self::Chain { first, rest } => {
                first.collect(names);
                rest.iter().for_each(|(_, features)| features.collect(names));
            }
        }
    }
}

/// What stands between two joins.
enum Term {
    Plain(Features),
    Same(Vec<Features>),
    Counts(Vec<(Features, u32)>),
}

struct Reader<'a> {
    letters: Peekable<Chars<'a>>,
}

impl Reader<'_> {
    fn join(&mut self) -> Option<Join> {
        let join = match self.letters.peek()? {
            '&' | ',' => Join::And,
            '|' => Join::Or,
            _ => return None,
        };
        self.letters.next();
        Some(join)
    }

    fn term(&mut self) -> Result<Term, ConstraintError> {
        if self.letters.next_if_eq(&'[').is_some() {
            let within = self.within()?;
            self.letters.next_if_eq(&']').ok_or(ConstraintError)?;
            return Ok(within);
        }
        Ok(match self.counted()? {
            (features, None) => Term::Plain(features),
            (features, Some(count)) => Term::Counts(vec![(features, count)]),
        })
    }

    /// What stands in brackets: alternatives, or counts.
    fn within(&mut self) -> Result<Term, ConstraintError> {
        let (first, count) = self.counted()?;
        let Some(count) = count else {
            let mut same = vec![first];
            while self.letters.next_if_eq(&'|').is_some() {
                same.push(self.features()?);
            }
            return Ok(Term::Same(same));
        };
        let mut counts = vec![(first, count)];
        while self.letters.next_if_eq(&'&').is_some() {
            let (features, count) = self.counted()?;
            counts.push((features, count.ok_or(ConstraintError)?));
        }
        Ok(Term::Counts(counts))
    }

    fn counted(&mut self) -> Result<(Features, Option<u32>), ConstraintError> {
        let features = self.features()?;
        if self.letters.next_if_eq(&'*').is_none() {
            return Ok((features, None));
        }
        let digits = self.word(|letter| letter.is_ascii_digit());
        let count = digits.parse().ok().filter(|count| *count > 0).ok_or(ConstraintError)?;
        Ok((features, Some(count)))
    }

    /// A name, or names in parentheses, which are not nested.
    fn features(&mut self) -> Result<Features, ConstraintError> {
        if self.letters.next_if_eq(&'(').is_none() {
            return self.name();
        }
        let mut features = self.name()?;
        while let Some(join) = self.join() {
            features = features.then(join, self.name()?);
        }
        self.letters.next_if_eq(&')').map_or(Err(ConstraintError), |_| Ok(features))
    }

    fn name(&mut self) -> Result<Features, ConstraintError> {
        let name = self.word(|letter| !"&|,*()[]\"'!".contains(letter) && !letter.is_whitespace());
        if name.is_empty() { Err(ConstraintError) } else { Ok(Features::One(name)) }
    }

    fn word(&mut self, is: impl Fn(char) -> bool) -> String {
        std::iter::from_fn(|| self.letters.next_if(|letter| is(*letter))).collect()
    }
}

/// The nodes that are taken so that all is there that is counted; none where they do not suffice.
/// `has` says of a count and a node, by their numbers, whether the node has what is counted.
/// Earlier nodes are taken first. Unless the counts are `apart`, a node counts for all that it has,
/// and those come first that have most of what is still missing.
pub fn assign(
    counts: &[u32],
    apart: bool,
    nodes: usize,
    has: &impl Fn(usize, usize) -> bool,
) -> Option<Vec<usize>> {
    if !apart {
        return cover(counts.to_vec(), nodes, has);
    }
    let mut taken = vec![None; nodes];
    for (thing, count) in counts.iter().enumerate() {
        for _ in 0..*count {
            let mut asked = vec![false; counts.len()];
            if !give(thing, &mut taken, &mut asked, has) {
                return None;
            }
        }
    }
    Some((0..nodes).filter(|node| taken[*node].is_some()).collect())
}

fn cover(
    mut missing: Vec<u32>,
    nodes: usize,
    has: &impl Fn(usize, usize) -> bool,
) -> Option<Vec<usize>> {
    let mut left: Vec<usize> = (0..nodes).collect();
    let mut taken = Vec::new();
    while missing.iter().any(|count| *count > 0) {
        let wanted = |node: usize| {
            let things = missing.iter().enumerate().filter(|(_, count)| **count > 0);
            things.filter(|(thing, _)| has(*thing, node)).count()
        };
        let best = left.iter().enumerate().max_by_key(|(at, node)| (wanted(**node), Reverse(*at)));
        let (at, node) = best.filter(|(_, node)| wanted(**node) > 0)?;
        let node = *node;
        for (thing, count) in missing.iter_mut().enumerate() {
            if has(thing, node) {
                *count = count.saturating_sub(1);
            }
        }
        left.remove(at);
        taken.push(node);
    }
    taken.sort_unstable();
    Some(taken)
}

/// Finds one more node for the thing: a free one, or one whose thing finds another (an augmenting
/// path, as for matchings in bipartite graphs).
fn give(
    thing: usize,
    taken: &mut [Option<usize>],
    asked: &mut [bool],
    has: &impl Fn(usize, usize) -> bool,
) -> bool {
    asked[thing] = true;
    let free = (0..taken.len()).find(|node| taken[*node].is_none() && has(thing, *node));
    if let Some(node) = free {
        taken[node] = Some(thing);
        return true;
    }
    for node in 0..taken.len() {
        if let Some(other) = taken[node]
            && !asked[other]
            && has(thing, node)
            && give(other, taken, asked, has)
        {
            taken[node] = Some(thing);
            return true;
        }
    }
    false
}
