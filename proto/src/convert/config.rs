//! The cluster's configuration.

use common::config::{
    CERTIFICATE_LIFETIME_S, Config, ConfiguredState, ControllerConf, Enforce, EnforcePartLimits,
    LOG_KEEP, LicenseConf, MemoryPer, NodeConf, PartitionConf, PartitionState, SNAPSHOT_EVERY,
    SwitchConf,
};
use common::{cpus::Grain, job::MAX_ARRAY_SIZE};

use super::{enumeration, listed, need, preemption};
use crate::{Invalid, config as wire};

enumeration!(EnforcePartLimits, wire::EnforcePartLimits, "enforce_part_limits", {
    No = No, Any = Any, All = All,
});
enumeration!(ConfiguredState, wire::ConfiguredState, "state", {
    Unknown = Unknown, Down = Down, Drain = Drain,
});
enumeration!(PartitionState, wire::PartitionState, "state", {
    Up = Up, Down = Down, Drain = Drain, Inactive = Inactive,
});

/// A number, where it is not the one that holds by itself.
fn other_than(number: u32, default: u32) -> Option<u32> {
    (number != default).then_some(number)
}

impl From<MemoryPer> for wire::MemoryPer {
    fn from(memory: MemoryPer) -> Self {
        use wire::memory_per::Amount;
        let amount = match memory {
            MemoryPer::Unlimited => None,
            MemoryPer::Node(mib) => Some(Amount::Node(mib)),
            MemoryPer::Cpu(mib) => Some(Amount::Cpu(mib)),
        };
        Self { amount }
    }
}

impl From<wire::MemoryPer> for MemoryPer {
    fn from(wire: wire::MemoryPer) -> Self {
        use wire::memory_per::Amount;
        match wire.amount {
            None => Self::Unlimited,
            Some(Amount::Node(mib)) => Self::Node(mib),
            Some(Amount::Cpu(mib)) => Self::Cpu(mib),
        }
    }
}

impl From<&Config> for wire::Config {
    fn from(config: &Config) -> Self {
        Self {
            cluster_name: config.cluster_name.clone(),
            controllers: config.controllers.iter().map(Into::into).collect(),
            slurm_user: config.slurm_user.clone(),
            slurmd_user: config.slurmd_user.clone(),
            state_save_location: config.state_save_location.clone(),
            slurmd_spool_dir: config.slurmd_spool_dir.clone(),
            slurmd_timeout_s: config.slurmd_timeout,
            slurmctld_timeout_s: config.slurmctld_timeout,
            message_timeout_s: config.message_timeout,
            kill_wait_s: config.kill_wait,
            min_job_age_s: config.min_job_age,
            max_job_count: config.max_job_count,
            first_job_id: config.first_job_id,
            max_job_id: config.max_job_id,
            return_to_service: u32::from(config.return_to_service),
            job_requeue: config.job_requeue,
            job_file_append: config.job_file_append,
            enforce_part_limits: wire::EnforcePartLimits::from(config.enforce_part_limits).into(),
            kill_invalid_depend: config.kill_invalid_depend,
            max_array_size: other_than(config.max_array_size, MAX_ARRAY_SIZE),
            enforce: Some(config.enforce).filter(|all| all.associations).map(Into::into),
            select_memory: config.select_memory,
            grain: (config.grain != Grain::Cpu).then(|| wire::Grain::from(config.grain).into()),
            def_memory: Some(config.def_memory.into()),
            max_memory: Some(config.max_memory.into()),
            max_script_size: config.max_script_size,
            heartbeat_ms: config.heartbeat_ms,
            election_timeout_min_ms: config.election_timeout_ms.0,
            election_timeout_max_ms: config.election_timeout_ms.1,
            history_retention_days: config.history_retention_days,
            snapshot_every: other_than(config.snapshot_every, SNAPSHOT_EVERY),
            log_keep: other_than(config.log_keep, LOG_KEEP),
            certificate_lifetime_s: other_than(
                config.certificate_lifetime_s,
                CERTIFICATE_LIFETIME_S,
            ),
            login_hosts: config.login_hosts.clone(),
            gres_types: config.gres_types.clone(),
            licenses: config.licenses.iter().map(Into::into).collect(),
            preemption: preemption::settings(config),
            nodes: config.nodes.iter().map(Into::into).collect(),
            partitions: config.partitions.iter().map(Into::into).collect(),
            switches: config.switches.iter().map(Into::into).collect(),
            settings: config.settings.clone().into_iter().collect(),
        }
    }
}

impl TryFrom<wire::Config> for Config {
    type Error = Invalid;

    fn try_from(wire: wire::Config) -> Result<Self, Invalid> {
        Ok(Self {
            cluster_name: wire.cluster_name,
            controllers: all(wire.controllers)?,
            slurm_user: wire.slurm_user,
            slurmd_user: wire.slurmd_user,
            state_save_location: wire.state_save_location,
            slurmd_spool_dir: wire.slurmd_spool_dir,
            slurmd_timeout: wire.slurmd_timeout_s,
            slurmctld_timeout: wire.slurmctld_timeout_s,
            message_timeout: wire.message_timeout_s,
            kill_wait: wire.kill_wait_s,
            min_job_age: wire.min_job_age_s,
            max_job_count: wire.max_job_count,
            first_job_id: wire.first_job_id,
            max_job_id: wire.max_job_id,
            return_to_service: small(wire.return_to_service, "return_to_service")?,
            job_requeue: wire.job_requeue,
            job_file_append: wire.job_file_append,
            enforce_part_limits: listed::<wire::EnforcePartLimits, _>(
                wire.enforce_part_limits,
                "enforce_part_limits",
            )?,
            kill_invalid_depend: wire.kill_invalid_depend,
            max_array_size: wire.max_array_size.unwrap_or(MAX_ARRAY_SIZE),
            enforce: wire.enforce.map(Into::into).unwrap_or_default(),
            select_memory: wire.select_memory,
            grain: match wire.grain {
                None => Grain::Cpu,
                Some(grain) => listed::<wire::Grain, _>(grain, "grain")?,
            },
            def_memory: need(wire.def_memory, "def_memory")?.into(),
            max_memory: need(wire.max_memory, "max_memory")?.into(),
            max_script_size: wire.max_script_size,
            heartbeat_ms: wire.heartbeat_ms,
            election_timeout_ms: (wire.election_timeout_min_ms, wire.election_timeout_max_ms),
            history_retention_days: wire.history_retention_days,
            snapshot_every: wire.snapshot_every.unwrap_or(SNAPSHOT_EVERY),
            log_keep: wire.log_keep.unwrap_or(LOG_KEEP),
            certificate_lifetime_s: wire.certificate_lifetime_s.unwrap_or(CERTIFICATE_LIFETIME_S),
            login_hosts: wire.login_hosts,
            gres_types: wire.gres_types,
            licenses: wire.licenses.into_iter().map(Into::into).collect(),
            preemption: preemption::read(wire.preemption)?,
            nodes: all(wire.nodes)?,
            partitions: all(wire.partitions)?,
            switches: wire.switches.into_iter().map(Into::into).collect(),
            settings: wire.settings.into_iter().collect(),
        })
    }
}

impl From<&SwitchConf> for wire::Switch {
    fn from(conf: &SwitchConf) -> Self {
        let SwitchConf { name, switches, nodes } = conf.clone();
        Self { name, switches, nodes }
    }
}

impl From<wire::Switch> for SwitchConf {
    fn from(wire: wire::Switch) -> Self {
        let wire::Switch { name, switches, nodes } = wire;
        Self { name, switches, nodes }
    }
}

impl From<&LicenseConf> for wire::License {
    fn from(conf: &LicenseConf) -> Self {
        Self { name: conf.name.clone(), total: conf.total }
    }
}

impl From<wire::License> for LicenseConf {
    fn from(wire: wire::License) -> Self {
        Self { name: wire.name, total: wire.total }
    }
}

impl From<Enforce> for wire::Enforce {
    fn from(enforce: Enforce) -> Self {
        let Enforce { associations, limits, qos } = enforce;
        Self { associations, limits, qos }
    }
}

impl From<wire::Enforce> for Enforce {
    fn from(wire: wire::Enforce) -> Self {
        let wire::Enforce { associations, limits, qos } = wire;
        Self { associations, limits, qos }
    }
}

impl From<&ControllerConf> for wire::ControllerConf {
    fn from(conf: &ControllerConf) -> Self {
        Self { name: conf.name.clone(), address: conf.address.clone(), port: u32::from(conf.port) }
    }
}

impl TryFrom<wire::ControllerConf> for ControllerConf {
    type Error = Invalid;

    fn try_from(wire: wire::ControllerConf) -> Result<Self, Invalid> {
        let port = small(wire.port, "port")?;
        Ok(Self { name: wire.name, address: wire.address, port })
    }
}

impl From<&NodeConf> for wire::NodeConf {
    fn from(conf: &NodeConf) -> Self {
        Self {
            name: conf.name.clone(),
            hostname: conf.hostname.clone(),
            address: conf.address.clone(),
            port: u32::from(conf.port),
            cpus: conf.cpus,
            boards: conf.boards,
            sockets: conf.sockets,
            cores_per_socket: conf.cores_per_socket,
            threads_per_core: conf.threads_per_core,
            real_memory_mib: conf.real_memory_mib,
            tmp_disk_mib: conf.tmp_disk_mib,
            weight: conf.weight,
            features: conf.features.clone(),
            state: wire::ConfiguredState::from(conf.state).into(),
            reason: conf.reason.clone(),
            gres: conf.gres.iter().map(Into::into).collect(),
        }
    }
}

impl TryFrom<wire::NodeConf> for NodeConf {
    type Error = Invalid;

    fn try_from(wire: wire::NodeConf) -> Result<Self, Invalid> {
        Ok(Self {
            name: wire.name,
            hostname: wire.hostname,
            address: wire.address,
            port: small(wire.port, "port")?,
            cpus: wire.cpus,
            boards: wire.boards,
            sockets: wire.sockets,
            cores_per_socket: wire.cores_per_socket,
            threads_per_core: wire.threads_per_core,
            real_memory_mib: wire.real_memory_mib,
            tmp_disk_mib: wire.tmp_disk_mib,
            weight: wire.weight,
            features: wire.features,
            state: listed::<wire::ConfiguredState, _>(wire.state, "state")?,
            reason: wire.reason,
            gres: wire.gres.into_iter().map(Into::into).collect(),
        })
    }
}

impl From<&PartitionConf> for wire::Partition {
    fn from(conf: &PartitionConf) -> Self {
        Self {
            name: conf.name.clone(),
            nodes: conf.nodes.clone(),
            nodes_text: conf.nodes_text.clone(),
            default: conf.default,
            state: wire::PartitionState::from(conf.state).into(),
            max_time: Some(conf.max_time.into()),
            default_time: conf.default_time.map(Into::into),
            min_nodes: conf.min_nodes,
            max_nodes: conf.max_nodes,
            max_cpus_per_node: conf.max_cpus_per_node,
            priority_tier: u32::from(conf.priority_tier),
            priority_job_factor: u32::from(conf.priority_job_factor),
            exclusive: conf.exclusive,
            exclusive_user: conf.exclusive_user,
            lln: conf.lln,
            hidden: conf.hidden,
            root_only: conf.root_only,
            disable_root_jobs: conf.disable_root_jobs,
            def_memory: conf.def_memory.map(Into::into),
            max_memory: conf.max_memory.map(Into::into),
            allow_groups: conf.allow_groups.clone(),
            allow_accounts: conf.allow_accounts.clone(),
            deny_accounts: conf.deny_accounts.clone(),
            billing_weights: conf.billing_weights.clone(),
            allow_qos: conf.allow_qos.clone(),
            deny_qos: conf.deny_qos.clone(),
            qos: conf.qos.clone(),
            preempt_mode: preemption::mode(conf.preempt_mode),
            grace_time: conf.grace_time,
        }
    }
}

impl TryFrom<wire::Partition> for PartitionConf {
    type Error = Invalid;

    fn try_from(wire: wire::Partition) -> Result<Self, Invalid> {
        Ok(Self {
            name: wire.name,
            nodes: wire.nodes,
            nodes_text: wire.nodes_text,
            default: wire.default,
            state: listed::<wire::PartitionState, _>(wire.state, "state")?,
            max_time: need(wire.max_time, "max_time")?.into(),
            default_time: wire.default_time.map(Into::into),
            min_nodes: wire.min_nodes,
            max_nodes: wire.max_nodes,
            max_cpus_per_node: wire.max_cpus_per_node,
            priority_tier: small(wire.priority_tier, "priority_tier")?,
            priority_job_factor: small(wire.priority_job_factor, "priority_job_factor")?,
            exclusive: wire.exclusive,
            exclusive_user: wire.exclusive_user,
            lln: wire.lln,
            hidden: wire.hidden,
            root_only: wire.root_only,
            disable_root_jobs: wire.disable_root_jobs,
            def_memory: wire.def_memory.map(Into::into),
            max_memory: wire.max_memory.map(Into::into),
            allow_groups: wire.allow_groups,
            allow_accounts: wire.allow_accounts,
            deny_accounts: wire.deny_accounts,
            billing_weights: wire.billing_weights,
            allow_qos: wire.allow_qos,
            deny_qos: wire.deny_qos,
            qos: wire.qos,
            preempt_mode: preemption::mode_read(wire.preempt_mode)?,
            grace_time: wire.grace_time,
        })
    }
}

fn all<W, O: TryFrom<W, Error = Invalid>>(wires: Vec<W>) -> Result<Vec<O>, Invalid> {
    wires.into_iter().map(O::try_from).collect()
}

fn small<N: TryFrom<u32>>(value: u32, name: &'static str) -> Result<N, Invalid> {
    N::try_from(value).map_err(|_| Invalid::Range(name))
}
