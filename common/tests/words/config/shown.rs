use common::config::{self, Checked};

use super::check;
use crate::captures;

/// The cluster that the capture is of, less the programs that it ran around jobs.
const CAPTURED: &str = "ClusterName=ref\nSlurmctldHost=ctl1(10.77.0.1)\nSlurmUser=root\n\
    AuthType=auth/munge\nCredType=cred/munge\nAuthAltTypes=auth/jwt\n\
    AuthAltParameters=jwt_key=/srv/slurm/etc/jwt.key\nStateSaveLocation=/srv/slurm/state\n\
    SlurmdSpoolDir=/srv/slurm/spool/%n\nSlurmctldPidFile=/run/sl/slurmctld.pid\n\
    SlurmdPidFile=/srv/slurm/run/slurmd.%n.pid\nSlurmctldLogFile=/run/sl/slurmctld.log\n\
    SlurmdLogFile=/srv/slurm/log/slurmd.%n.log\nSlurmctldDebug=info\nSlurmdDebug=info\n\
    MpiDefault=none\nProctrackType=proctrack/linuxproc\nTaskPlugin=task/none\n\
    SchedulerType=sched/backfill\nSelectType=select/cons_tres\n\
    SelectTypeParameters=CR_CPU_Memory\nSlurmdParameters=config_overrides\n\
    ReturnToService=1\nKillWait=5\nMaxArraySize=1001\nDefMemPerCPU=100\n\
    PriorityType=priority/multifactor\nPriorityWeightAge=1000\n\
    PriorityWeightFairshare=10000\nPriorityWeightJobSize=100\nPriorityWeightPartition=100\n\
    PriorityWeightQOS=1000\nAccountingStorageType=accounting_storage/slurmdbd\n\
    AccountingStorageHost=10.77.0.1\nAccountingStoragePort=6819\n\
    JobAcctGatherType=jobacct_gather/linux\nJobAcctGatherFrequency=5\n\
    JobCompType=jobcomp/filetxt\nJobCompLoc=/srv/slurm/log/jobcomp.log\n\
    PrologFlags=Alloc,Contain\nPluginDir=/srv/slurm/slurm26/lib/slurm\nHashPlugin=hash/k12\nNodeName=n[1-8] NodeHostname=ctl1 NodeAddr=10.77.0.1 Port=[17001-17008]\n";

/// Whether the line is of a key that can't be set as it was, or that has another value here.
fn differs(line: &str) -> bool {
    let refused = ["Prolog[", "Epilog[", "PrologSlurm", "EpilogSlurm", "TaskProlog", "TaskEpilog"];
    let also = ["SrunProlog", "SrunEpilog", "AccountingStorageEnforce", "TLSType"];
    refused.iter().chain(&also).any(|key| line.starts_with(key))
}

#[test]
fn the_configuration_is_shown_as_slurm_shows_it() {
    let captures = captures::parse(include_str!("../../captures/scontrol-show-config.txt"));
    let captured: Vec<&str> = captures[0]
        .stdout
        .iter()
        .skip(1)
        .take_while(|line| !line.starts_with("MPI"))
        .map(String::as_str)
        .filter(|line| !line.is_empty())
        .collect();
    let expected: Vec<&str> = captured.into_iter().filter(|line| !differs(line)).collect();

    let Checked { config, problems, .. } = check(&[("slurm.conf", CAPTURED)]);
    let config = config.unwrap_or_else(|| panic!("{problems:?}"));
    let around = config::Surroundings {
        boot_time: "2026-11-23T23:08:26".to_owned(),
        next_job_id: 147,
        conf_path: "/srv/slurm/slurm26/etc/slurm.conf".to_owned(),
        version: "26.05.3".to_owned(),
        slurm_user_id: Some(0),
        slurmd_user_id: Some(0),
    };
    let shown: Vec<String> = config::shown(&config, &around)
        .iter()
        .map(|(key, value)| format!("{key:<23} = {value}"))
        .filter(|line| !differs(line) && !line.starts_with("Rafter"))
        .collect();
    for (shown, expected) in shown.iter().zip(&expected) {
        assert_eq!(shown, expected);
    }
    assert_eq!(shown.len(), expected.len());
}

#[test]
fn every_key_that_is_shown_is_known() {
    let captures = captures::parse(include_str!("../../captures/scontrol-show-config.txt"));
    let facts = ["BOOT_TIME", "HASH_VAL", "MULTIPLE_SLURMD", "NEXT_JOB_ID", "SLURM_CONF"];
    let keys = captures[0].stdout.iter().take_while(|line| !line.starts_with("MPI"));
    let keys = keys.filter_map(|line| line.split_once('=')).map(|(key, _)| key.trim());
    for key in keys.map(|key| key.trim_end_matches("[0]")) {
        if !facts.contains(&key) && key != "SLURM_VERSION" {
            let Checked { fates, .. } = check(&[("slurm.conf", &format!("{key}=x\n"))]);
            assert_eq!(fates.first().map(|fate| fate.key.to_owned()), Some(key.to_owned()));
        }
    }
}
