//! What few jobs ask for.

use common::{
    count,
    job::{LicenseError, Licenses, Switches},
    time::TimeLimit,
};

use super::{
    Asked,
    apply::{Setting, moment},
};
use crate::sbatch::{complaint::Complaint, table::Ask};

impl Asked {
    pub(super) fn ask(
        &mut self,
        ask: Ask,
        (long, text): (&str, &str),
        setting: Setting<'_>,
    ) -> Result<(), Complaint> {
        let number =
            || count::parse_positive(text).map(Some).ok_or_else(|| Complaint::number(long, text));
        let cores = &mut self.asks.cores;
        let placing = &mut self.asks.placing;
        match ask {
            Ask::Contiguous => placing.contiguous = true,
            Ask::SpreadJob => placing.spread = true,
            Ask::Switches => placing.switches = Some(switches(text)?),
            Ask::UseMinNodes => placing.use_min_nodes = true,
            Ask::Deadline => self.asks.deadline = Some(moment("deadline", text, setting)?),
            Ask::Licenses => self.asks.licenses = licenses(text)?,
            Ask::Priority => self.asks.priority = Some(priority(text)?),
            Ask::TimeMin => self.asks.time_min = Some(time_min(text)?),
            Ask::CoresPerSocket => cores.cores = number()?,
            Ask::NtasksPerCore => cores.tasks_per_core = number()?,
            Ask::SocketsPerNode => cores.sockets = number()?,
            Ask::ThreadsPerCore => cores.threads = number()?,
            Ask::ExtraNodeInfo => self.ask_for_cores(long, text)?,
            Ask::Hint => match text.to_ascii_lowercase().as_str() {
                "nomultithread" | "compute_bound" => cores.threads = Some(1),
                "multithread" => cores.threads = None,
                "memory_bound" => {
                    let why = "a job can't have one core of each socket; see --threads-per-core";
                    return Err(Complaint::unsupported("hint=memory_bound", why));
                }
                "help" => {
                    return Err(Complaint::unsupported("hint=help", "see sbatch --help"));
                }
                _ => {
                    let wrong = format!("unrecognized --hint argument \"{text}\", see --hint=help");
                    return Err(Complaint::error(wrong));
                }
            },
        }
        Ok(())
    }

    /// `--exclusive`: the last one counts.
    pub(super) fn ask_for_alone(&mut self, value: Option<&str>) -> Result<(), Complaint> {
        let user = exclusive(value)? == Whose::User;
        (self.exclusive, self.asks.placing.user_alone) = (!user, user);
        Ok(())
    }

    /// `--extra-node-info`: sockets, cores and threads, each a number, or `*` for any.
    fn ask_for_cores(&mut self, long: &str, text: &str) -> Result<(), Complaint> {
        let mut parts = text.split(':').map(|part| match part {
            "*" => Ok(None),
            part => {
                count::parse_positive(part).map(Some).ok_or_else(|| Complaint::specification(long))
            }
        });
        let cores = &mut self.asks.cores;
        for field in [&mut cores.sockets, &mut cores.cores, &mut cores.threads] {
            match parts.next() {
                Some(part) => *field = part?,
                None => return Ok(()),
            }
        }
        if parts.next().is_some() { Err(Complaint::specification(long)) } else { Ok(()) }
    }
}

/// Whose jobs alone are on a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Whose {
    Job,
    User,
}

fn exclusive(value: Option<&str>) -> Result<Whose, Complaint> {
    let Some(kind) = value else { return Ok(Whose::Job) };
    let kind = kind.to_ascii_lowercase();
    match kind.as_str() {
        "exclusive" => Ok(Whose::Job),
        "user" => Ok(Whose::User),
        "mcs" | "topo" => {
            let why = "a node is for one job, for one user's, or shared";
            Err(Complaint::unsupported(&format!("exclusive={kind}"), why))
        }
        _ => Err(Complaint::specification("exclusive")),
    }
}

/// Slurm's controller reads them, so they are wrong in the controller's words.
fn licenses(text: &str) -> Result<Licenses, Complaint> {
    Licenses::parse(text).map_err(|error| match error {
        LicenseError::Malformed => {
            Complaint::error(format!("Batch job submission failed: {error}"))
        }
        LicenseError::Alternatives => {
            Complaint::unsupported("licenses with |", "ask for one of them")
        }
    })
}

fn switches(text: &str) -> Result<Switches, Complaint> {
    Switches::parse(text).map_err(|_| Complaint::specification("switches"))
}

fn time_min(text: &str) -> Result<TimeLimit, Complaint> {
    TimeLimit::parse(text).map_err(|_| Complaint::specification("time-min"))
}

/// Above this Slurm takes no priority. `TOP` is the highest below.
const MOST_PRIORITY: u32 = 4_294_967_294;

/// Slurm takes a word for 0, and 0 for no priority at all.
fn priority(text: &str) -> Result<u32, Complaint> {
    if text.eq_ignore_ascii_case("TOP") {
        return Ok(MOST_PRIORITY - 1);
    }
    if text.starts_with('-') {
        return Err(Complaint::senseless("Priority must be >= 0"));
    }
    match text.parse::<u64>() {
        Ok(0) | Err(_) => Err(Complaint::number("priority", text)),
        Ok(number) => u32::try_from(number)
            .ok()
            .filter(|number| *number < MOST_PRIORITY)
            .ok_or_else(|| Complaint::senseless(format!("Priority must be < {MOST_PRIORITY}"))),
    }
}

#[cfg(test)]
mod tests {
    use common::{job::CoreAsk, time::Timestamp};
    use jiff::tz::TimeZone;

    use super::Asked;
    use crate::sbatch::asked::{Level, Setting};

    fn read(line: &str) -> Result<CoreAsk, String> {
        let zone = TimeZone::UTC;
        let setting = Setting { now: Timestamp(0), zone: &zone, root: false };
        let words: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
        let mut asked = Asked::default();
        let read = asked.read(Level::CommandLine, &words, setting, "sbatch");
        read.map(|_| asked.asks.cores).map_err(|complaint| format!("{complaint:?}"))
    }

    #[test]
    fn sockets_cores_and_threads_are_asked_for() {
        let ask = |sockets, cores, threads, tasks_per_core| {
            Ok(CoreAsk { sockets, cores, threads, tasks_per_core })
        };
        assert_eq!(read("-B 2:4:1"), ask(Some(2), Some(4), Some(1), None));
        assert_eq!(read("-B 2"), ask(Some(2), None, None, None));
        assert_eq!(read("--extra-node-info=*:4"), ask(None, Some(4), None, None));
        let each = "--sockets-per-node=2 --cores-per-socket=3 --threads-per-core=4";
        assert_eq!(read(each), ask(Some(2), Some(3), Some(4), None));
        assert_eq!(read("--ntasks-per-core=2"), ask(None, None, None, Some(2)));
        for one in ["nomultithread", "compute_bound"] {
            assert_eq!(read(&format!("--hint={one}")), ask(None, None, Some(1), None));
        }
        assert_eq!(read("--hint=nomultithread --hint=multithread"), ask(None, None, None, None));
    }

    #[test]
    fn nonsense_of_cores_is_refused() {
        for wrong in ["-B 0", "-B 1:2:3:4", "-B x", "--threads-per-core=0", "--hint=fast"] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
        let bound = read("--hint=memory_bound").expect_err("it is not supported");
        assert!(bound.contains("hint=memory_bound") && bound.contains("not supported"), "{bound}");
        assert!(read("--ntasks-per-socket=1").is_err(), "refused by name");
    }
}
