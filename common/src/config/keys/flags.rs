//! The options of `PriorityFlags` (slurm.conf(5)).

use super::{Key, honoured, idle, refused};

/// In the order of their names.
pub(in crate::config) static PRIORITY_FLAGS: &[Key] = &[
    honoured("ACCRUE_ALWAYS"),
    idle("CALCULATE_RUNNING", "nothing depends on the priority of a job that runs"),
    refused("DEPTH_OBLIVIOUS", "shares are weighed by Fair Tree, or as NO_FAIR_TREE says"),
    idle("FAIR_TREE", "it is so here in any case"),
    refused("INCR_ONLY", "a priority follows from how things are, and falls with them"),
    honoured("MAX_TRES"),
    honoured("MAX_TRES_GRES"),
    honoured("NO_FAIR_TREE"),
    honoured("NO_NORMAL_ALL"),
    honoured("NO_NORMAL_ASSOC"),
    honoured("NO_NORMAL_PART"),
    honoured("NO_NORMAL_QOS"),
    honoured("NO_NORMAL_TRES"),
    honoured("SMALL_RELATIVE_TO_TIME"),
];
