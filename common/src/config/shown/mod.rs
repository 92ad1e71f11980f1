//! The configuration as `scontrol show config` prints it, key by key.

mod form;
mod table;

use form::Form;
use table::SHOWN;

use super::{Config, ControllerConf, EnforcePartLimits, MemoryPer};

/// What is shown with the configuration, but is not a part of it. Texts are printed as they are.
#[derive(Clone, Debug)]
pub struct Surroundings {
    /// When the controller that answers started.
    pub boot_time: String,
    pub next_job_id: u32,
    /// The path of `slurm.conf`.
    pub conf_path: String,
    pub version: String,
    /// The numbers of `SlurmUser` and `SlurmdUser`, where their names are known.
    pub slurm_user_id: Option<u32>,
    pub slurmd_user_id: Option<u32>,
}

/// Every key and its value, in the order and the spelling of Slurm 26.05; Rafter's own keys follow.
#[must_use]
pub fn shown(config: &Config, around: &Surroundings) -> Vec<(String, String)> {
    let mut pairs = vec![];
    for (key, form) in SHOWN {
        let set = config.settings.get(*key).map(String::as_str);
        match form {
            Form::Own => own(key, config, around, &mut pairs),
            Form::List => {
                let values = set.map(|value| form.print(Some(value)));
                pairs.extend(values.map(|value| (format!("{key}[0]"), value)));
            }
            Form::Text(_) | Form::Capitals(_) | Form::Unit(..) | Form::Time(_) | Form::YesNo => {
                pairs.push(((*key).to_owned(), form.print(set)));
            }
        }
    }
    pairs.extend(rafter(config));
    pairs
}

/// What `AccountingStorageTRES` begins with in any case.
const TRES: &str = "cpu,mem,energy,node,billing,fs/disk,vmem,pages";

/// The keys whose values the configuration holds, or that are no settings.
fn own(key: &str, config: &Config, around: &Surroundings, pairs: &mut Vec<(String, String)>) {
    let seconds = |seconds: u32| format!("{seconds} sec");
    let value = match key {
        "AccountingStorageTRES" => config
            .settings
            .get(key)
            .map_or_else(|| TRES.to_owned(), |more| format!("{TRES},{more}")),
        "BOOT_TIME" => around.boot_time.clone(),
        "ClusterName" => config.cluster_name.clone(),
        "DefMemPerNode" => return pairs.push(memory("DefMemPer", config.def_memory)),
        "MaxMemPerNode" => return pairs.push(memory("MaxMemPer", config.max_memory)),
        "EnforcePartLimits" => match config.enforce_part_limits {
            EnforcePartLimits::No => "NO".to_owned(),
            EnforcePartLimits::Any => "ANY".to_owned(),
            EnforcePartLimits::All => "ALL".to_owned(),
        },
        "FirstJobId" => config.first_job_id.to_string(),
        // The leader gives every replica the same configuration.
        "HASH_VAL" => "Match".to_owned(),
        "JobFileAppend" => u8::from(config.job_file_append).to_string(),
        "JobRequeue" => u8::from(config.job_requeue).to_string(),
        "KillWait" => seconds(config.kill_wait),
        "MaxDBDMsgs" => max_dbd_messages(config),
        "MaxJobCount" => config.max_job_count.to_string(),
        "MaxJobId" => config.max_job_id.to_string(),
        "MaxNodeCount" => config.nodes.len().to_string(),
        "MessageTimeout" => seconds(config.message_timeout),
        "MinJobAge" => seconds(config.min_job_age),
        "MULTIPLE_SLURMD" => "yes".to_owned(),
        "NEXT_JOB_ID" => around.next_job_id.to_string(),
        "ReturnToService" => config.return_to_service.to_string(),
        "SlurmUser" => user(&config.slurm_user, around.slurm_user_id),
        "SlurmdUser" => user(&config.slurmd_user, around.slurmd_user_id),
        "SlurmctldHost" => {
            let hosts = config.controllers.iter().enumerate();
            return pairs
                .extend(hosts.map(|(at, host)| (format!("{key}[{at}]"), controller(host))));
        }
        "SlurmctldPort" => port(config, key, "6817"),
        "SlurmdPort" => port(config, key, "6818"),
        "SlurmctldTimeout" => seconds(config.slurmctld_timeout),
        "SlurmdTimeout" => seconds(config.slurmd_timeout),
        "SlurmdSpoolDir" => config.slurmd_spool_dir.clone(),
        "StateSaveLocation" => config.state_save_location.clone(),
        "SLURM_CONF" => around.conf_path.clone(),
        "SLURM_VERSION" => around.version.clone(),
        _ => unreachable!("the table has no such key of its own: {key}"),
    };
    pairs.push((key.to_owned(), value));
}

fn memory(key: &str, memory: MemoryPer) -> (String, String) {
    match memory {
        MemoryPer::Unlimited => (format!("{key}Node"), "UNLIMITED".to_owned()),
        MemoryPer::Node(mib) => (format!("{key}Node"), mib.to_string()),
        MemoryPer::Cpu(mib) => (format!("{key}CPU"), mib.to_string()),
    }
}

/// Slurm's default grows with the cluster.
fn max_dbd_messages(config: &Config) -> String {
    let by_size = u64::from(config.max_job_count) * 2 + config.nodes.len() as u64 * 4;
    let set = config.settings.get("MaxDBDMsgs").cloned();
    set.unwrap_or_else(|| by_size.max(10_000).to_string())
}

fn user(name: &str, id: Option<u32>) -> String {
    id.map_or_else(|| name.to_owned(), |id| format!("{name}({id})"))
}

/// The host of a controller, with its address where that is not its name.
fn controller(host: &ControllerConf) -> String {
    let ControllerConf { name, address, .. } = host;
    if name == address { name.clone() } else { format!("{name}({address})") }
}

fn port(config: &Config, key: &str, default: &str) -> String {
    config.settings.get(key).cloned().unwrap_or_else(|| default.to_owned())
}

fn rafter(config: &Config) -> [(String, String); 7] {
    let (least, most) = config.election_timeout_ms;
    let hosts = &config.login_hosts;
    let hosts = if hosts.is_empty() {
        form::NULL.to_owned()
    } else {
        crate::hostlist::Hostlist::from_names(hosts).to_string()
    };
    let lifetime = config.certificate_lifetime_s;
    [
        ("RafterCertificateLifetime".to_owned(), format!("{lifetime} sec")),
        ("RafterElectionTimeout".to_owned(), format!("{least}-{most} ms")),
        ("RafterHeartbeat".to_owned(), format!("{} ms", config.heartbeat_ms)),
        ("RafterHistoryRetention".to_owned(), format!("{} days", config.history_retention_days)),
        ("RafterLogKeep".to_owned(), config.log_keep.to_string()),
        ("RafterLoginHosts".to_owned(), hosts),
        ("RafterSnapshotEvery".to_owned(), config.snapshot_every.to_string()),
    ]
}
