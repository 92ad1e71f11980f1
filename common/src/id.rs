//! Names and numbers that identify things, each with a type of its own.

use std::{fmt, str::FromStr, sync::Arc};

macro_rules! number {
    ($(#[$doc:meta])* $name:ident, $inner:ty) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub $inner);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

number!(
    /// A job's number. Given once, in rising order, and never again.
    JobId, u32
);
number!(
    /// Which run of a job: the first is 1, and a requeue makes the next. Reports and orders carry
    /// it, so that what concerns an earlier run can't touch a later one.
    Attempt, u32
);
number!(
    /// Raft's term: each leader has one of its own, and a later leader has a greater one.
    Term, u64
);
number!(
    /// A user's number, as the kernel knows it.
    UserId, u32
);
number!(
    /// A group's number, as the kernel knows it.
    GroupId, u32
);
number!(
    /// Which life of a node's spool directory: drawn at random when the directory is made. A node
    /// that comes back with another one has forgotten what it ran.
    Incarnation, u64
);

impl Attempt {
    pub const FIRST: Self = Self(1);

    #[must_use]
    pub fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

impl UserId {
    pub const ROOT: Self = Self(0);
}

macro_rules! hex {
    ($(#[$doc:meta])* $name:ident, $len:expr) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub [u8; $len]);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        impl FromStr for $name {
            type Err = NotHex;

            fn from_str(text: &str) -> Result<Self, NotHex> {
                let digits = text.as_bytes();
                if digits.len() != 2 * $len {
                    return Err(NotHex { digits: 2 * $len });
                }
                let mut bytes = [0; $len];
                for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
                    let value = |digit: u8| char::from(digit).to_digit(16);
                    let (Some(high), Some(low)) = (value(pair[0]), value(pair[1])) else {
                        return Err(NotHex { digits: 2 * $len });
                    };
                    *byte = u8::try_from(high * 16 + low).expect("two hexadecimal digits");
                }
                Ok(Self(bytes))
            }
        }
    };
}

hex!(
    /// Which cluster: drawn at random by `rafter init`, and in every certificate.
    ClusterId, 16
);
hex!(
    /// Which request: drawn at random by the client, and kept over its retries.
    RequestId, 16
);
hex!(
    /// SHA-256 of a batch script, an environment, or a token's secret.
    ContentHash, 32
);

impl ContentHash {
    #[must_use]
    pub fn of(content: &[u8]) -> Self {
        use sha2::Digest as _;
        Self(sha2::Sha256::digest(content).into())
    }
}

/// The text is not the expected number of hexadecimal digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected {digits} hexadecimal digits")]
pub struct NotHex {
    pub digits: usize,
}

macro_rules! name {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Arc<str>);

        impl $name {
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl From<&str> for $name {
            fn from(text: &str) -> Self {
                Self(text.into())
            }
        }

        impl From<String> for $name {
            fn from(text: String) -> Self {
                Self(text.into())
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }
    };
}

name!(
    /// A node's name, as `NodeName=` has it.
    NodeName
);
name!(
    /// A partition's name, as `PartitionName=` has it. A job that waits may have several, with
    /// commas between them (`sbatch -p`), as in Slurm.
    PartitionName
);

impl PartitionName {
    /// Each of its names.
    pub fn each(&self) -> impl Iterator<Item = &str> {
        self.as_str().split(',')
    }

    #[must_use]
    pub fn is_several(&self) -> bool {
        self.as_str().contains(',')
    }

    /// The first of its names.
    #[must_use]
    pub fn first(&self) -> &str {
        self.each().next().unwrap_or_default()
    }
}
name!(
    /// A controller's name, as `SlurmctldHost=` has it.
    ControllerName
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hexadecimal_ids_print_and_parse() {
        let id = RequestId([0xA5; 16]);
        assert_eq!(id.to_string(), "a5".repeat(16));
        assert_eq!(id.to_string().parse(), Ok(id));
        assert_eq!("a5".parse::<RequestId>(), Err(NotHex { digits: 32 }));
        assert_eq!("+1".repeat(16).parse::<RequestId>(), Err(NotHex { digits: 32 }));
    }

    /// FIPS 180-2, appendix B.1.
    #[test]
    fn content_hash_is_sha_256() {
        assert_eq!(
            ContentHash::of(b"abc").to_string(),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
    }
}
