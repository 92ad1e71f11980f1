//! The options of `SchedulerParameters` (slurm.conf(5)).

use super::{Key, honoured, idle};

const ALWAYS: &str = "what changes is planned at once, beside all that users call";
const ARRAYS: &str = "tasks of arrays are planned as other jobs are";
const CALLS: &str = "no call of a user waits for the scheduler, or it for them";
const ZERO: &str = "a job that asks for more licenses than there are is refused";
const LICENSES: &str = "licenses are planned ahead with the nodes in any case";
const HET: &str = "heterogeneous jobs are planned as all others are";
const HET_STEPS: &str = "there are no steps of several components";
const HET_WHOLE: &str =
    "what is done to a component is done to it alone, and what is done to the leader to all";
const LIMITS: &str = "limits of associations are not enforced";
const PASS: &str = "a pass looks at as many jobs as it takes, on a view of its own";
const RESERVE: &str = "nodes are kept for every job that waits";
const SLOTS: &str = "plans have an exact beginning, and become coarser with distance by themselves";
const STEPS: &str = "there are no job steps";
const TOPO: &str = "nodes are chosen without regard to the network between them";

/// In the order of their names.
pub(in crate::config) static SCHEDULER: &[Key] = &[
    idle("allow_zero_lic", ZERO),
    idle("assoc_limit_stop", LIMITS),
    idle("batch_sched_delay", ALWAYS),
    idle("bb_array_stage_cnt", "burst buffers are not managed"),
    idle("bf_allow_magnetic_slot", "who may be drawn in is planned so at once"),
    idle("bf_busy_nodes", "the first nodes that have room are taken"),
    idle("bf_continue", PASS),
    idle("bf_hetjob_immediate", HET),
    idle("bf_hetjob_prio", HET),
    idle("bf_ignore_newly_avail_nodes", PASS),
    idle("bf_interval", ALWAYS),
    honoured("bf_job_part_count_reserve"),
    idle("bf_licenses", LICENSES),
    idle("bf_max_job_array_resv", ARRAYS),
    idle("bf_max_job_assoc", LIMITS),
    honoured("bf_max_job_part"),
    idle("bf_max_job_start", PASS),
    honoured("bf_max_job_test"),
    honoured("bf_max_job_user"),
    honoured("bf_max_job_user_part"),
    idle("bf_max_time", PASS),
    idle("bf_min_age_reserve", RESERVE),
    idle("bf_min_prio_reserve", RESERVE),
    idle("bf_node_space_size", SLOTS),
    idle("bf_one_resv_per_job", "a job waits in one partition"),
    honoured("bf_resolution"),
    idle("bf_running_job_reserve", "what runs is always a part of the plan"),
    idle("bf_topopt_enable", TOPO),
    idle("bf_topopt_iterations", TOPO),
    honoured("bf_window"),
    idle("bf_window_linear", SLOTS),
    idle("bf_yield_interval", CALLS),
    idle("bf_yield_rpc_cnt", CALLS),
    idle("bf_yield_sleep", CALLS),
    idle("build_queue_timeout", PASS),
    idle("correspond_after_task_cnt", ARRAYS),
    idle("default_queue_depth", PASS),
    idle("defer", ALWAYS),
    idle("defer_batch", ALWAYS),
    idle("delay_boot", "nodes are not switched off and on"),
    idle("disable_hetjob_steps", HET_STEPS),
    idle("disable_job_shrink", "jobs do not change their size"),
    idle("enable_hetjob_steps", HET_STEPS),
    idle("enable_job_state_cache", CALLS),
    idle("enable_user_top", "scontrol top is not among the commands"),
    idle("extra_constraints", "a job that asks for some is refused"),
    idle("ignore_constraint_validation", "a job that asks for some is refused"),
    idle("ignore_numa", "CPUs are counted as they are configured"),
    idle("ignore_prefer_validation", "a job that asks for some is refused"),
    honoured("kill_invalid_depend"),
    idle("max_array_tasks", ARRAYS),
    idle("max_depend_depth", "see the job's dependency"),
    idle("max_rpc_cnt", CALLS),
    idle("max_sched_time", PASS),
    honoured("max_script_size"),
    idle("max_submit_line_size", "the line is cut as the command sends it"),
    honoured("max_switch_wait"),
    idle("no_backup_scheduling", "the leader alone schedules"),
    idle("no_env_cache", "the environment is that of the submitting process"),
    idle("nohold_on_prolog_fail", "no prolog is run"),
    idle("pack_serial_at_end", "the first nodes that have room are taken"),
    idle("partition_job_depth", PASS),
    honoured("preempt_reorder_count"),
    idle("preempt_send_user_signal", "who makes way is sent SIGCONT and SIGTERM"),
    idle("preempt_strict_order", "the lowest of those that suffice make way in any case"),
    honoured("preempt_youngest_first"),
    idle("reduce_completing_frag", "a node that a job leaves is planned with at once"),
    idle("requeue_setup_env_fail", "the environment is that of the submitting process"),
    idle("salloc_wait_nodes", STEPS),
    idle("sbatch_wait_nodes", STEPS),
    idle("sched_interval", ALWAYS),
    idle("sched_max_job_start", PASS),
    idle("sched_min_interval", ALWAYS),
    idle("spec_cores_first", "no cores are set apart"),
    idle("step_retry_count", STEPS),
    idle("step_retry_time", STEPS),
    idle("time_min_as_soft_limit", "a job that asks for a least time is refused"),
    idle("whole_hetjob", HET_WHOLE),
    idle("whole_pack", HET_WHOLE),
];
