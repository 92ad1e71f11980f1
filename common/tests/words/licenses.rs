//! Licenses, as `sbatch --licenses` takes them.

use common::job::{LicenseError, Licenses};
use proptest::prelude::*;

/// As tried with real Slurm 22.05.
#[test]
fn lists_are_read_as_slurm_reads_them() {
    let counts = |text: &str| {
        let read = Licenses::parse(text)?;
        assert_eq!(read.text, text, "it is shown as it was written");
        Ok(read.counts)
    };
    let all = |all: &[(&str, u32)]| {
        Ok(all.iter().map(|(name, count)| ((*name).to_owned(), *count)).collect::<Vec<_>>())
    };
    assert_eq!(counts("matlab"), all(&[("matlab", 1)]));
    assert_eq!(counts("matlab:2,ansys:2,matlab:1"), all(&[("ansys", 2), ("matlab", 3)]));
    assert_eq!(counts("matlab:2;ansys:2"), all(&[("ansys", 2), ("matlab", 2)]));
    assert_eq!(counts(",matlab:1"), all(&[("matlab", 1)]));
    for nothing in ["", "matlab:0"] {
        assert_eq!(counts(nothing), all(&[]));
    }
    for wrong in ["matlab=2", "matlab:x", "matlab:1k", "matlab*2", "matlab:-1", "matlab:2:1", ":2"]
    {
        assert_eq!(counts(wrong), Err(LicenseError::Malformed), "{wrong}");
    }
    assert_eq!(counts("matlab:4294967295,matlab:1"), Err(LicenseError::Malformed));
    assert_eq!(counts("matlab|ansys"), Err(LicenseError::Alternatives));
}

proptest! {
    /// What was read is sorted, and says the same when it is written again.
    #[test]
    fn any_text_is_read_or_refused(text in "[a-c:;,|0-9 ]{0,12}") {
        let Ok(read) = Licenses::parse(&text) else { return Ok(()) };
        let items: Vec<String> =
            read.counts.iter().map(|(name, count)| format!("{name}:{count}")).collect();
        let again = Licenses::parse(&items.join(",")).expect("it was written so");
        prop_assert_eq!(&again.counts, &read.counts);
        prop_assert!(read.counts.is_sorted_by(|one, other| one.0 < other.0));
        prop_assert!(read.counts.iter().all(|(_, count)| *count > 0));
    }
}
