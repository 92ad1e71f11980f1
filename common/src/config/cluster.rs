//! The settings that stand for the whole cluster.

use std::ops::RangeInclusive;

use super::{
    Config, EnforcePartLimits, MemoryPer, enforce, license, preemption, priority, propagation,
    record::{Record, Setting, flag, hostlist, is_unlimited, mib, number, text, word},
    report::{Place, Report},
};
use crate::{cpus::Grain, job::MOST_TASKS};

/// The highest id that a job can have in Slurm, which keeps bits of it for clusters' numbers.
const MAX_JOB_ID: u32 = 0x03ff_0000;

/// Seconds that Slurm's 16 bits hold, less the values that it keeps for itself.
const SECONDS: RangeInclusive<u32> = 0..=65_533;

pub(super) fn config(cluster: &Record, whole: &Place, report: &mut Report) -> Config {
    let name = match cluster.read("ClusterName", report, cluster_name) {
        Some(name) => name,
        None => {
            if cluster.get("ClusterName").is_none() {
                report.problem(whole, "ClusterName is not set");
            }
            String::new()
        }
    };
    let mut config = Config::defaults(&name);
    daemons(&mut config, cluster, report);
    jobs(&mut config, cluster, report);
    memory(&mut config, cluster, report);
    rafter(&mut config, cluster, report);
    propagation::check(cluster, report);
    priority::check(cluster, report);
    config
}

/// Slurm turns the name into small letters, too.
fn cluster_name(value: &str) -> Result<String, String> {
    let valid = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    if value.len() > 40 || !value.bytes().all(valid) {
        return Err("at most 40 letters, digits, `-', `_' and `.' are wanted".to_owned());
    }
    Ok(value.to_ascii_lowercase())
}

fn daemons(config: &mut Config, cluster: &Record, report: &mut Report) {
    cluster.set("SlurmUser", &mut config.slurm_user, report, text);
    cluster.set("SlurmdUser", &mut config.slurmd_user, report, text);
    cluster.set("StateSaveLocation", &mut config.state_save_location, report, absolute);
    cluster.set("SlurmdSpoolDir", &mut config.slurmd_spool_dir, report, absolute);
    cluster.set("SlurmdTimeout", &mut config.slurmd_timeout, report, number(SECONDS));
    cluster.set("SlurmctldTimeout", &mut config.slurmctld_timeout, report, number(SECONDS));
    cluster.set("MessageTimeout", &mut config.message_timeout, report, number(1..=65_533));
    cluster.set("ReturnToService", &mut config.return_to_service, report, number(0..=2));
}

/// Read where it is used: the machine needs no field for it that old logs would lack.
fn over_run(value: &str) -> Result<(), String> {
    let unlimited = value.eq_ignore_ascii_case("UNLIMITED");
    if unlimited { Ok(()) } else { number(0..=65_533_u32)(value).map(|_| ()) }
}

fn absolute(value: &str) -> Result<String, String> {
    if value.starts_with('/') { text(value) } else { Err("an absolute path is wanted".to_owned()) }
}

fn jobs(config: &mut Config, cluster: &Record, report: &mut Report) {
    cluster.set("KillWait", &mut config.kill_wait, report, number(SECONDS));
    cluster.set("MinJobAge", &mut config.min_job_age, report, number(0..=u32::MAX - 2));
    cluster.set("MaxJobCount", &mut config.max_job_count, report, number(1..=u32::MAX - 2));
    cluster.set("FirstJobId", &mut config.first_job_id, report, number(1..=MAX_JOB_ID));
    cluster.set("MaxArraySize", &mut config.max_array_size, report, number(0..=MOST_TASKS));
    cluster.set("MaxJobId", &mut config.max_job_id, report, number(1..=MAX_JOB_ID));
    if config.first_job_id >= config.max_job_id
        && let Some(Setting { place, .. }) =
            cluster.get("FirstJobId").or_else(|| cluster.get("MaxJobId"))
    {
        report.problem(place, "FirstJobId is not less than MaxJobId");
    }
    cluster.set("ResvOverRun", &mut (), report, over_run);
    cluster.set("JobRequeue", &mut config.job_requeue, report, flag);
    cluster.set("JobFileAppend", &mut config.job_file_append, report, flag);
    let limits = word(&[
        ("NO", EnforcePartLimits::No),
        ("ANY", EnforcePartLimits::Any),
        ("YES", EnforcePartLimits::All),
        ("ALL", EnforcePartLimits::All),
    ]);
    cluster.set("EnforcePartLimits", &mut config.enforce_part_limits, report, limits);
    cluster.set("Licenses", &mut config.licenses, report, license::licenses);
    preemption::fill(config, cluster, report);
    cluster.set("AccountingStorageEnforce", &mut config.enforce, report, enforce::enforce);
    cluster.set("SchedulerParameters", &mut config.max_script_size, report, max_script_size);
    let kills = |key| cluster.read(key, report, kill_invalid_depend).unwrap_or(false);
    config.kill_invalid_depend =
        ["DependencyParameters", "SchedulerParameters"].map(kills).contains(&true);
}

/// `kill_invalid_depend` among the options of one of two keys.
#[expect(clippy::unnecessary_wraps, reason = "it is read as the others are")]
fn kill_invalid_depend(options: &str) -> Result<bool, String> {
    let mut options = options.split(',').map(str::trim);
    Ok(options.any(|option| option.eq_ignore_ascii_case("kill_invalid_depend")))
}

/// `max_script_size=BYTES` among the options. The scheduler reads the others where it plans; here
/// they are held against the manual's ranges.
fn max_script_size(options: &str) -> Result<u64, String> {
    // Slurm allows 512 MB at most.
    const NUMBERS: [(&str, RangeInclusive<u64>); 8] = [
        ("max_script_size", 1..=512 << 20),
        ("bf_window", 1..=43_200),
        ("bf_resolution", 1..=3_600),
        ("bf_max_job_test", 1..=1_000_000),
        ("bf_max_job_user", 0..=1_000_000),
        ("bf_max_job_part", 0..=1_000_000),
        ("bf_max_job_user_part", 0..=1_000_000),
        ("bf_job_part_count_reserve", 0..=100_000),
    ];
    let mut size = Config::defaults("").max_script_size;
    for option in options.split(',').map(str::trim) {
        let (name, value) = option.split_once('=').unwrap_or((option, ""));
        let (name, value) = (name.trim(), value.trim());
        let number_of = |(known, _): &&(&str, _)| name.eq_ignore_ascii_case(known);
        let Some((known, range)) = NUMBERS.iter().find(number_of) else { continue };
        let read = number(range.clone())(value).map_err(|why| format!("{known}: {why}"))?;
        if *known == "max_script_size" {
            size = read;
        }
    }
    Ok(size)
}

fn memory(config: &mut Config, cluster: &Record, report: &mut Report) {
    let select = cluster.read("SelectTypeParameters", report, select);
    (config.grain, config.select_memory) = select.unwrap_or(DEFAULT_SELECT);
    let keys = [
        ("DefMemPerNode", "DefMemPerCPU", &mut config.def_memory),
        ("MaxMemPerNode", "MaxMemPerCPU", &mut config.max_memory),
    ];
    for (node, cpu, field) in keys {
        *field = memory_per(cluster, node, cpu, report).unwrap_or(MemoryPer::Unlimited);
    }
}

/// What one of two keys says, the latter if both are set; none where neither is.
pub(super) fn memory_per(
    record: &Record,
    node: &str,
    cpu: &str,
    report: &mut Report,
) -> Option<MemoryPer> {
    if let (Some(Setting { place, .. }), Some(_)) = (record.get(node), record.get(cpu)) {
        report.warning(place, format!("{node} gives way to {cpu}"));
    }
    let amount = |per: fn(u64) -> MemoryPer| {
        move |value: &str| {
            if is_unlimited(value) {
                return Ok(MemoryPer::Unlimited);
            }
            let mib = mib(value)?;
            Ok(if mib == 0 { MemoryPer::Unlimited } else { per(mib) })
        }
    };
    let of_node = record.read(node, report, amount(MemoryPer::Node));
    record.read(cpu, report, amount(MemoryPer::Cpu)).or(of_node)
}

/// `CR_Core_Memory`
const DEFAULT_SELECT: (Grain, bool) = (Grain::Core, true);

/// What CPUs are given out in, and whether memory is given out.
fn select(options: &str) -> Result<(Grain, bool), String> {
    const IDLE: [&str; 7] = [
        "CR_ONE_TASK_PER_CORE",
        "CR_PACK_NODES",
        "CR_CORE_DEFAULT_DIST_BLOCK",
        "LL_SHARED_GRES",
        "MULTIPLE_SHARING_GRES_PJ",
        "ENFORCE_BINDING_GRES",
        "ONE_TASK_PER_SHARING_GRES",
    ];
    let mut select = DEFAULT_SELECT;
    for option in options.split(',').map(str::trim) {
        select = match option.to_ascii_uppercase().as_str() {
            "CR_CPU" => (Grain::Cpu, false),
            "CR_CPU_MEMORY" => (Grain::Cpu, true),
            "CR_CORE" => (Grain::Core, false),
            "CR_CORE_MEMORY" => (Grain::Core, true),
            "CR_SOCKET" => (Grain::Socket, false),
            "CR_SOCKET_MEMORY" => (Grain::Socket, true),
            "NONE" | "CR_LLN" => select,
            "CR_MEMORY" | "OTHER_CONS_RES" | "OTHER_CONS_TRES" => {
                return Err(format!("{option} is refused: jobs are given CPUs here"));
            }
            option if IDLE.contains(&option) => select,
            _ => return Err(format!("`{option}' is no option that is known here")),
        };
    }
    Ok(select)
}

fn rafter(config: &mut Config, cluster: &Record, report: &mut Report) {
    cluster.set("RafterHeartbeat", &mut config.heartbeat_ms, report, number(10..=60_000));
    let election_timeout = &mut config.election_timeout_ms;
    cluster.set("RafterElectionTimeout", election_timeout, report, milliseconds_range);
    let (least, most) = config.election_timeout_ms;
    // A follower that misses one heartbeat must not stand for election.
    if least < config.heartbeat_ms.saturating_mul(2)
        && let Some(Setting { place, .. }) =
            cluster.get("RafterElectionTimeout").or_else(|| cluster.get("RafterHeartbeat"))
    {
        let text = format!(
            "RafterElectionTimeout ({least}-{most} ms) must begin at twice RafterHeartbeat \
             ({} ms) or more",
            config.heartbeat_ms
        );
        report.problem(place, text);
    }
    let days = &mut config.history_retention_days;
    cluster.set("RafterHistoryRetention", days, report, number(0..=36_500));
    cluster.set("RafterSnapshotEvery", &mut config.snapshot_every, report, number(16..=10_000_000));
    cluster.set("RafterLogKeep", &mut config.log_keep, report, number(0..=10_000_000));
    let lifetime = &mut config.certificate_lifetime_s;
    cluster.set("RafterCertificateLifetime", lifetime, report, number(10..=2_592_000));
    let hosts = |value: &str| Ok(hostlist(value)?.unique().iter().collect());
    cluster.set("RafterLoginHosts", &mut config.login_hosts, report, hosts);
}

/// `300-600`: two lengths of time in milliseconds, the second one longer.
fn milliseconds_range(value: &str) -> Result<(u32, u32), String> {
    let wanted = || "milliseconds are wanted, as in 300-600".to_owned();
    let (least, most) = value.split_once('-').ok_or_else(wanted)?;
    let read = |value| number(20..=600_000)(value).map_err(|_| wanted());
    let (least, most) = (read(least)?, read(most)?);
    if least < most { Ok((least, most)) } else { Err(wanted()) }
}
