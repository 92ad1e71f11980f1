use common::{
    config::{Checked, Fate, MemoryPer},
    time::TimeLimit,
};
use proptest::prelude::*;

use super::{HEAD, check, config, problems};

#[test]
fn the_seed_is_accepted_as_it_stands() {
    let text = include_str!("../../captures/seed.conf").replace("<hostname>", "c1");
    let Checked { config, problems, warnings, fates } = check(&[("slurm.conf", &text)]);
    let config = config.unwrap_or_else(|| panic!("{problems:?}"));
    assert_eq!(warnings, []);
    assert_eq!(config.cluster_name, "cluster");
    assert_eq!(config.controllers.len(), 1);
    assert_eq!((&*config.controllers[0].name, config.controllers[0].port), ("c1", 6817));
    assert_eq!(config.slurm_user, "slurm");
    assert_eq!(config.return_to_service, 1);
    assert!(!config.select_memory);
    let node = &config.nodes[0];
    assert_eq!((&*node.name, node.cpus, node.sockets, node.port), ("c1", 4, 4, 6818));
    let partition = config.default_partition().expect("cpu is the default");
    assert_eq!((&*partition.name, partition.max_time), ("cpu", TimeLimit::Unlimited));
    assert_eq!(partition.nodes, ["c1"]);
    let fate = |key: &str| fates.iter().find(|fate| fate.key == key).map(|fate| fate.fate);
    assert_eq!(fate("ReturnToService"), Some(Fate::Honoured));
    assert!(matches!(fate("ProctrackType"), Some(Fate::NoEffect(_))));
}

#[test]
fn the_clients_configuration_is_accepted() {
    let text = include_str!("../../captures/smoke.conf");
    let Checked { config, problems, warnings, .. } = check(&[("slurm.conf", text)]);
    let config = config.unwrap_or_else(|| panic!("{problems:?}"));
    assert_eq!(warnings, []);
    assert_eq!(config.nodes.len(), 4);
    let node = config.node("n4").expect("there are four");
    assert_eq!((node.cpus, node.sockets, node.cores_per_socket), (8, 2, 4));
    assert_eq!(node.real_memory_mib, 16_000);
    assert_eq!(node.features, ["f1"]);
    assert_eq!(config.def_memory, MemoryPer::Cpu(100));
    assert!(config.select_memory);
    let short = config.partition("short").expect("there is one");
    assert_eq!((short.nodes.len(), short.max_time), (2, TimeLimit::Minutes(10)));
    assert_eq!(short.nodes_text, "n[1-2]");
    let debug = config.default_partition().expect("debug is the default");
    assert_eq!(debug.default_time, Some(TimeLimit::Minutes(30)));
}

#[test]
fn lines_are_read_as_slurm_reads_them() {
    let text = "killwait = 5 # half a minute is too long\n\
                SLURMDTIMEOUT=100\tMessageTimeout=7\n\
                # a comment that ends in a backslash ends all the same \\\n\
                NodeName=n1 \\\n   CPUs=2 \\\n   Reason=\"two \\#words\"\n\n\r\n";
    let config = config(text);
    assert_eq!((config.kill_wait, config.slurmd_timeout, config.message_timeout), (5, 100, 7));
    assert_eq!(config.nodes[0].cpus, 2);
    assert_eq!(config.nodes[0].reason.as_deref(), Some("two #words"));
    assert_eq!(config.settings["SlurmdTimeout"], "100");
}

#[test]
fn files_are_included() {
    let files = [
        ("/etc/slurm/slurm.conf", "ClusterName=c\nInclude %c.d/nodes.conf\ninclude /x/hosts\n"),
        ("/etc/slurm/c.d/nodes.conf", "NodeName=n[1-2]\nInclude more.conf\nNodeName=n3 CPUs=x\n"),
        ("/etc/slurm/more.conf", "PartitionName=p Nodes=ALL"),
        ("/x/hosts", "SlurmctldHost=ctl1\n"),
    ];
    let Checked { problems, .. } = check(&files);
    let problems: Vec<String> = problems.iter().map(ToString::to_string).collect();
    let expected = "/etc/slurm/c.d/nodes.conf:3: CPUs=x: a number from 1 to 65533 is wanted";
    assert_eq!(problems, [expected]);

    let Checked { problems, .. } = check(&[("a", "ClusterName=c\nSlurmctldHost=h\nInclude a\n")]);
    assert_eq!(problems[0].to_string(), "a:3: files include each other without end");
    assert_eq!(problems.len(), 1);
    let Checked { problems, .. } = check(&[("a", "Include b\n")]);
    assert!(
        problems.iter().any(|problem| problem.to_string() == "a:1: b can't be read: no such file")
    );
}

#[test]
fn every_error_is_reported_with_its_place() {
    let text = "KillWait=soon\n\
                Frobnicate=1\n\
                SlurmdTimeoot=3\n\
                NodeName=n[1-2\n\
                just words\n\
                NodeName=n1 CPU=4\n\
                PartitionName=p Nodes=n[1-3] State=UPP\n\
                ReturnToService=3\n\
                Prolog=/bin/true\n\
                MaxJobCount=\n";
    let expected = [
        "1: KillWait=soon: a number from 0 to 65533 is wanted",
        "2: Frobnicate is no key that is known here",
        "3: SlurmdTimeoot is no key that is known here; did you mean SlurmdTimeout?",
        "4: NodeName=n[1-2: brackets do not match in `n[1-2'",
        "5: `just' is no Key=value",
        "6: CPU is no key that is known here; did you mean CPUs?",
        "7: State=UPP: one of UP, DOWN, DRAIN, INACTIVE is wanted",
        "7: the partition p names n2, which is no node",
        "7: the partition p names n3, which is no node",
        "8: ReturnToService=3: a number from 0 to 2 is wanted",
        "9: Prolog=/bin/true is refused: the program would not be run",
        "10: MaxJobCount has no value",
    ];
    assert_eq!(problems(text), expected);
}

#[test]
fn what_must_be_set_is_missed() {
    let Checked { problems, .. } = check(&[("slurm.conf", "NodeName=n1\n")]);
    let problems: Vec<String> = problems.iter().map(ToString::to_string).collect();
    let expected = [
        "slurm.conf: ClusterName is not set",
        "slurm.conf: no controller is named: SlurmctldHost is not set (nor ControlMachine, its \
         old name)",
    ];
    assert_eq!(problems, expected);
}

/// Lines as people and machines might write them, some of them right.
fn line() -> impl Strategy<Value = String> {
    let key = prop_oneof![
        Just("NodeName"),
        Just("PartitionName"),
        Just("DownNodes"),
        Just("NodeSet"),
        Just("SlurmctldHost"),
        Just("KillWait"),
        Just("Nodes"),
        Just("CPUs"),
        Just("MaxTime"),
        Just("ClusterName"),
        Just("RafterElectionTimeout"),
        Just("Include"),
        Just("Reason"),
        Just("SelectTypeParameters"),
        Just("Sockets"),
        Just("Port"),
        Just("DefMemPerCPU"),
    ];
    let value = prop_oneof![
        "[a-z]{1,3}",
        "[0-9]{1,12}",
        "n\\[[0-9]{1,2}-[0-9]{1,2}\\]",
        "\\PC{0,12}",
        Just("DEFAULT".to_owned()),
        Just("ALL".to_owned()),
        Just("\"a b\"".to_owned()),
    ];
    let pairs = proptest::collection::vec((key, prop_oneof!["=", " = ", " "], value), 1..4);
    let end = prop_oneof![Just("\n"), Just(" \\\n"), Just("# x\n")];
    (pairs, end).prop_map(|(pairs, end)| {
        let pair = |(key, sign, value): (&str, String, String)| format!("{key}{sign}{value} ");
        pairs.into_iter().map(pair).collect::<String>() + end
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn any_text_is_answered(
        lines in proptest::collection::vec(line(), 0..12),
        text in "\\PC{0,200}",
    ) {
        for text in [lines.concat(), text, format!("{HEAD}{}", lines.concat())] {
            let Checked { config, problems, .. } = check(&[("slurm.conf", &text)]);
            prop_assert_eq!(config.is_some(), problems.is_empty());
            if let Some(config) = config {
                for partition in &config.partitions {
                    prop_assert!(partition.nodes.iter().all(|node| config.node(node).is_some()));
                }
            }
        }
    }
}
