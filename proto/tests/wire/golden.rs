//! One encoded entry of every kind of event ever released, and of one that holds a refusal.
//!
//! A file, once released, is never changed: `UPDATE_GOLDEN=1` only writes those that are missing.

use std::{collections::BTreeMap, env, fs, path::PathBuf};

use common::machine::Entry;
use proto::convert::{decode_batch, encode_batch};

use crate::{
    refusals::refused,
    samples::{entry, events, kind},
};

/// Each sample under the name of its file.
fn samples() -> BTreeMap<String, Entry> {
    let mut counts: BTreeMap<&str, u32> = BTreeMap::new();
    let named = |event| {
        let count = counts.entry(kind(&event)).or_default();
        *count += 1;
        (format!("{}_{count}", kind(&event)), entry(event))
    };
    let mut all: BTreeMap<String, Entry> = events().into_iter().map(named).collect();
    all.insert("refused_1".to_owned(), refused());
    all
}

pub(crate) fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden")
}

/// The bytes of a golden file. Where it is missing, `fresh` is written if the environment says so.
pub(crate) fn golden(name: &str, fresh: &[u8]) -> Vec<u8> {
    let path = folder().join(format!("{name}.bin"));
    if !path.exists() && env::var_os("UPDATE_GOLDEN").is_some() {
        fs::write(&path, fresh).expect("the golden file can be written");
    }
    fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

#[test]
fn every_kind_ever_released_decodes_to_what_it_meant() {
    for (name, sample) in samples() {
        let fresh = encode_batch(std::slice::from_ref(&sample));
        let released = golden(&name, &fresh);
        let decoded = decode_batch(released.clone().into()).expect("it decodes for ever");
        assert_eq!(decoded, [sample], "{name} means something else");
        assert_eq!(released, fresh, "{name} would be written in another way");
    }
}

#[test]
fn no_golden_file_is_forgotten() {
    let mut known: Vec<String> = samples().into_keys().map(|name| format!("{name}.bin")).collect();
    known.push("story.bin".to_owned());
    for file in fs::read_dir(folder()).expect("the folder is there") {
        let name = file.expect("an entry").file_name().into_string().expect("UTF-8");
        assert!(known.contains(&name), "{name} is decoded by no test");
    }
}
