//! What a job asks for of generic resources.

use super::GPU;

/// So much of one kind.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Wanted {
    pub name: String,
    /// None: of any type.
    pub kind: Option<String>,
    pub count: u64,
}

/// By its options of sbatch(1).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GresRequest {
    /// `--gres`: on each node.
    pub per_node: Vec<Wanted>,
    /// `--gpus-per-node`
    pub gpus_per_node: Vec<Wanted>,
    /// `--gpus`: on all nodes together, at least one on each.
    pub gpus: Vec<Wanted>,
    /// `--gpus-per-task`
    pub gpus_per_task: Vec<Wanted>,
    /// `--cpus-per-gpu`
    pub cpus_per_gpu: Option<u32>,
    /// `--mem-per-gpu`, in MiB.
    pub memory_per_gpu: Option<u64>,
}

/// Why a text says nothing of generic resources, in Slurm's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GresError {
    #[error("Invalid generic resource (gres) specification")]
    Malformed,
    #[error("Invalid GRES specification (with and without type identification)")]
    Mixed,
}

/// A number, or one with a binary unit: `10K`.
#[must_use]
pub fn parse_count(text: &str) -> Option<u64> {
    let digits = text.trim_end_matches(|last: char| last.is_ascii_alphabetic());
    let power = match text[digits.len()..].to_ascii_uppercase().as_str() {
        "" => 0,
        "K" => 1,
        "M" => 2,
        "G" => 3,
        "T" => 4,
        "P" => 5,
        _ => return None,
    };
    let number = digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| digits.parse::<u64>());
    number?.ok()?.checked_mul(1 << (10 * power))
}

fn is_word(text: &str) -> bool {
    let valid = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    !text.is_empty() && text.len() <= 64 && text.bytes().all(valid)
}

impl Wanted {
    /// `name[:type][:count]`; what could be a count is one.
    fn parse(text: &str) -> Result<Self, GresError> {
        let mut parts = text.split(':');
        let name = parts.next().filter(|name| is_word(name)).ok_or(GresError::Malformed)?;
        let rest: Vec<&str> = parts.collect();
        let count = |text: &str| parse_count(text).ok_or(GresError::Malformed);
        let (kind, count) = match rest[..] {
            [] => (None, 1),
            [one] => match parse_count(one) {
                Some(count) => (None, count),
                None => (Some(one), 1),
            },
            [kind, number] => (Some(kind), count(number)?),
            [..] => return Err(GresError::Malformed),
        };
        if kind.is_some_and(|kind| !is_word(kind)) {
            return Err(GresError::Malformed);
        }
        Ok(Self { name: name.to_owned(), kind: kind.map(str::to_owned), count })
    }

    /// A list of `--gres`; empty for `none`.
    ///
    /// # Errors
    /// Where it is none: a kind stands twice, or with a type and without.
    pub fn parse_list(text: &str) -> Result<Vec<Self>, GresError> {
        if text.eq_ignore_ascii_case("none") {
            return Ok(vec![]);
        }
        let one = |text: &str| {
            let text = text.trim();
            let bare = text.strip_prefix("gres/").or_else(|| text.strip_prefix("gres:"));
            Self::parse(bare.unwrap_or(text))
        };
        consistent(text.split(',').map(one).collect::<Result<_, _>>()?)
    }

    /// A list of `--gpus` and the like: `2`, `a100:2`.
    ///
    /// # Errors
    /// As [`Wanted::parse_list`].
    pub fn parse_gpus(text: &str) -> Result<Vec<Self>, GresError> {
        let one = |text: &str| Self::parse(&format!("{GPU}:{}", text.trim()));
        consistent(text.split(',').map(one).collect::<Result<_, _>>()?)
    }

    /// As `--gres` takes it, with a mark before the count.
    #[must_use]
    pub fn text(&self, mark: char) -> String {
        format!("{}{mark}{}", super::label(&self.name, self.kind.as_deref()), self.count)
    }
}

/// What asks for nothing is left out. Slurm takes no mixture of a type and any type.
fn consistent(mut list: Vec<Wanted>) -> Result<Vec<Wanted>, GresError> {
    for (at, one) in list.iter().enumerate() {
        for other in list[..at].iter().filter(|other| other.name == one.name) {
            if one.kind == other.kind {
                return Err(GresError::Malformed);
            }
            if one.kind.is_none() || other.kind.is_none() {
                return Err(GresError::Mixed);
            }
        }
    }
    list.retain(|wanted| wanted.count > 0);
    Ok(list)
}

/// How many GPUs that is.
fn gpus(list: &[Wanted]) -> u64 {
    let gpus = list.iter().filter(|wanted| wanted.name == GPU);
    gpus.fold(0, |sum, wanted| sum.saturating_add(wanted.count))
}

impl GresRequest {
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.lists().all(<[Wanted]>::is_empty)
    }

    fn lists(&self) -> impl Iterator<Item = &[Wanted]> {
        [&self.per_node, &self.gpus_per_node, &self.gpus, &self.gpus_per_task]
            .into_iter()
            .map(Vec::as_slice)
    }

    /// Everything that is asked for, however it is counted.
    pub fn all(&self) -> impl Iterator<Item = &Wanted> {
        self.lists().flatten()
    }

    /// What each node is to have.
    pub fn of_node(&self) -> impl Iterator<Item = &Wanted> {
        self.per_node.iter().chain(&self.gpus_per_node)
    }

    /// GPUs on each node, where their number is asked for by node.
    #[must_use]
    pub fn node_gpus(&self) -> u64 {
        gpus(&self.per_node).saturating_add(gpus(&self.gpus_per_node))
    }

    /// GPUs of all nodes together, where their number is asked for so.
    #[must_use]
    pub fn job_gpus(&self) -> u64 {
        gpus(&self.gpus)
    }

    #[must_use]
    pub fn task_gpus(&self) -> u64 {
        gpus(&self.gpus_per_task)
    }

    /// Whether each list makes sense by itself.
    ///
    /// # Errors
    /// Where one does not.
    pub fn check(&self) -> Result<(), GresError> {
        for list in self.lists() {
            if consistent(list.to_vec())?.len() < list.len() {
                return Err(GresError::Malformed);
            }
        }
        let of_gpus = [&self.gpus_per_node, &self.gpus, &self.gpus_per_task];
        let others = of_gpus.into_iter().flatten().any(|wanted| wanted.name != GPU);
        if others { Err(GresError::Malformed) } else { Ok(()) }
    }
}
