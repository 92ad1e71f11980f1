use common::{
    config::{
        Checked, ConfiguredState, ControllerConf, EnforcePartLimits, Fate, MemoryPer,
        PartitionConf, PartitionState, PreemptMode, PreemptType, Preemption,
    },
    time::TimeLimit,
};

use super::{check, config, problems, warnings};

#[test]
fn controllers_are_named_in_every_way() {
    let controllers = |lines: &str| {
        let Checked { config, problems, .. } =
            check(&[("slurm.conf", &format!("ClusterName=c\n{lines}"))]);
        let config = config.unwrap_or_else(|| panic!("{problems:?}"));
        let text = |host: ControllerConf| format!("{} {} {}", host.name, host.address, host.port);
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
    assert_eq!(config.nodes[4].features, ["a", "b"], "a later DEFAULT keeps what it does not set");
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
         MaxCPUsPerNode=UNLIMITED DefMemPerNode=1G MaxMemPerCPU=0 Hidden=YES\n",
    );
    let [a, b, c] = &*config.partitions else { panic!("there are three") };
    assert_eq!(a.nodes, ["n1", "n2", "n3", "n4", "m1"]);
    assert_eq!((a.max_time, a.state), (TimeLimit::Minutes(1_440), PartitionState::Drain));
    assert_eq!(b.nodes, ["n1", "n3", "m1"]);
    assert_eq!((b.min_nodes, b.max_nodes, b.exclusive), (1, Some(2), true));
    assert_eq!(b.state, PartitionState::Up);
    assert_eq!(c.nodes, ["n1", "n2", "n3", "n4"]);
    assert_eq!((c.max_time, c.default_time), (TimeLimit::Unlimited, Some(TimeLimit::Minutes(5))));
    assert_eq!((c.priority_tier, c.max_cpus_per_node), (7, None));
    assert_eq!(c.def_memory, Some(MemoryPer::Node(1_024)));
    assert_eq!(c.max_memory, Some(MemoryPer::Unlimited));
    assert!(c.root_only && c.hidden && a.default && !b.default);
}

#[test]
fn partitions_are_for_groups_and_accounts() {
    let config = config(
        "PartitionName=a AllowGroups=g,h AllowAccounts=x DenyAccounts=y\n\
         PartitionName=b AllowGroups=ALL DenyAccounts=y\n",
    );
    let [a, b] = &*config.partitions else { panic!("there are two") };
    assert_eq!(a.allow_groups, ["g", "h"]);
    assert!(b.allow_groups.is_empty());
    let admitted = |partition: &PartitionConf| {
        [Some("x"), Some("X"), Some("y"), Some("z"), None]
            .map(|account| partition.admits_account(account))
    };
    assert_eq!(admitted(a), [true, true, false, false, false], "who is allowed by name, alone");
    assert_eq!(admitted(b), [true, true, false, true, true], "who is not denied");
}

#[test]
fn partitions_have_a_qos() {
    let with_qos = config("PartitionName=a QOS=Long\nPartitionName=b\n");
    let of = |at: usize| with_qos.partitions[at].qos.as_deref();
    assert_eq!([of(0), of(1)], [Some("long"), None], "in small letters");
    let without = config("PartitionName=b\n");
    assert_eq!((with_qos.format(), without.format()), (2, 1));
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
            "PartitionName=p AllowGroups=a,,b\n",
            "1: AllowGroups=a,,b: names between commas are wanted, or ALL",
        ),
        (
            "PartitionName=p Shared=FORCE:4\n",
            "1: Shared=FORCE:4 is refused: a CPU is never given to two jobs at a time",
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
        told("PartitionName=a Nodes=n1 Default=YES DefMemPerCPU=1 DefMemPerNode=1\n"),
        ["DefMemPerNode gives way to DefMemPerCPU"]
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
         RafterSnapshotEvery=100\nRafterLogKeep=0\nRafterCertificateLifetime=60\n\
         NodeName=n1\nPartitionName=p Nodes=n1 Default=YES\n",
    );
    assert_eq!(good.max_script_size, 1_000);
    assert!(!good.select_memory && !good.job_requeue);
    assert!(good.partitions[0].exclusive && good.partitions[0].disable_root_jobs);
    assert_eq!(good.enforce_part_limits, EnforcePartLimits::All);
    assert_eq!((good.heartbeat_ms, good.election_timeout_ms), (50, (100, 200)));
    assert_eq!(good.login_hosts, ["login1", "login2"]);
    assert_eq!(good.history_retention_days, 90);
    assert_eq!((good.snapshot_every, good.log_keep, good.certificate_lifetime_s), (100, 0, 60));

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
            "SelectTypeParameters=CR_Memory\n",
            "1: SelectTypeParameters=CR_Memory: CR_Memory is refused: jobs are given CPUs here",
        ),
        (
            "SelectType=select/cray_aries\n",
            "1: SelectType=select/cray_aries is refused: there is no such way of selecting nodes",
        ),
        (
            "SchedulerParameters=max_script_size=x\n",
            "1: SchedulerParameters=max_script_size=x: max_script_size: a number from 1 to 536870912 is wanted",
        ),
        (
            "SchedulerParameters=bf_window=0\n",
            "1: SchedulerParameters=bf_window=0: bf_window: a number from 1 to 43200 is wanted",
        ),
        (
            "SchedulerParameters=defer,bf_windo=60\n",
            "1: SchedulerParameters: bf_windo is no option that is known here; did you mean bf_window?",
        ),
        (
            "SchedulerType=sched/wiki\n",
            "1: SchedulerType=sched/wiki is refused: there is no such scheduler",
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

#[test]
fn who_makes_way_is_said_once_for_all_and_for_each_partition() {
    let lines = "PreemptType=preempt/partition_prio\nPreemptMode=requeue\n\
                 PreemptExemptTime=00:05:00\nPreemptParameters=youngest_first\n\
                 SchedulerParameters=preempt_reorder_count=3\nNodeName=n1\n\
                 PartitionName=a PreemptMode=CANCEL GraceTime=30\nPartitionName=b PreemptMode=off\n";
    let read = config(lines);
    let Preemption { by, mode, exempt, youngest_first, reorder_count } = read.preemption;
    assert_eq!((by, mode, exempt), (PreemptType::PartitionPrio, PreemptMode::Requeue, 300));
    assert_eq!((youngest_first, reorder_count), (true, Some(3)));
    let modes: Vec<_> =
        read.partitions.iter().map(|one| (one.preempt_mode, one.grace_time)).collect();
    assert_eq!(modes, [(Some(PreemptMode::Cancel), 30), (Some(PreemptMode::Off), 0)]);
    assert_eq!(read.format(), 2);
    assert_eq!(config("PreemptType=preempt/none\nPreemptMode=OFF\n").format(), 1);

    let wrong = [
        ("PreemptMode=GANG\n", "1: PreemptMode=GANG: GANG is refused: jobs are not suspended"),
        (
            "PreemptMode=SUSPEND,GANG\n",
            "1: PreemptMode=SUSPEND,GANG: SUSPEND is refused: jobs are not suspended",
        ),
        ("PreemptType=preempt/qos\n", "1: PreemptType asks for a PreemptMode of CANCEL or REQUEUE"),
        (
            "PreemptMode=CANCEL\n",
            "1: PreemptMode asks for a PreemptType of preempt/partition_prio or preempt/qos",
        ),
    ];
    for (lines, problem) in wrong {
        assert_eq!(problems(lines), [problem]);
    }
}

#[test]
fn limits_of_resources_reach_the_job_as_configured() {
    let reach = |line: &str| {
        let config = config(&format!("{line}\nNodeName=n1\n"));
        (0..16).filter(|resource| config.propagates(*resource)).collect::<Vec<u32>>()
    };
    assert_eq!(reach("").len(), 16);
    assert_eq!(reach("PropagateResourceLimits=ALL").len(), 16);
    assert_eq!(reach("PropagateResourceLimits=NONE"), [0; 0]);
    assert_eq!(reach("PropagateResourceLimits=core,NOFILE"), [4, 7]);
    let most = reach("PropagateResourceLimitsExcept=MEMLOCK");
    assert!(most.len() == 15 && !most.contains(&8));
    assert_eq!(reach("PropagateResourceLimitsExcept=ALL"), [0; 0]);
    let both = "PropagateResourceLimits=CORE\nPropagateResourceLimitsExcept=CORE\n";
    let text = "2: PropagateResourceLimits and PropagateResourceLimitsExcept exclude each other";
    assert_eq!(problems(both), [text]);
    let wrong = "1: PropagateResourceLimits=LUCK: `LUCK' is no limit of resources";
    assert_eq!(problems("PropagateResourceLimits=LUCK\n"), [wrong]);
}

#[test]
fn each_option_of_the_scheduler_has_a_fate() {
    let text = "ClusterName=x\nSlurmctldHost=c\nNodeName=n1\nPartitionName=p Nodes=n1 Default=YES\n\
                SchedulerParameters=bf_window=60,bf_continue,max_script_size=7\n";
    let checked = check(&[("slurm.conf", text)]);
    assert_eq!(checked.problems, []);
    let fates = checked.fates.iter().filter(|fate| fate.key == "SchedulerParameters");
    let fates: Vec<_> =
        fates.map(|fate| (fate.value.as_str(), fate.fate == Fate::Honoured)).collect();
    let expected = [("bf_window=60", true), ("bf_continue", false), ("max_script_size=7", true)];
    assert_eq!(fates, expected);
}

#[test]
fn a_partition_may_be_supposed_otherwise() {
    let config = config(
        "NodeName=n[1-4] CPUs=8\nDefMemPerCPU=10\n\
         PartitionName=cpu Nodes=n[1-2] MaxTime=60 OverSubscribe=EXCLUSIVE DefMemPerNode=5 MaxNodes=2\n",
    );
    let changed = |name: &str, changes: &str| {
        let changed = config.with_partition(name, changes);
        changed.map_err(|error| error.to_string())
    };
    let other = changed("cpu", "maxtime=1-0 State=DOWN Nodes=ALL PriorityTier=3").expect("sound");
    let partition = &other.partitions[0];
    assert_eq!(partition.max_time, TimeLimit::Minutes(24 * 60));
    assert_eq!((partition.state, partition.priority_tier), (PartitionState::Down, 3));
    assert_eq!((partition.nodes.len(), partition.nodes_text.as_str()), (4, "ALL"));
    // What is not named stays.
    assert_eq!((partition.exclusive, partition.max_nodes), (true, Some(2)));
    assert_eq!(partition.def_memory, Some(MemoryPer::Node(5)));
    let shared = changed("cpu", "OverSubscribe=NO MaxNodes=UNLIMITED").expect("sound");
    assert_eq!((shared.partitions[0].exclusive, shared.partitions[0].max_nodes), (false, None));
    assert_eq!(changed("cpu", "").expect("nothing changes"), config);
    let wrong = |name: &str, changes: &str| changed(name, changes).expect_err("it makes no sense");
    assert_eq!(wrong("gpu", "MaxTime=1"), "partition gpu: there is no such partition");
    assert!(wrong("cpu", "MinNodes=3").contains("MinNodes above MaxNodes"));
    assert!(wrong("cpu", "MaxTym=1").contains("did you mean MaxTime?"));
    assert!(wrong("cpu", "Nodes=n9").contains("n9, which is no node"));
}
