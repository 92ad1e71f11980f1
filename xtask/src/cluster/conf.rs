//! The `slurm.conf` of a cluster on loopback: written for it, or adapted from a person's own.

use std::{
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, bail};

use super::Controller;

/// What the configurator's template has in place of the host's name.
const BLANK: &str = "<hostname>";

/// How deep `Include` may go.
const INCLUDES_MAX: usize = 16;

/// The keys, old and new, that say where the controllers are.
const WHERE_CONTROLLERS_ARE: &[&str] = &[
    "slurmctldhost",
    "slurmctldaddr",
    "controlmachine",
    "controladdr",
    "backupcontroller",
    "backupaddr",
];

/// A configuration for `nodes` nodes of `cpus` CPUs and `memory_mib` MiB each.
pub(super) fn written(
    controllers: &[Controller],
    nodes: usize,
    cpus: u32,
    memory_mib: u64,
    more: &[String],
) -> String {
    let mut text = String::from("# Written by cargo xtask cluster.\nClusterName=loopback\n");
    for line in controller_lines(controllers) {
        text.push_str(&line);
    }
    let names = if nodes == 1 { "n1".to_owned() } else { format!("n[1-{nodes}]") };
    let per_cpu = (memory_mib / u64::from(cpus.max(1))).max(1);
    let body = format!(
        "# Where each controller and node keeps its own is said by its options: see bin/start.\n\
         SlurmUser=root\n\
         ReturnToService=1\n\
         SelectType=select/cons_tres\n\
         SelectTypeParameters=CR_CPU_Memory\n\
         DefMemPerCPU={per_cpu}\n\
         MaxJobCount=1000000\n\
         RafterLoginHosts={names}\n"
    );
    text.push_str(&body);
    for line in more {
        writeln!(text, "{line}").expect("a String takes all");
    }
    writeln!(text, "NodeName={names} CPUs={cpus} RealMemory={memory_mib} State=UNKNOWN")
        .expect("a String takes all");
    text.push_str("PartitionName=main Nodes=ALL Default=YES MaxTime=INFINITE State=UP\n");
    text
}

fn controller_lines(controllers: &[Controller]) -> impl Iterator<Item = String> {
    controllers.iter().map(|it| format!("SlurmctldHost={}({})\n", it.name, it.address))
}

/// The configuration in `file`, with our controllers in place of its own. Everything else is kept;
/// what it includes is put in its place.
pub(super) fn adapted(file: &Path, controllers: &[Controller], host: &str) -> Result<String> {
    let mut text = String::new();
    let absolute = std::path::absolute(file)?;
    let folder = absolute.parent().context("a file is in a folder")?;
    adapt(&absolute, folder, 0, &mut text)?;
    let ours: String = controller_lines(controllers).collect();
    Ok(format!("{ours}{text}").replace(BLANK, host))
}

/// The files that are read beside a `slurm.conf`, where they are there.
const BESIDE: &[&str] = &["gres.conf", "topology.conf"];

/// Copies what is read beside the configuration in `file` to where the adapted one is.
pub(super) fn bring(file: &Path, folder: &Path) -> Result<()> {
    for name in BESIDE {
        let from = file.with_file_name(name);
        if from.is_file() {
            let to = folder.join(name);
            fs::copy(&from, &to).with_context(|| format!("{}", from.display()))?;
        }
    }
    Ok(())
}

fn adapt(file: &Path, folder: &Path, depth: usize, text: &mut String) -> Result<()> {
    if depth > INCLUDES_MAX {
        bail!("{} is included by itself", file.display());
    }
    let read = fs::read_to_string(file).with_context(|| format!("{}", file.display()))?;
    let mut lines = read.lines().peekable();
    while let Some(first) = lines.next() {
        let mut line = vec![first];
        while line.last().is_some_and(|line| line.ends_with('\\')) {
            let Some(next) = lines.next() else { break };
            line.push(next);
        }
        if let Some(included) = include(first) {
            let path = folder.join(included);
            adapt(&path, folder, depth + 1, text)?;
        } else if !says_where_controllers_are(first) {
            for line in line {
                text.push_str(line);
                text.push('\n');
            }
        }
    }
    Ok(())
}

fn include(line: &str) -> Option<PathBuf> {
    let (word, rest) = line.trim().split_once(char::is_whitespace)?;
    word.eq_ignore_ascii_case("include").then(|| PathBuf::from(rest.trim()))
}

fn says_where_controllers_are(line: &str) -> bool {
    let key = line.split('=').next().unwrap_or_default().trim().to_ascii_lowercase();
    // A comment has its sign before the key.
    WHERE_CONTROLLERS_ARE.contains(&key.as_str())
}

/// The hostlists of the nodes that a configuration names, in its order.
pub(super) fn node_lists(text: &str) -> Vec<String> {
    let mut lists = Vec::new();
    for line in text.lines() {
        let code = line.split('#').next().unwrap_or_default();
        for word in code.split_whitespace() {
            let Some((key, value)) = word.split_once('=') else { continue };
            let value = value.trim_end_matches('\\');
            if key.eq_ignore_ascii_case("nodename") && !value.eq_ignore_ascii_case("default") {
                lists.push(value.to_owned());
            }
        }
    }
    lists
}

#[cfg(test)]
mod tests {
    use super::*;

    fn controllers() -> Vec<Controller> {
        let of = |name: &str, port| Controller {
            name: name.to_owned(),
            address: format!("127.0.0.1:{port}"),
        };
        vec![of("ctl1", 7001), of("ctl2", 7002)]
    }

    #[test]
    fn ours_names_what_was_asked_for() {
        let text = written(&controllers(), 3, 8, 4096, &["KillWait=5".to_owned()]);
        for line in [
            "SlurmctldHost=ctl1(127.0.0.1:7001)",
            "SlurmctldHost=ctl2(127.0.0.1:7002)",
            "NodeName=n[1-3] CPUs=8 RealMemory=4096 State=UNKNOWN",
            "DefMemPerCPU=512",
            "KillWait=5",
        ] {
            assert!(text.lines().any(|it| it == line), "{line} is not in\n{text}");
        }
        assert_eq!(node_lists(&text), ["n[1-3]"]);
    }

    #[test]
    fn only_the_controllers_of_a_given_file_are_replaced() {
        let scratch = tempfile::tempdir().expect("a folder");
        let file = scratch.path().join("slurm.conf");
        let given = "# ControlMachine=commented\nControlMachine=<hostname>\nbackupcontroller=b\n\
                     SlurmctldHost=x(1.2.3.4) \\\n  \nKillWait=7\ninclude nodes.conf\nMpiDefault=none\n";
        fs::write(&file, given).expect("written");
        let nodes =
            "NodeName=DEFAULT CPUs=4\nNodeName=<hostname> # NodeName=no\nNodeName=a[1-2],b\n";
        fs::write(scratch.path().join("nodes.conf"), nodes).expect("written");
        let text = adapted(&file, &controllers(), "here").expect("adapted");
        let expected = "SlurmctldHost=ctl1(127.0.0.1:7001)\nSlurmctldHost=ctl2(127.0.0.1:7002)\n\
                        # ControlMachine=commented\nKillWait=7\nNodeName=DEFAULT CPUs=4\n\
                        NodeName=here # NodeName=no\nNodeName=a[1-2],b\nMpiDefault=none\n";
        assert_eq!(text, expected);
        assert_eq!(node_lists(&text), ["here", "a[1-2],b"]);
    }

    #[test]
    fn what_is_read_beside_it_comes_along() {
        let [given, ours] = [(); 2].map(|()| tempfile::tempdir().expect("a folder"));
        fs::write(given.path().join("topology.conf"), "SwitchName=s1 Nodes=n1\n").expect("written");
        bring(&given.path().join("slurm.conf"), ours.path()).expect("brought");
        let brought = fs::read_to_string(ours.path().join("topology.conf")).expect("it is there");
        assert_eq!(brought, "SwitchName=s1 Nodes=n1\n");
        assert!(!ours.path().join("gres.conf").exists(), "there was none");
    }

    #[test]
    fn a_file_that_includes_itself_is_refused() {
        let scratch = tempfile::tempdir().expect("a folder");
        let file = scratch.path().join("slurm.conf");
        fs::write(&file, "Include slurm.conf\n").expect("written");
        let refused = adapted(&file, &controllers(), "here").expect_err("no end");
        assert!(refused.to_string().ends_with("is included by itself"), "{refused}");
    }
}
