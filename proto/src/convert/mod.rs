//! From the wire to the words of `common`, and back.

mod account;
mod allocated;
mod answered;
mod array;
mod asks;
mod batch;
mod config;
mod cpus;
mod dependency;
mod event;
mod gres;
mod het;
mod inputs;
mod job;
mod node;
mod preemption;
mod reservation;
mod spec;
mod state;
mod usage;
mod waiting;

pub use array::{task_runs, task_set};
pub use batch::{decode_batch, encode_batch};
pub use cpus::cpu_set;
pub use inputs::{Inputs, InputsError, input_parts, read_inputs};
pub use job::slim_job;
pub use state::{StateReader, state_digest, state_records};

/// A message that says nothing that `common` has a word for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Invalid {
    #[error("`{0}` is missing")]
    Missing(&'static str),
    #[error("`{0}` has a value that this release does not know")]
    Unknown(&'static str),
    #[error("`{0}` is out of range")]
    Range(&'static str),
    #[error("not a message of this kind")]
    Encoding(#[source] prost::DecodeError),
}

/// What a field holds, or the complaint that it holds nothing.
pub(crate) fn need<T>(field: Option<T>, name: &'static str) -> Result<T, Invalid> {
    field.ok_or(Invalid::Missing(name))
}

/// A fixed number of bytes.
pub(crate) fn exact<const N: usize>(bytes: &[u8], name: &'static str) -> Result<[u8; N], Invalid> {
    bytes.try_into().map_err(|_| Invalid::Range(name))
}

/// A small number that travels as a 32-bit one.
pub(crate) fn byte(value: u32, name: &'static str) -> Result<u8, Invalid> {
    u8::try_from(value).map_err(|_| Invalid::Range(name))
}

/// Both directions of an enumeration of ours; zero, and what is not listed, is refused.
macro_rules! enumeration {
    ($ours:ty, $wire:ty, $name:literal, { $($our:ident = $their:ident),+ $(,)? }) => {
        impl From<$ours> for $wire {
            fn from(ours: $ours) -> Self {
                match ours {
                    $(<$ours>::$our => Self::$their,)+
                }
            }
        }

        impl TryFrom<$wire> for $ours {
            type Error = $crate::Invalid;

            fn try_from(wire: $wire) -> Result<Self, $crate::Invalid> {
                match wire {
                    $(<$wire>::$their => Ok(Self::$our),)+
                    <$wire>::Unspecified => Err($crate::Invalid::Unknown($name)),
                }
            }
        }
    };
}
pub(crate) use enumeration;

/// An enumeration's value from its number on the wire.
pub(crate) fn listed<W, O>(value: i32, name: &'static str) -> Result<O, Invalid>
where
    W: TryFrom<i32>,
    O: TryFrom<W, Error = Invalid>,
{
    let wire = W::try_from(value).map_err(|_| Invalid::Unknown(name))?;
    O::try_from(wire)
}
