use std::{collections::BTreeMap, path::Path};

use common::config::{self, Checked, Config, ConfiguredState, Fate, MemoryPer, PartitionState};
use common::time::TimeLimit;
use proptest::prelude::*;

/// Checks files that are given as texts; the first one is the configuration.
fn check(files: &[(&str, &str)]) -> Checked {
    let by_name: BTreeMap<&str, &str> = files.iter().copied().collect();
    config::check(Path::new(files[0].0), |path| {
        let name = path.to_str().expect("the names are texts");
        by_name.get(name).map(|text| (*text).to_owned()).ok_or("no such file")
    })
}

const HEAD: &str = "ClusterName=c\nSlurmctldHost=ctl1\n";

/// A configuration of one file, after the lines that each must have.
fn with_head(lines: &str) -> Checked {
    check(&[("/etc/slurm/slurm.conf", &format!("{HEAD}{lines}"))])
}

fn config(lines: &str) -> Config {
    let Checked { config, problems, .. } = with_head(lines);
    config.unwrap_or_else(|| panic!("{problems:?}"))
}

/// The problems, each without the file's name; the lines after the head are counted from 1.
fn problems(lines: &str) -> Vec<String> {
    let Checked { problems, .. } = with_head(lines);
    let text = |problem: config::Problem| {
        format!("{}: {}", problem.place.line.saturating_sub(2), problem.message)
    };
    problems.into_iter().map(text).collect()
}

fn warnings(lines: &str) -> Vec<String> {
    let Checked { warnings, config, .. } = with_head(lines);
    assert!(config.is_some(), "what only has warnings can be used");
    warnings.into_iter().map(|warning| warning.message).collect()
}

#[test]
fn the_seed_is_accepted_as_it_stands() {
    let text = include_str!("../captures/seed.conf").replace("<hostname>", "c1");
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
    let text = include_str!("../captures/smoke.conf");
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

#[test]
fn controllers_are_named_in_every_way() {
    let controllers = |lines: &str| {
        let Checked { config, problems, .. } =
            check(&[("slurm.conf", &format!("ClusterName=c\n{lines}"))]);
        let config = config.unwrap_or_else(|| panic!("{problems:?}"));
        let text =
            |host: config::ControllerConf| format!("{} {} {}", host.name, host.address, host.port);
        config.controllers.into_iter().map(text).collect::<Vec<_>>()
    };
    let lines = "SlurmctldPort=7000\nSlurmctldHost=a\nSlurmctldHost=b(10.0.0.2)\n\
                 SlurmctldHost=c(host.example.org:7003)\nSlurmctldHost=d([::1]:7004)\n\
                 SlurmctldHost=e(fe80::1)\nSlurmctldHost=f[1-2]\n";
    let expected = [
        "a a 7000",
        "b 10.0.0.2 7000",
        "c host.example.org 7003",
        "d ::1 7004",
        "e fe80::1 7000",
        "f1 f1 7000",
        "f2 f2 7000",
    ];
    assert_eq!(controllers(lines), expected);
    let old = "ControlMachine=a\nControlAddr=10.0.0.1\nBackupController=b\n";
    assert_eq!(controllers(old), ["a 10.0.0.1 6817", "b b 6817"]);

    let wrong = ["x(", "x()", "x(a:b:0)x", "x(h:0)", "x(h:99999)", "x/y", "(h)", "x(h y)"];
    for host in wrong {
        let lines = format!("SlurmctldHost={}\n", host.replace(' ', "\\ "));
        assert_eq!(problems(&lines).len(), 1, "{host}");
    }
    assert_eq!(problems("SlurmctldHost=ctl1\n"), ["1: the controller ctl1 is named twice"]);
    assert_eq!(problems("ControlMachine=x\n"), ["1: both SlurmctldHost and its old names are set"]);
}

#[test]
fn nodes_take_defaults_and_lists() {
    let config = config(
        "SlurmdPort=7000\n\
         NodeName=DEFAULT CPUs=8 RealMemory=16G Feature=a,b\n\
         NodeName=n[1-3] NodeHostname=h Port=[7001-7003]\n\
         NodeName=DEFAULT RealMemory=100 State=DRAIN Weight=9\n\
         NodeName=m[01-02] NodeAddr=10.0.0.[1-2] CPUs=4\n\
         DownNodes=n[2-3] Reason=\"bad fan\"\n",
    );
    let text: Vec<String> = config
        .nodes
        .iter()
        .map(|node| {
            format!(
                "{} {} {}:{} {} {} {:?} {} {:?}",
                node.name,
                node.hostname,
                node.address,
                node.port,
                node.cpus,
                node.real_memory_mib,
                node.state,
                node.weight,
                node.reason
            )
        })
        .collect();
    let expected = [
        "n1 h h:7001 8 16384 Unknown 1 None",
        "n2 h h:7002 8 16384 Down 1 Some(\"bad fan\")",
        "n3 h h:7003 8 16384 Down 1 Some(\"bad fan\")",
        "m01 m01 10.0.0.1:7000 4 100 Drain 9 None",
        "m02 m02 10.0.0.2:7000 4 100 Drain 9 None",
    ];
    assert_eq!(text, expected);
    assert_eq!(config.nodes[4].state, ConfiguredState::Drain);
}

#[test]
fn a_machine_is_described_in_its_parts() {
    let node = |line: &str| {
        let node = config(&format!("NodeName=n1 {line}\n")).nodes.remove(0);
        let (sockets, cores) = (node.sockets, node.cores_per_socket);
        (node.cpus, node.boards, sockets, cores, node.threads_per_core)
    };
    assert_eq!(node(""), (1, 1, 1, 1, 1));
    assert_eq!(node("CPUs=8"), (8, 1, 8, 1, 1));
    assert_eq!(node("CPUs=8 CoresPerSocket=4"), (8, 1, 2, 4, 1));
    assert_eq!(node("Sockets=2 CoresPerSocket=8 ThreadsPerCore=2"), (32, 1, 2, 8, 2));
    assert_eq!(node("CPUs=16 Sockets=2 CoresPerSocket=8 ThreadsPerCore=2"), (16, 1, 2, 8, 2));
    assert_eq!(node("Boards=2 SocketsPerBoard=2 CoresPerSocket=4"), (16, 2, 4, 4, 1));
    assert_eq!(node("Procs=3"), (3, 1, 3, 1, 1));

    let odd = "NodeName=n1 CPUs=7 Sockets=2 CoresPerSocket=4\n";
    let expected =
        "1: CPUs=7 is neither the number of threads (8) nor that of cores (8)".to_owned();
    assert_eq!(problems(odd), [expected]);
}

#[test]
fn wrong_nodes_are_refused() {
    let table = [
        (
            "NodeName=n1\nNodeName=n[1-2]\n",
            "2: the node n1 is configured twice, first at /etc/slurm/slurm.conf:3",
        ),
        ("NodeName=n[1-3] NodeAddr=a[1-2]\n", "1: NodeAddr names 2, but there are 3 nodes"),
        ("NodeName=n[1-3] Port=[1-2]\n", "1: Port names 2, but there are 3 nodes"),
        ("NodeName=n1 Port=0\n", "1: Port=0: a number from 1 to 65535 is wanted"),
        ("NodeName=n/1\n", "1: NodeName=n/1: `n/1' is no name of a node"),
        (
            "NodeName=n[1-9999999]\n",
            "1: NodeName=n[1-9999999]: Too many hosts in range `1-9999999'",
        ),
        (
            "NodeName=n1 Sockets=1 SocketsPerBoard=1\n",
            "1: Sockets and SocketsPerBoard exclude each other",
        ),
        (
            "NodeName=n1 RealMemory=lots\n",
            "1: RealMemory=lots: not an amount of memory: a number is, with K, M, G or T behind it or nothing for M",
        ),
        ("DownNodes=n7\n", "1: DownNodes: there is no node n7"),
        (
            "NodeName=n1 State=CLOUD\n",
            "1: State=CLOUD is refused: a node begins as UNKNOWN, DOWN or DRAIN here; it is there as soon as it is configured",
        ),
    ];
    for (lines, problem) in table {
        assert_eq!(problems(lines), [problem]);
    }
}

#[test]
fn partitions_are_read() {
    let config = config(
        "NodeName=n[1-4] Feature=f\nNodeName=m1\n\
         NodeSet=fs Feature=f\n\
         PartitionName=DEFAULT MaxTime=1-0 State=DRAIN\n\
         PartitionName=a Nodes=ALL Default=YES\n\
         PartitionName=b Nodes=m1,n3,n1 MaxNodes=2 MinNodes=1 OverSubscribe=EXCLUSIVE State=UP\n\
         PartitionName=c Nodes=fs MaxTime=UNLIMITED DefaultTime=5 PriorityTier=7 RootOnly=YES \
         MaxCPUsPerNode=3 DefMemPerNode=1G MaxMemPerCPU=0 Hidden=YES\n",
    );
    let [a, b, c] = &*config.partitions else { panic!("there are three") };
    assert_eq!(a.nodes, ["n1", "n2", "n3", "n4", "m1"]);
    assert_eq!((a.max_time, a.state), (TimeLimit::Minutes(1_440), PartitionState::Drain));
    assert_eq!(b.nodes, ["n1", "n3", "m1"]);
    assert_eq!((b.min_nodes, b.max_nodes, b.exclusive), (1, Some(2), true));
    assert_eq!(b.state, PartitionState::Up);
    assert_eq!(c.nodes, ["n1", "n2", "n3", "n4"]);
    assert_eq!((c.max_time, c.default_time), (TimeLimit::Unlimited, Some(TimeLimit::Minutes(5))));
    assert_eq!((c.priority_tier, c.max_cpus_per_node), (7, Some(3)));
    assert_eq!(c.def_memory, Some(MemoryPer::Node(1_024)));
    assert_eq!(c.max_memory, Some(MemoryPer::Unlimited));
    assert!(c.root_only && c.hidden && a.default && !b.default);
}

#[test]
fn wrong_partitions_are_refused() {
    let table = [
        (
            "PartitionName=p\nPartitionName=p\n",
            "2: the partition p is configured twice, first at /etc/slurm/slurm.conf:3",
        ),
        (
            "PartitionName=p MinNodes=3 MaxNodes=2\n",
            "1: the partition p has MinNodes above MaxNodes",
        ),
        (
            "PartitionName=p MaxTime=5 DefaultTime=6\n",
            "1: the partition p has DefaultTime above MaxTime",
        ),
        ("PartitionName=p MaxTime=0\n", "1: MaxTime=0: at least a minute is wanted, or UNLIMITED"),
        (
            "PartitionName=p AllowGroups=g\n",
            "1: AllowGroups=g is refused: everybody could use the partition",
        ),
        (
            "PartitionName=p Shared=FORCE:4\n",
            "1: Shared=FORCE:4 is refused: a CPU is never given to two jobs at a time",
        ),
        (
            "PartitionName=p DefMemPerCPU=1 DefMemPerNode=1\n",
            "1: DefMemPerNode and DefMemPerCPU exclude each other",
        ),
        (
            "PartitionName=a/b\n",
            "1: PartitionName=a/b: a name of letters, digits, `-', `_' and `.' is wanted",
        ),
    ];
    for (lines, problem) in table {
        assert_eq!(problems(lines), [problem]);
    }
}

#[test]
fn what_is_odd_is_told() {
    let node = "NodeName=n1\n";
    let told = |lines: &str| warnings(&format!("{node}{lines}"));
    let two = "PartitionName=a Nodes=n1 Default=YES\nPartitionName=b Nodes=n1 Default=YES\n";
    assert_eq!(told(two), ["a later partition is the default in place of a"]);
    let config = config(&format!("{node}{two}"));
    assert_eq!(config.default_partition().map(|partition| &*partition.name), Some("b"));
    assert_eq!(
        told("PartitionName=a Nodes=n1\n"),
        ["no partition is the default: each job has to name its own"]
    );
    let partition = "PartitionName=a Nodes=n1 Default=YES\n";
    assert_eq!(
        told(&format!("{partition}KillWait=1\nKillWait=2\n")),
        ["KillWait is set twice; what /etc/slurm/slurm.conf:5 says gives way"]
    );
    assert_eq!(
        told(&format!("{partition}SlurmctldPort=7000-7003\n")),
        ["of SlurmctldPort, only 7000 is listened on: one port serves all"]
    );
    assert_eq!(
        warnings(""),
        [
            "no node is configured: no NodeName is set",
            "no partition is configured: no PartitionName is set"
        ]
    );
}

#[test]
fn settings_of_the_cluster_are_checked() {
    let good = config(
        "SchedulerParameters=bf_interval=30,max_script_size=1000\nSelectType=select/linear\n\
         SelectTypeParameters=CR_Core,CR_ONE_TASK_PER_CORE\nDisableRootJobs=YES\n\
         EnforcePartLimits=YES\nJobRequeue=0\nRafterHeartbeat=50\nRafterElectionTimeout=100-200\n\
         RafterLoginHosts=login[1-2]\nRafterHistoryRetention=90\n\
         NodeName=n1\nPartitionName=p Nodes=n1 Default=YES\n",
    );
    assert_eq!(good.max_script_size, 1_000);
    assert!(!good.select_memory && !good.job_requeue);
    assert!(good.partitions[0].exclusive && good.partitions[0].disable_root_jobs);
    assert_eq!(good.enforce_part_limits, config::EnforcePartLimits::All);
    assert_eq!((good.heartbeat_ms, good.election_timeout_ms), (50, (100, 200)));
    assert_eq!(good.login_hosts, ["login1", "login2"]);
    assert_eq!(good.history_retention_days, 90);

    let table = [
        ("FirstJobId=10\nMaxJobId=10\n", "1: FirstJobId is not less than MaxJobId"),
        (
            "RafterHeartbeat=200\n",
            "1: RafterElectionTimeout (300-600 ms) must begin at twice RafterHeartbeat (200 ms) or more",
        ),
        (
            "RafterElectionTimeout=600-300\n",
            "1: RafterElectionTimeout=600-300: milliseconds are wanted, as in 300-600",
        ),
        (
            "SelectTypeParameters=CR_Socket\n",
            "1: SelectTypeParameters=CR_Socket: CR_Socket is refused: jobs are given single CPUs here",
        ),
        (
            "SelectType=select/cray_aries\n",
            "1: SelectType=select/cray_aries is refused: there is no such way of selecting nodes",
        ),
        (
            "SchedulerParameters=max_script_size=x\n",
            "1: SchedulerParameters=max_script_size=x: max_script_size: a number from 1 to 536870912 is wanted",
        ),
        ("StateSaveLocation=here\n", "1: StateSaveLocation=here: an absolute path is wanted"),
        (
            "PrivateData=jobs\n",
            "1: PrivateData=jobs is refused: every user may see all jobs and nodes",
        ),
    ];
    for (lines, problem) in table {
        assert_eq!(problems(lines), [problem]);
    }
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
        "n\\[[0-9]{1,3}-[0-9]{1,3}\\]",
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
