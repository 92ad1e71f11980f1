//! `GresTypes`, `Gres`, and `gres.conf`.

use std::path::Path;

use common::{
    config::{self, Checked, Config, Fate, GresConf},
    gres::listed,
};
use proptest::prelude::*;

use super::{HEAD, check, problems};

const NODES: &str = "GresTypes=gpu,tmp\n\
    NodeName=n[1-2] CPUs=8 Gres=gpu:a100:4,tmp:10K\n\
    NodeName=n3 CPUs=8 Gres=gpu:a100:2,gpu:v100:2\n\
    NodeName=n4 CPUs=8\n";

fn with_gres_conf(lines: &str, gres: &str) -> Checked {
    let conf = format!("{HEAD}{lines}");
    check(&[("/etc/slurm/slurm.conf", &conf), ("/etc/slurm/gres.conf", gres)])
}

fn files(config: &Config, node: &str) -> Vec<String> {
    let node = config.node(node).expect("it is configured");
    let text = |gres: &GresConf| gres.files.join(" ");
    node.gres.iter().map(text).collect()
}

#[test]
fn nodes_have_what_their_lines_say() {
    let config = with_gres_conf(NODES, "").config.expect("it can be used");
    assert_eq!(config.gres_types, ["gpu", "tmp"]);
    let total = |name: &str| config.node(name).expect("it is there").gres_total();
    assert_eq!(listed(&total("n2")).as_deref(), Some("gpu:a100:4,tmp:10K"));
    assert_eq!(listed(&total("n4")), None);
    let ids: Vec<Vec<u32>> = total("n3").into_iter().map(|gres| gres.ids).collect();
    assert_eq!(ids, [[0, 1], [2, 3]], "ids count up through the types");
    assert_eq!(total("n1")[1].ids, [] as [u32; 0], "what is not told apart has none");
}

#[test]
fn gres_conf_names_devices() {
    let gres = "AutoDetect=off\n\
        NodeName=n[1-2] Name=gpu Type=a100 File=/dev/nvidia[0-3] Cores=0-7\n\
        NodeName=n3 Name=gpu Type=v100 File=/dev/v[0-1]\n\
        NodeName=n3 Name=gpu Type=a100 File=/dev/a[0-5]\n\
        Name=tmp Count=10K\n";
    let Checked { config, problems, warnings, fates } = with_gres_conf(NODES, gres);
    let config = config.unwrap_or_else(|| panic!("{problems:?}"));
    assert_eq!(files(&config, "n2"), ["/dev/nvidia0 /dev/nvidia1 /dev/nvidia2 /dev/nvidia3", ""]);
    assert_eq!(files(&config, "n3"), ["/dev/a0 /dev/a1", "/dev/v0 /dev/v1"]);
    let n3 = config.node("n3").expect("it is there");
    assert_eq!(n3.device("gpu", 1), Some("/dev/a1"));
    assert_eq!(n3.device("gpu", 2), Some("/dev/v0"));
    assert_eq!((n3.device("gpu", 4), n3.device("tmp", 0)), (None, None));
    let no_nodes = |text: &str| text.contains("partition") || text.contains("node is");
    assert!(warnings.iter().all(|warning| no_nodes(&warning.message)), "{warnings:?}");
    let cores = fates.iter().find(|fate| fate.key == "Cores").expect("it was set");
    assert!(matches!(cores.fate, Fate::NoEffect(_)));
}

#[test]
fn without_the_file_devices_are_counted() {
    let conf = format!("{HEAD}{NODES}");
    let config = check(&[("/etc/slurm/slurm.conf", &conf)]).config.expect("it can be used");
    assert_eq!(files(&config, "n1"), ["", ""]);
    // One that is there and can't be read is another matter; and nobody asks for it where there is
    // nothing to say of.
    let barred = |text: &str| {
        let text = text.to_owned();
        config::check(Path::new("slurm.conf"), |path| match path.to_str() {
            Some("slurm.conf") => Ok(text.clone()),
            _ => Err("Permission denied (os error 13)"),
        })
    };
    let problem = barred(&conf).problems.pop().expect("it has to be read");
    assert_eq!(problem.to_string(), "gres.conf: can't be read: Permission denied (os error 13)");
    assert_eq!(barred(&format!("{HEAD}NodeName=n1\n")).problems, []);
}

#[test]
fn what_can_not_be_done_is_refused_by_name() {
    let of_node =
        |gres: &str| problems(&format!("GresTypes=gpu\nNodeName=n1 CPUs=8 Gres={gres}\n"));
    assert_eq!(of_node("gpu:4"), [""; 0]);
    assert_eq!(of_node("(null)"), [""; 0]);
    assert_eq!(of_node("gpu:a100:4(S:0-1)"), [""; 0]);
    for wrong in ["tmp:1", "gpu:x:y:1", "gpu:0", "gpu:2,gpu:3", "gpu:2:no_consume", "gpu:2000"] {
        assert_eq!(of_node(wrong).len(), 1, "{wrong}: {:?}", of_node(wrong));
    }
    let six = "gpu:a:1,gpu:b:1,gpu:c:1,gpu:d:1,gpu:e:1,gpu:f:1";
    assert!(of_node(six)[0].contains("7 kinds"), "{:?}", of_node(six));
    assert!(problems("GresTypes=gpu,mps\nNodeName=n1\n")[0].contains("mps is refused"));

    let of_file = |line: &str| {
        let lines = "GresTypes=gpu\nNodeName=n1 CPUs=8 Gres=gpu:2\n";
        let problems = with_gres_conf(lines, line).problems;
        problems.into_iter().map(|problem| problem.to_string()).collect::<Vec<_>>()
    };
    assert_eq!(of_file("Name=gpu File=/dev/g[0-1]\n"), [""; 0]);
    let expected = ["/etc/slurm/gres.conf:1: AutoDetect=nvml is refused: devices are not looked \
                     for; name them by File, and set AutoDetect=off"];
    assert_eq!(of_file("AutoDetect=nvml\n"), expected);
    for wrong in [
        "File=/dev/g0\n",
        "Name=gpu File=g0\n",
        "Name=gpu Count=3 File=/dev/g[0-1]\n",
        "Name=gpu Count=x\n",
        "Name=gpu MultipleFiles=/dev/g0,/dev/g1\n",
        "Name=gpu Fille=/dev/g0\n",
    ] {
        assert_eq!(of_file(wrong).len(), 1, "{wrong}: {:?}", of_file(wrong));
    }
}

proptest! {
    /// Whatever stands there, it is read or refused; and what is read has as many ids as it counts.
    #[test]
    fn any_lines_are_read_or_refused(
        of_node in "[a-z0-9:,()K]{0,16}",
        line in concat!(
            "(Name|Type|File|Count|NodeName|Cores)=[a-z0-9/,\\[\\]-]{1,12}",
            "( (File|Count|Type)=[a-z0-9/\\[\\]-]{1,10})?",
        ),
    ) {
        let lines = format!("GresTypes=gpu,a\nNodeName=n1 CPUs=8 Gres={of_node}gpu:2\n");
        if let Some(config) = with_gres_conf(&lines, &line).config {
            for gres in config.node("n1").expect("it is there").gres_total() {
                prop_assert!(gres.ids.is_empty() || gres.ids.len() as u64 == gres.count);
            }
        }
    }
}
