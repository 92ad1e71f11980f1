//! Trackable resources, as limits name them.

use std::{collections::BTreeMap, fmt};

use crate::size;

/// What a limit counts.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Tres {
    Cpu,
    /// In MiB.
    Mem,
    Node,
    /// `gres/gpu`, or `gres/gpu:a100` for those of one type.
    Gres(String),
}

/// How much of each; what is not named is not limited.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TresLimits(pub BTreeMap<Tres, u64>);

/// A text that is no list of resources and amounts.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TresError {
    #[error("cpu=N, mem=N, node=N and gres/NAME=N are wanted, with commas between them")]
    Form,
    /// One of Slurm's that is not counted here.
    #[error("{0} is not counted here")]
    Uncounted(String),
    #[error("{0} stands twice")]
    Twice(String),
}

impl Tres {
    /// # Errors
    /// Where it is none that is counted.
    pub fn parse(text: &str) -> Result<Self, TresError> {
        let lower = text.to_ascii_lowercase();
        let gres = |name: &str| {
            let valid = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
            let mut parts = name.splitn(2, ':');
            parts.all(|part| !part.is_empty() && part.bytes().all(valid))
        };
        match lower.as_str() {
            "cpu" => Ok(Self::Cpu),
            "mem" => Ok(Self::Mem),
            "node" => Ok(Self::Node),
            "billing" | "energy" | "vmem" | "pages" => Err(TresError::Uncounted(lower)),
            _ => match lower.split_once('/') {
                Some(("gres", name)) if gres(name) => Ok(Self::Gres(name.to_owned())),
                Some(("license" | "bb" | "fs" | "ic", _)) => Err(TresError::Uncounted(lower)),
                Some(_) | None => Err(TresError::Form),
            },
        }
    }
}

impl fmt::Display for Tres {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cpu => f.write_str("cpu"),
            Self::Mem => f.write_str("mem"),
            Self::Node => f.write_str("node"),
            Self::Gres(name) => write!(f, "gres/{name}"),
        }
    }
}

impl TresLimits {
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Reads `cpu=4,mem=10G,gres/gpu=2`. An amount of -1 is no limit; memory is in MiB where no
    /// unit is given.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(text: &str) -> Result<Self, TresError> {
        let mut limits = BTreeMap::new();
        for part in text.split(',').filter(|part| !part.is_empty()) {
            let (name, amount) = part.split_once('=').ok_or(TresError::Form)?;
            let tres = Tres::parse(name)?;
            if amount == "-1" {
                continue;
            }
            let amount = match tres {
                Tres::Mem => size::parse_mib(amount).map_err(|_| TresError::Form)?,
                Tres::Cpu | Tres::Node | Tres::Gres(_) => {
                    let digits = amount.bytes().all(|byte| byte.is_ascii_digit());
                    amount.parse().ok().filter(|_| digits).ok_or(TresError::Form)?
                }
            };
            if limits.insert(tres, amount).is_some() {
                return Err(TresError::Twice(name.to_owned()));
            }
        }
        Ok(Self(limits))
    }
}

impl fmt::Display for TresLimits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, (tres, amount)) in self.0.iter().enumerate() {
            let comma = if at == 0 { "" } else { "," };
            write!(f, "{comma}{tres}={amount}")?;
        }
        Ok(())
    }
}
