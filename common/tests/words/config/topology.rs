//! `TopologyPlugin`, and `topology.conf`.

use common::config::{Checked, Tree};
use proptest::prelude::*;

use super::{HEAD, check};

fn with(tree: &str) -> Checked {
    let conf = format!("{HEAD}TopologyPlugin=topology/tree\nNodeName=n[1-6] CPUs=8\n");
    check(&[("/etc/slurm/slurm.conf", &conf), ("/etc/slurm/topology.conf", tree)])
}

const TREE: &str = "SwitchName=top Switches=s[1-2]\n\
    SwitchName=s1 Nodes=n[3,1-2] LinkSpeed=100\nInclude more.conf\n";

#[test]
fn switches_have_nodes_or_switches_below_them() {
    let conf = format!("{HEAD}TopologyPlugin=topology/tree\nNodeName=n[1-6] CPUs=8\n");
    let files = [
        ("/etc/slurm/slurm.conf", conf.as_str()),
        ("/etc/slurm/topology.conf", TREE),
        ("/etc/slurm/more.conf", "SwitchName=s2 Nodes=n[4-5]\n"),
    ];
    let Checked { config, problems, .. } = check(&files);
    let config = config.unwrap_or_else(|| panic!("{problems:?}"));
    let tree = Tree::of(&config.switches);
    let told: Vec<String> = tree
        .branches
        .iter()
        .map(|branch| {
            let nodes: Vec<&str> = branch.nodes.iter().copied().collect();
            format!("{} {} {}", branch.conf.name, branch.level, nodes.join(","))
        })
        .collect();
    assert_eq!(told, ["s1 0 n1,n2,n3", "s2 0 n4,n5", "top 1 n1,n2,n3,n4,n5"]);
    assert_eq!(config.leaves(&["n1", "n3"]), 1);
    assert_eq!(config.leaves(&["n1", "n4", "n5"]), 2);
    assert_eq!(config.leaves(&["n1", "n6"]), 2, "beside none, it is by itself");
    assert_eq!((config.format(), config.max_switch_wait()), (2, 300));
}

#[test]
fn a_flat_network_has_no_such_file() {
    let conf = format!("{HEAD}TopologyPlugin=topology/flat\nNodeName=n1 CPUs=8\n");
    let config = check(&[("/etc/slurm/slurm.conf", &conf)]).config.expect("nothing is read");
    assert!(config.switches.is_empty());
    assert_eq!(config.leaves(&["n1"]), 1);
    for plugin in ["topology/block", "topology/3d_torus"] {
        let conf = format!("{HEAD}TopologyPlugin={plugin}\nNodeName=n1 CPUs=8\n");
        assert_eq!(check(&[("/etc/slurm/slurm.conf", &conf)]).problems.len(), 1, "{plugin}");
    }
}

#[test]
fn what_is_no_tree_is_refused() {
    for (wrong, said) in [
        ("SwitchName=s1 Nodes=n9\n", "names n9, which is no node"),
        ("SwitchName=s1 Nodes=n1\nSwitchName=s1 Nodes=n2\n", "configured twice"),
        ("SwitchName=s1\n", "either nodes or switches"),
        ("SwitchName=s1 Nodes=n1\nSwitchName=t Switches=s1 Nodes=n2\n", "either nodes or"),
        ("SwitchName=s1 Nodes=n1\nSwitchName=s2 Nodes=n[1-2]\n", "n1 is below two switches"),
        ("SwitchName=t Switches=s1\n", "s1 is no switch"),
        ("SwitchName=t Switches=t\n", "below itself"),
        ("SwitchName=t Switches=u\nSwitchName=u Switches=t\n", "below itself"),
        ("Nodes=n1\n", "begins with SwitchName"),
        ("SwitchName=s1 Nodes=n1 Nods=n2\n", "Nods"),
    ] {
        let problems = with(wrong).problems;
        assert!(problems.iter().any(|one| one.message.contains(said)), "{wrong}: {problems:?}");
    }
    let conf = format!("{HEAD}TopologyPlugin=topology/tree\nNodeName=n1 CPUs=8\n");
    assert_eq!(check(&[("/etc/slurm/slurm.conf", &conf)]).problems.len(), 1, "there is no file");
}

proptest! {
    /// Whatever stands there, it is a tree of all of its switches, or refused.
    #[test]
    fn any_lines_are_a_tree_or_refused(
        lines in proptest::collection::vec(
            "SwitchName=[s-v] (Nodes=n[1-6]|Nodes=n\\[[1-3]-[4-7]\\]|Switches=[s-v](,[s-v])?)\n",
            0..5,
        ),
    ) {
        if let Some(config) = with(&lines.concat()).config {
            prop_assert_eq!(Tree::of(&config.switches).branches.len(), config.switches.len());
            prop_assert_eq!(config.switches.len(), lines.len());
        }
    }
}
