//! What a plan is made of, as a file: `rafter sched dump`.
//!
//! A first line for people and `file(1)`, and then records, each behind its length: a header, those
//! of the state, and a foot that says what they come to.

use bytes::{Bytes, BytesMut};
use common::{id::ContentHash, machine::State, time::Timestamp};
use prost::Message as _;

use super::{StateReader, need, state_digest, state_records};
use crate::{
    Invalid,
    plan::{InputFoot, InputHeader, InputRecord, input_record::Kind},
};

/// The first line.
const TITLE: &[u8] = b"rafter plan 1\n";

/// About how long a part is, in bytes.
const PART: usize = 64 << 10;

/// What a plan is made of.
#[derive(Clone, Debug)]
pub struct Inputs {
    pub state: State,
    pub now: Timestamp,
    /// Which release of Rafter wrote it.
    pub release: String,
}

/// Why a file can't be planned.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InputsError {
    #[error("not a file of `rafter sched dump`")]
    Foreign,
    #[error("the file is cut short")]
    Cut,
    #[error("the file is damaged")]
    Damaged,
    #[error("the file holds what this release does not understand")]
    Invalid(#[source] Invalid),
}

/// The file in parts, each made when it is asked for.
pub fn input_parts<'a>(
    state: &'a State,
    now: Timestamp,
    release: &str,
) -> impl Iterator<Item = Bytes> + use<'a> {
    let header = InputHeader { now: now.0, release: release.to_owned() };
    let told = header.clone();
    let foot = move || InputFoot { digest: digest(&told, state).0.to_vec().into() };
    let mut records = std::iter::once(Kind::Header(header))
        .chain(state_records(state).map(Kind::State))
        .chain(std::iter::once_with(move || Kind::Foot(foot())));
    let mut part = BytesMut::from(TITLE);
    std::iter::from_fn(move || {
        while part.len() < PART
            && let Some(kind) = records.next()
        {
            let record = InputRecord { kind: Some(kind) };
            record.encode_length_delimited(&mut part).expect("the buffer grows as it must");
        }
        (!part.is_empty()).then(|| part.split().freeze())
    })
}

/// Reads such a file.
///
/// # Errors
/// Where it is none, is not whole, or says what this release does not understand.
pub fn read_inputs(file: &Bytes) -> Result<Inputs, InputsError> {
    if !file.starts_with(TITLE) {
        return Err(InputsError::Foreign);
    }
    let mut rest = file.slice(TITLE.len()..);
    let mut reader = StateReader::default();
    let mut header = None;
    loop {
        match record(&mut rest)? {
            Kind::Header(told) => header = Some(told),
            Kind::State(record) => reader.take(record).map_err(InputsError::Invalid)?,
            Kind::Foot(InputFoot { digest }) => {
                let header = need(header, "header").map_err(InputsError::Invalid)?;
                let state = reader.finish().map_err(InputsError::Invalid)?;
                if digest.as_ref() != self::digest(&header, &state).0 || !rest.is_empty() {
                    return Err(InputsError::Damaged);
                }
                let InputHeader { now, release } = header;
                return Ok(Inputs { state, now: Timestamp(now), release });
            }
        }
    }
}

/// What all records before the foot come to.
fn digest(header: &InputHeader, state: &State) -> ContentHash {
    let mut bytes = state_digest(state).0.to_vec();
    bytes.extend(header.encode_to_vec());
    ContentHash::of(&bytes)
}

fn record(rest: &mut Bytes) -> Result<Kind, InputsError> {
    // A length is a number of at most ten bytes: where it is damaged, the record is.
    let length = prost::decode_length_delimiter(rest.clone());
    let length = length
        .map_err(|_| if rest.len() < 10 { InputsError::Cut } else { InputsError::Damaged })?;
    let whole = prost::length_delimiter_len(length).saturating_add(length);
    if whole > rest.len() {
        return Err(InputsError::Cut);
    }
    let record = InputRecord::decode_length_delimited(rest.split_to(whole));
    let record = record.map_err(|_| InputsError::Damaged)?;
    need(record.kind, "kind").map_err(InputsError::Invalid)
}
