//! The environment that goes with a job (`--export`, `--export-file`).
//!
//! What Slurm says of the job itself (`SLURM_JOB_ID` and so on) the node adds; here is what only
//! the submitting process knows.

use std::io::{self, Read as _};

use super::complaint::Complaint;

/// A variable: its name, and its value. Neither need be UTF-8.
pub(super) type Variable = (Vec<u8>, Vec<u8>);

/// The longest file of an environment that is read, in bytes.
const MOST: u64 = 64 << 20;

/// What a job that submits another must not hand on: it tells of the job that submits, and where
/// the other one has no such thing, nobody would replace it.
const OF_THE_JOB: [&str; 22] = [
    "CUDA_VISIBLE_DEVICES",
    "GPU_DEVICE_ORDINAL",
    "ROCR_VISIBLE_DEVICES",
    "ZE_AFFINITY_MASK",
    "SLURM_ARRAY_",
    "SLURM_CPUS_",
    "SLURM_EXPORT_ENV",
    "SLURM_GPUS",
    "SLURM_GTIDS",
    "SLURM_JOB",
    "SLURM_LOCALID",
    "SLURM_MEM_",
    "SLURM_NNODES",
    "SLURM_NODEID",
    "SLURM_NODELIST",
    "SLURM_NPROCS",
    "SLURM_NTASKS",
    "SLURM_PROCID",
    "SLURM_RESTART_COUNT",
    "SLURM_STEP",
    "SLURM_TASK",
    "SLURM_TRES_PER_TASK",
];

/// Where a login shell finds programs, unless its files say otherwise.
const LOGIN_PATH: &str = "/usr/local/bin:/usr/bin:/bin";

/// Who submits, as a login would know him.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Login {
    pub(super) user: String,
    pub(super) home: String,
    pub(super) shell: String,
}

/// The job's variables, out of those of this process and what `--export` says.
pub(super) fn exported(
    mut own: Vec<Variable>,
    export: Option<&str>,
    login: &Login,
) -> Vec<Variable> {
    if own.iter().any(|(name, _)| name == b"SLURM_JOB_ID") {
        own.retain(|(name, _)| !OF_THE_JOB.iter().any(|of| name.starts_with(of.as_bytes())));
    }
    let slurm = |own: Vec<Variable>| -> Vec<Variable> {
        own.into_iter().filter(|(name, _)| name.starts_with(b"SLURM_")).collect()
    };
    let Some(export) = export else { return own };
    if export.eq_ignore_ascii_case("ALL") {
        return own;
    }
    if export.eq_ignore_ascii_case("NIL") {
        return slurm(own);
    }
    if export.eq_ignore_ascii_case("NONE") {
        // Slurm makes a login's environment on the node then. This is what each login has.
        let mut all = slurm(own);
        for (name, value) in [
            ("HOME", login.home.as_str()),
            ("LOGNAME", &login.user),
            ("PATH", LOGIN_PATH),
            ("SHELL", &login.shell),
            ("USER", &login.user),
        ] {
            set(&mut all, name, value);
        }
        return all;
    }
    let parts = split(export);
    let whole = parts.iter().any(|part| part.eq_ignore_ascii_case("ALL"));
    let mut all = if whole { own.clone() } else { slurm(own.clone()) };
    for part in parts.iter().filter(|part| !part.eq_ignore_ascii_case("ALL")) {
        match part.split_once('=') {
            Some((name, value)) => set(&mut all, name, value),
            None => {
                let found = own.iter().find(|(name, _)| name == part.as_bytes());
                if let Some((_, value)) = found.filter(|_| !whole) {
                    all.push((part.clone().into_bytes(), value.clone()));
                }
            }
        }
    }
    all
}

/// Sets a variable, in place of any that has the name.
pub(super) fn set(all: &mut Vec<Variable>, name: &str, value: &str) {
    let value = value.as_bytes().to_vec();
    match all.iter_mut().find(|(known, _)| known == name.as_bytes()) {
        Some((_, old)) => *old = value,
        None => all.push((name.as_bytes().to_vec(), value)),
    }
}

/// The parts between commas. Quotes keep a part together, and are taken away.
fn split(export: &str) -> Vec<String> {
    let (mut parts, mut part, mut quote) = (Vec::new(), String::new(), None);
    for letter in export.chars() {
        match (quote, letter) {
            (Some(open), close) if open == close => quote = None,
            (None, '\'' | '"') => quote = Some(letter),
            (None, ',') => parts.push(std::mem::take(&mut part)),
            (Some(_) | None, letter) => part.push(letter),
        }
    }
    parts.push(part);
    parts.retain(|part| !part.is_empty());
    parts
}

/// Each `NAME=value` followed by a NUL.
pub(super) fn encoded(variables: &[Variable]) -> Vec<u8> {
    let length = variables.iter().map(|(name, value)| name.len() + value.len() + 2).sum();
    let mut bytes = Vec::with_capacity(length);
    for (name, value) in variables {
        bytes.extend_from_slice(name);
        bytes.push(b'=');
        bytes.extend_from_slice(value);
        bytes.push(0);
    }
    bytes
}

/// Reads what [`encoded`] writes, from a file or from a descriptor that is named by its number.
pub(super) fn from_file(name: &str) -> Result<Vec<Variable>, Complaint> {
    let path = match name.parse::<u32>() {
        Ok(descriptor) if descriptor > 2 => format!("/proc/self/fd/{descriptor}"),
        Ok(_) | Err(_) => name.to_owned(),
    };
    let read = |path: &str| -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        std::fs::File::open(path)?.take(MOST).read_to_end(&mut bytes)?;
        Ok(bytes)
    };
    let bytes = read(&path)
        .map_err(|_| Complaint::error(format!("Could not open user environment file {name}")))?;
    Ok(decoded(&bytes))
}

fn decoded(bytes: &[u8]) -> Vec<Variable> {
    let pair = |text: &[u8]| {
        let at = text.iter().position(|byte| *byte == b'=').filter(|at| *at > 0)?;
        Some((text[..at].to_vec(), text[at + 1..].to_vec()))
    };
    bytes.split(|byte| *byte == 0).filter_map(pair).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn login() -> Login {
        let text = |text: &str| text.to_owned();
        Login { user: text("alice"), home: text("/home/alice"), shell: text("/bin/zsh") }
    }

    /// The job's environment in a line, in order of the names.
    fn of(own: &str, export: Option<&str>) -> String {
        let own = decoded(own.replace(' ', "\0").as_bytes());
        let mut all = exported(own, export, &login());
        all.sort();
        String::from_utf8(encoded(&all)).expect("text").replace('\0', " ").trim_end().to_owned()
    }

    #[test]
    fn export_says_what_goes_along() {
        let own = "A=1 B=2 SLURM_CONF=/x";
        #[rustfmt::skip]
        let stories = [
            (None,                 "A=1 B=2 SLURM_CONF=/x"),
            (Some("ALL"),          "A=1 B=2 SLURM_CONF=/x"),
            (Some("NIL"),          "SLURM_CONF=/x"),
            (Some("NONE"),         "HOME=/home/alice LOGNAME=alice \
                                    PATH=/usr/local/bin:/usr/bin:/bin SHELL=/bin/zsh \
                                    SLURM_CONF=/x USER=alice"),
            (Some("A"),            "A=1 SLURM_CONF=/x"),
            (Some("A,C"),          "A=1 SLURM_CONF=/x"),
            (Some("A=5,B"),        "A=5 B=2 SLURM_CONF=/x"),
            (Some("ALL,A=5,D="),   "A=5 B=2 D= SLURM_CONF=/x"),
            (Some("D='x,y',B"),    "B=2 D=x,y SLURM_CONF=/x"),
            (Some("D=a=b"),        "D=a=b SLURM_CONF=/x"),
        ];
        for (export, expected) in stories {
            assert_eq!(of(own, export), expected, "{export:?}");
        }
    }

    #[test]
    fn a_job_hands_on_nothing_of_itself() {
        let own = "A=1 SLURM_JOB_ID=7 SLURM_JOBID=7 SLURM_CPUS_PER_TASK=2 SLURM_CONF=/x";
        assert_eq!(of(own, None), "A=1 SLURM_CONF=/x");
        assert_eq!(of("SLURM_CPUS_PER_TASK=2", None), "SLURM_CPUS_PER_TASK=2", "not in a job");
    }

    #[test]
    fn files_hold_environments() {
        let scratch = tempfile::NamedTempFile::new().expect("a file");
        std::fs::write(scratch.path(), b"A=1\0B=x\ny\0bad\0=2\0").expect("written");
        let name = scratch.path().to_str().expect("text");
        let pair = |name: &[u8], value: &[u8]| (name.to_vec(), value.to_vec());
        assert_eq!(from_file(name), Ok(vec![pair(b"A", b"1"), pair(b"B", b"x\ny")]));
        assert_eq!(
            from_file("/nowhere/x").expect_err("no file").text("sbatch"),
            "sbatch: error: Could not open user environment file /nowhere/x\n"
        );
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(128))]

        #[test]
        fn environments_survive(
            pairs in prop::collection::vec(("[A-Z]{1,5}", "[^\\x00]{0,8}"), 0..6),
        ) {
            let pairs: Vec<Variable> =
                pairs.into_iter().map(|(n, v)| (n.into_bytes(), v.into_bytes())).collect();
            prop_assert_eq!(decoded(&encoded(&pairs)), pairs);
        }

        #[test]
        fn no_export_panics(export in "[A-Z=',\"é]{0,20}") {
            let _ = exported(vec![], Some(&export), &login());
        }
    }
}
