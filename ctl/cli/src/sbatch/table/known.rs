//! The options that are honoured.

use super::{Ask, Opt, Row};

pub(super) const KNOWN: &[Row] = &[
    Row::value("account", "NAME", Opt::Account)
        .short('A')
        .or(&["SBATCH_ACCOUNT"])
        .help("Charge this account"),
    Row::value("array", "NUMBERS", Opt::Array)
        .short('a')
        .or(&["SBATCH_ARRAY_INX"])
        .help("Make an array of jobs: 0-15, 1,3-7:2, and %N for N at a time at most"),
    Row::value("begin", "TIME", Opt::Begin).short('b').help("Do not start before this time"),
    Row::value("chdir", "FOLDER", Opt::Chdir).short('D').help("Work in this folder"),
    Row::value("clusters", "NAME", Opt::Clusters)
        .short('M')
        .also(&["cluster"])
        .or(&["SBATCH_CLUSTERS", "SLURM_CLUSTERS"])
        .help("The cluster, which must be this one"),
    Row::value("comment", "TEXT", Opt::Comment).help("Keep this remark with the job"),
    Row::value("constraint", "FEATURES", Opt::Constraint)
        .short('C')
        .or(&["SBATCH_CONSTRAINT"])
        .help("Features of the nodes: a&b, a|b, a*2 (on two of them), [a|b] (the same on all)"),
    Row::flag("contiguous", Opt::Ask(Ask::Contiguous))
        .help("Nodes that follow each other in the configuration"),
    Row::value("core-spec", "N", Opt::CoreSpec).short('S').or(&["SBATCH_CORE_SPEC"]),
    Row::value("cores-per-socket", "N", Opt::Ask(Ask::CoresPerSocket))
        .help("Nodes whose sockets have so many cores at least"),
    Row::value("cpus-per-gpu", "N", Opt::CpusPerGpu)
        .or(&["SBATCH_CPUS_PER_GPU"])
        .help("CPUs for each GPU"),
    Row::value("cpus-per-task", "N", Opt::CpusPerTask).short('c').help("CPUs for each task"),
    Row::value("deadline", "TIME", Opt::Ask(Ask::Deadline)).help("Be over by then, or do not run"),
    Row::value("dependency", "KIND:JOBS", Opt::Dependency).short('d').help(
        "Start once other jobs have: after, afterany, afterok, afternotok, aftercorr; singleton",
    ),
    Row::value("error", "FILE", Opt::Error)
        .short('e')
        .or(&["SBATCH_ERROR"])
        .help("Write stderr here; a pattern, as for --output"),
    Row::value("exclude", "NODES", Opt::Exclude).short('x').help("Do not run on these nodes"),
    Row::may_value("exclusive", "KIND", Opt::Exclusive)
        .or(&["SBATCH_EXCLUSIVE"])
        .help("Take whole nodes; user: share them with one's own jobs alone"),
    Row::value("export", "NAMES", Opt::Export)
        .or(&["SBATCH_EXPORT"])
        .help("What the job gets of this environment: ALL, NONE, NIL, or NAME[=VALUE],..."),
    Row::value("export-file", "FILE", Opt::ExportFile)
        .help("Take the environment from this file (or descriptor): NAME=VALUE, each with a NUL"),
    Row::value("extra-node-info", "S[:C[:T]]", Opt::Ask(Ask::ExtraNodeInfo))
        .short('B')
        .help("--sockets-per-node, --cores-per-socket and --threads-per-core; * for any"),
    Row::value("gid", "GROUP", Opt::Identity),
    Row::value("gpus", "[TYPE:]N", Opt::Gpus)
        .short('G')
        .or(&["SBATCH_GPUS"])
        .help("GPUs on all nodes together"),
    Row::value("gpus-per-node", "[TYPE:]N", Opt::GpusPerNode)
        .or(&["SBATCH_GPUS_PER_NODE"])
        .help("GPUs on each node"),
    Row::value("gpus-per-task", "[TYPE:]N", Opt::GpusPerTask)
        .or(&["SBATCH_GPUS_PER_TASK"])
        .help("GPUs for each task"),
    Row::value("gres", "NAME[:TYPE]:N", Opt::Gres)
        .or(&["SBATCH_GRES"])
        .help("Generic resources on each node, such as gpu:2 or gpu:a100:2,tmp:1"),
    Row::flag("help", Opt::Answered).short('h'),
    Row::value("hint", "KIND", Opt::Ask(Ask::Hint))
        .or(&["SBATCH_HINT", "SLURM_HINT"])
        .help("nomultithread or compute_bound: one thread of each core; multithread: all of them"),
    Row::flag("hold", Opt::Hold).short('H').help("Wait to be released"),
    Row::flag("ignore-pbs", Opt::IgnorePbs)
        .or(&["SBATCH_IGNORE_PBS"])
        .help("Take #PBS and #BSUB lines for comments"),
    Row::value("input", "FILE", Opt::Input)
        .short('i')
        .or(&["SBATCH_INPUT"])
        .help("Read stdin from here"),
    Row::value("job-name", "NAME", Opt::JobName)
        .short('J')
        .or(&["SBATCH_JOB_NAME"])
        .help("Name the job"),
    Row::value("kill-on-invalid-dep", "YES|NO", Opt::KillOnInvalidDep)
        .help("Cancel it once its dependency can not be satisfied any more"),
    Row::value("licenses", "NAME[:N]", Opt::Ask(Ask::Licenses))
        .short('L')
        .help("Licenses of the cluster: matlab:2,ansys"),
    Row::value("mail-type", "TYPES", Opt::MailType),
    Row::value("mail-user", "ADDRESS", Opt::MailUser),
    Row::value("mem", "SIZE", Opt::Mem)
        .or(&["SBATCH_MEM_PER_NODE"])
        .help("Memory on each node: MiB, or with K, M, G or T; 0 is all"),
    Row::value("mem-per-cpu", "SIZE", Opt::MemPerCpu)
        .or(&["SBATCH_MEM_PER_CPU"])
        .help("Memory for each CPU"),
    Row::value("mem-per-gpu", "SIZE", Opt::MemPerGpu)
        .or(&["SBATCH_MEM_PER_GPU"])
        .help("Memory for each GPU"),
    Row::value("mincpus", "N", Opt::MinCpus).help("At least so many CPUs on each node"),
    Row::may_value("nice", "N", Opt::Nice).help("Lower the priority by so much, 100 by itself"),
    Row::flag("no-requeue", Opt::NoRequeue)
        .or(&["SBATCH_NO_REQUEUE"])
        .help("Do not run it again when a node fails"),
    Row::value("nodefile", "FILE", Opt::Nodefile)
        .short('F')
        .help("Run on the nodes at least that the file names, unless --nodelist does"),
    Row::value("nodelist", "NODES", Opt::Nodelist).short('w').help("Run on these nodes at least"),
    Row::value("nodes", "N[-MAX]", Opt::Nodes).short('N').help("How many nodes"),
    Row::value("ntasks", "N", Opt::Ntasks).short('n').help("How many tasks"),
    Row::value("ntasks-per-core", "N", Opt::Ask(Ask::NtasksPerCore))
        .help("The most tasks on a core"),
    Row::value("ntasks-per-node", "N", Opt::NtasksPerNode)
        .also(&["tasks-per-node"])
        .help("How many tasks on each node"),
    Row::value("open-mode", "MODE", Opt::OpenMode)
        .or(&["SBATCH_OPEN_MODE"])
        .help("append to the files of output, or truncate them"),
    Row::value("output", "FILE", Opt::Output)
        .short('o')
        .or(&["SBATCH_OUTPUT"])
        .help("Write stdout here; a pattern: %j is the id, %x the name, %N the node, %u the user"),
    Row::flag("parsable", Opt::Parsable).help("Print the job's id alone"),
    Row::value("partition", "NAMES", Opt::Partition)
        .short('p')
        .or(&["SBATCH_PARTITION"])
        .help("Run in this partition, or in the first of several that can"),
    Row::value("priority", "N|TOP", Opt::Ask(Ask::Priority)).help("For operators: this priority"),
    Row::may_value("propagate", "LIMITS", Opt::Propagate)
        .help("Which limits (ulimit) go along: ALL, NONE, or names such as NOFILE,STACK"),
    Row::value("qos", "NAME", Opt::Qos)
        .short('q')
        .or(&["SBATCH_QOS"])
        .help("Run with this quality of service"),
    Row::flag("quiet", Opt::Quiet).short('Q').help("Say nothing but errors"),
    Row::may_value("requeue", "HOW", Opt::Requeue)
        .or(&["SBATCH_REQUEUE"])
        .help("Run it again when a node fails"),
    Row::value("reservation", "NAMES", Opt::Reservation)
        .or(&["SBATCH_RESERVATION"])
        .help("Run in one of these reservations"),
    Row::value("signal", "[B:]SIGNAL[@S]", Opt::Signal).or(&["SBATCH_SIGNAL"]).help(
        "Send this signal so many seconds before the time limit; with B: to the script alone",
    ),
    Row::value("sockets-per-node", "N", Opt::Ask(Ask::SocketsPerNode))
        .help("Nodes that have so many sockets at least"),
    Row::flag("spread-job", Opt::Ask(Ask::SpreadJob))
        .or(&["SBATCH_SPREAD_JOB"])
        .help("As many nodes as may be, with about as many tasks on each"),
    Row::value("switches", "N[@TIME]", Opt::Ask(Ask::Switches))
        .or(&["SBATCH_REQ_SWITCH"])
        .help("Nodes beside so few switches, and how long to wait for such"),
    Row::flag("test-only", Opt::TestOnly).help("Submit nothing, and say when it would start"),
    Row::value("thread-spec", "N", Opt::ThreadSpec).or(&["SBATCH_THREAD_SPEC"]),
    Row::value("threads-per-core", "N", Opt::Ask(Ask::ThreadsPerCore))
        .or(&["SBATCH_THREADS_PER_CORE"])
        .help("Nodes whose cores have so many threads, and use no more of each"),
    Row::value("time", "TIME", Opt::Time)
        .short('t')
        .or(&["SBATCH_TIMELIMIT"])
        .help("Time limit: minutes, mm:ss, hh:mm:ss, d-hh[:mm[:ss]], or UNLIMITED"),
    Row::value("time-min", "TIME", Opt::Ask(Ask::TimeMin))
        .help("The time limit may be as short, if it starts sooner then"),
    Row::value("tmp", "SIZE", Opt::Tmp)
        .help("Temporary disk that each node has: MiB, or with K, M, G or T"),
    Row::value("uid", "USER", Opt::Identity),
    Row::flag("usage", Opt::Answered),
    Row::flag("use-min-nodes", Opt::Ask(Ask::UseMinNodes))
        .or(&["SBATCH_USE_MIN_NODES"])
        .help("Of a range of nodes, no more than the tasks need; so it is in any case"),
    Row::flag("verbose", Opt::Verbose)
        .short('v')
        .or(&["SBATCH_DEBUG"])
        .help("Say which options hold"),
    Row::flag("version", Opt::Answered).short('V'),
    Row::flag("wait", Opt::Wait)
        .short('W')
        .or(&["SBATCH_WAIT"])
        .help("Wait for the job's end, and end as it does"),
    Row::value("wrap", "COMMAND", Opt::Wrap).help("Submit this command instead of a script"),
];
