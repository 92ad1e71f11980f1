//! The scheduler's scenarios, played by the real Slurm: what it starts, what it refuses and why
//! the others wait, held against what the scenarios say of ours.
//!
//! The real one decides of each job as it comes. Where it matters that it knows of all of them,
//! jobs are submitted while all partitions are down; it refuses more then.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::PathBuf,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail};
use tempfile::TempDir;

use crate::{
    slurm::Slurm,
    wait::Interrupt,
    workspace::{output, root},
};

const FOLDER: &str = "ctl/sched/tests/scenarios";

/// Slurm's scheduler looks again so often. It changes none of what it decides.
const OFTEN: &str = "bf_interval=1,sched_interval=1,batch_sched_delay=0";

#[derive(clap::Args)]
pub(crate) struct Options {
    /// These alone, by the names of their files
    names: Vec<String>,
}

/// `cargo xtask sim scenarios`.
///
/// # Errors
/// Where there is no Slurm to ask. Differences are shown, and are no failure: some are meant.
pub(crate) fn compare(options: &Options) -> Result<()> {
    let interrupt = Interrupt::listen()?;
    let folder = root().join(FOLDER);
    let files = fs::read_dir(&folder).with_context(|| folder.display().to_string())?;
    let mut files: Vec<PathBuf> = files.map(|file| Ok(file?.path())).collect::<Result<_>>()?;
    files.sort();
    let (mut same, mut others) = (0, 0);
    for file in files {
        interrupt.check()?;
        let name = file.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let named = options.names.is_empty() || options.names.contains(&name);
        if !named || file.extension().is_none_or(|extension| extension != "txt") {
            continue;
        }
        let text = fs::read_to_string(&file)?;
        match Scenario::read(&text) {
            Err(why) => println!("{name}: not asked: {why}"),
            Ok(scenario) => {
                let played = play(&scenario, &interrupt).with_context(|| name.clone())?;
                let until = played.until.map(|why| format!(", up to {why}")).unwrap_or_default();
                let looks = played.looks;
                match played.differences.is_empty() {
                    true => println!("{name}: the same ({looks} looks{until})"),
                    false => println!("{name}: differs ({looks} looks{until})"),
                }
                for difference in &played.differences {
                    println!("    {difference}");
                }
                same += usize::from(played.differences.is_empty());
                others += usize::from(!played.differences.is_empty());
            }
        }
    }
    println!("\n{same} the same, {others} differ");
    Ok(())
}

/// One command of a scenario, and what ours answers.
struct Step<'a> {
    command: &'a str,
    answer: Vec<&'a str>,
}

struct Scenario<'a> {
    settings: String,
    /// Those that are down while jobs are submitted.
    partitions: Vec<&'a str>,
    /// A job that ends well can't be told from one that is cancelled.
    depends: bool,
    steps: Vec<Step<'a>>,
}

impl<'a> Scenario<'a> {
    /// # Errors
    /// Why the real one can't be asked.
    fn read(text: &'a str) -> Result<Self, &'static str> {
        let (conf, story) = text.split_once("\n\n").ok_or("it has no configuration")?;
        // A table of accounts begins with its cluster, and needs a database there.
        if conf.lines().any(|line| line.starts_with("Cluster - ")) {
            return Err("it has accounts");
        }
        let out_of_use = |line: &str| line.starts_with("NodeName=") && line.contains(" State=");
        if conf.lines().any(out_of_use) {
            return Err("it begins with nodes out of use");
        }
        if ["--user=", " -A=", " -q="].iter().any(|option| story.contains(option)) {
            return Err("it has users or accounts");
        }
        let mut settings = String::new();
        let mut parameters = OFTEN.to_owned();
        for line in conf.lines() {
            match line.strip_prefix("SchedulerParameters=") {
                Some(more) => parameters = format!("{parameters},{more}"),
                None => settings = format!("{settings}{line}\n"),
            }
        }
        settings = format!("{settings}SchedulerParameters={parameters}\n");
        let partitions = conf.lines().filter_map(|line| line.strip_prefix("PartitionName="));
        let together = conf.contains("PriorityTier=") || story.contains("--nice=");
        let partitions = partitions.filter(|_| together);
        let partitions = partitions.filter_map(|rest| rest.split(' ').next()).collect();
        let depends = story.contains(" -d=");
        let mut steps: Vec<Step<'a>> = Vec::new();
        for line in story.lines().filter(|line| !line.starts_with('#')) {
            match (line.strip_prefix("> "), steps.last_mut()) {
                (Some(command), _) => steps.push(Step { command, answer: vec![] }),
                (None, Some(step)) if !line.is_empty() => step.answer.push(line),
                (None, _) => {}
            }
        }
        Ok(Self { settings, partitions, depends, steps })
    }
}

struct Played {
    looks: usize,
    differences: Vec<String>,
    /// What the real one can't be asked to do; nothing behind it was played.
    until: Option<String>,
}

/// A job's state, or that of a task: `1_3`.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Seen {
    runs: bool,
    reason: String,
    nodes: usize,
    cpus: usize,
}

struct Player<'a> {
    scenario: &'a Scenario<'a>,
    slurm: Slurm,
    interrupt: &'a Interrupt,
    /// The real one's number of each of our jobs.
    numbers: BTreeMap<&'a str, String>,
    ran: BTreeSet<String>,
    played: Played,
}

fn play(scenario: &Scenario<'_>, interrupt: &Interrupt) -> Result<Played> {
    let folder = TempDir::with_prefix("rafter-scenario-")?;
    let slurm = Slurm::raise(folder.path(), &scenario.settings, interrupt)?;
    let played = Played { looks: 0, differences: vec![], until: None };
    let (numbers, ran) = (BTreeMap::new(), BTreeSet::new());
    let mut player = Player { scenario, slurm, interrupt, numbers, ran, played };
    player.partitions("DOWN")?;
    for step in &scenario.steps {
        if !player.step(step)? {
            player.played.until = Some(step.command.to_owned());
            break;
        }
    }
    Ok(player.played)
}

impl<'a> Player<'a> {
    /// Whether the real one could be asked.
    fn step(&mut self, step: &Step<'a>) -> Result<bool> {
        let (verb, rest) = step.command.split_once(' ').unwrap_or((step.command, ""));
        match verb {
            "submit" => self.submit(rest, step)?,
            "start" => self.look(step)?,
            "plan" => {
                // The real one can't plan without starting.
                let alone = self.scenario.steps.last().is_some_and(|last| std::ptr::eq(last, step));
                self.look(step)?;
                return Ok(alone);
            }
            "end" if self.scenario.depends => return Ok(false),
            "end" => self.end(rest)?,
            "hold" => self.control(&["hold", &self.job(rest)?])?,
            "limit" => {
                let (array, limit) = rest.split_once(' ').context("an array and a number")?;
                let array = format!("JobId={}", self.job(array)?);
                self.control(&["update", &array, &format!("ArrayTaskThrottle={limit}")])?;
            }
            "node" => {
                let (name, state) = rest.split_once(' ').context("a node and a state")?;
                let name = format!("NodeName={name}");
                let set = |state| self.control(&["update", &name, state, "Reason=test"]);
                // A node of the cloud that is drained is not resumed by that word.
                set(&format!("State={state}")).or_else(|error| match state {
                    "resume" => set("State=undrain"),
                    _ => Err(error),
                })?;
            }
            "why" | "holds" => {}
            _ => return Ok(false),
        }
        Ok(true)
    }

    fn control(&self, words: &[&str]) -> Result<()> {
        output(self.slurm.command("scontrol").args(words)).map(drop)
    }

    fn partitions(&self, state: &str) -> Result<()> {
        let state = format!("State={state}");
        for name in &self.scenario.partitions {
            self.control(&["update", &format!("PartitionName={name}"), &state])?;
        }
        Ok(())
    }

    /// The real one's name of a job or a task.
    fn job(&self, ours: &str) -> Result<String> {
        let (job, task) = match ours.split_once('_') {
            Some((job, task)) => (job, format!("_{task}")),
            None => (ours, String::new()),
        };
        let number = self.numbers.get(job).with_context(|| format!("job {job}"))?;
        Ok(format!("{number}{task}"))
    }

    fn submit(&mut self, options: &str, step: &Step<'a>) -> Result<()> {
        let mut words = Vec::new();
        for option in options.split(' ').filter(|option| !option.is_empty()) {
            let (name, value) = option.split_once('=').unwrap_or((option, ""));
            let value = match name {
                "-d" => self.dependency(value)?,
                _ => value.to_owned(),
            };
            match name.starts_with("--") {
                true => words.push(option.to_owned()),
                false => words.push(format!("{name}{value}")),
            }
        }
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let ours = step.answer.first().and_then(|line| line.strip_prefix("job "));
        match (ours, self.slurm.submit(&words)) {
            (Some(ours), Ok(theirs)) => {
                self.numbers.insert(ours, theirs);
            }
            (None, Err(_)) => {}
            (Some(ours), Err(error)) => {
                self.differs(format!("{}: ours is job {ours}; {error:#}", step.command));
            }
            (None, Ok(theirs)) => {
                let ours = step.answer.join(" ");
                self.differs(format!("{}: ours is {ours}; theirs is taken", step.command));
                self.control(&["hold", &theirs])?;
            }
        }
        Ok(())
    }

    /// A dependency on their numbers.
    fn dependency(&self, ours: &str) -> Result<String> {
        let mut theirs = String::new();
        let mut rest = ours;
        while let Some(at) = rest.find(':') {
            let (before, behind) = rest.split_at(at + 1);
            let length = behind.find(|letter: char| !letter.is_ascii_digit());
            let (number, after) = behind.split_at(length.unwrap_or(behind.len()));
            theirs = format!("{theirs}{before}{}", self.job(number)?);
            rest = after;
        }
        Ok(theirs + rest)
    }

    fn differs(&mut self, what: String) {
        self.played.differences.push(what);
    }

    fn end(&mut self, ours: &str) -> Result<()> {
        let theirs = self.job(ours)?;
        output(self.slurm.command("scancel").arg(&theirs))?;
        self.interrupt.until("waiting for a job to end", Duration::from_secs(60), || {
            Ok((!self.seen()?.contains_key(&theirs)).then_some(()))
        })?;
        self.ran.remove(&theirs);
        Ok(())
    }

    /// What waits or runs, by name.
    fn seen(&self) -> Result<BTreeMap<String, Seen>> {
        let words = ["-h", "-r", "-a", "-t", "PD,CF,R", "-o", "%i|%T|%r|%D|%C"];
        let said = output(self.slurm.command("squeue").args(words))?;
        let line = |line: &str| {
            let parts: Vec<&str> = line.split('|').collect();
            let [name, state, reason, nodes, cpus] = parts[..] else { bail!("{line}") };
            let seen = Seen {
                runs: state != "PENDING",
                reason: reason.to_owned(),
                nodes: nodes.parse()?,
                cpus: cpus.parse()?,
            };
            Ok((name.to_owned(), seen))
        };
        said.lines().map(line).collect()
    }

    /// Lets the real one decide, and compares.
    fn look(&mut self, step: &Step<'a>) -> Result<()> {
        self.played.looks += 1;
        self.partitions("UP")?;
        // Its backfill looks each second: nothing has changed for three of them.
        let (mut before, mut since) = (self.seen()?, Instant::now());
        let what = "waiting for Slurm to decide";
        let seen = self.interrupt.until(what, Duration::from_secs(60), || {
            let seen = self.seen()?;
            if seen != before {
                (before, since) = (seen, Instant::now());
            }
            Ok((since.elapsed() >= Duration::from_millis(3_500)).then(|| before.clone()))
        })?;
        self.partitions("DOWN")?;
        let mut ours = BTreeSet::new();
        for line in &step.answer {
            let Some((what, rest)) = line.split_once(": ") else { continue };
            let Some((kind, job)) = what.split_once(' ') else { continue };
            // Where theirs was refused, that was said.
            let Ok(theirs) = self.job(job) else { continue };
            match kind {
                "start" => {
                    self.started(&theirs, rest, seen.get(&theirs), line);
                    ours.insert(theirs);
                }
                "wait" => self.waits(&theirs, rest, &seen, line),
                _ => {}
            }
        }
        let running = seen.iter().filter(|(_, seen)| seen.runs).map(|(name, _)| name.clone());
        let running: BTreeSet<String> = running.collect();
        for more in running.difference(&self.ran).filter(|job| !ours.contains(*job)) {
            self.played.differences.push(format!("theirs starts {more}, which waits here"));
        }
        self.ran = running;
        Ok(())
    }

    fn started(&mut self, name: &str, places: &str, theirs: Option<&Seen>, line: &str) {
        let nodes = places.split("; ").count();
        let cpus = places.split([' ', ',', ';']).filter_map(|word| word.strip_prefix("cpus="));
        let cpus: usize = cpus.filter_map(|cpus| cpus.parse::<usize>().ok()).sum();
        match theirs {
            Some(seen) if seen.runs && (seen.nodes, seen.cpus) == (nodes, cpus) => {}
            Some(seen) if seen.runs => {
                let (nodes, cpus) = (seen.nodes, seen.cpus);
                self.differs(format!("{line}: theirs has {nodes} nodes and {cpus} CPUs"));
            }
            Some(seen) => self.differs(format!("{line}: theirs waits: {}", seen.reason)),
            None => self.differs(format!("{line}: theirs has no {name}")),
        }
    }

    fn waits(&mut self, name: &str, reason: &str, seen: &BTreeMap<String, Seen>, line: &str) {
        let task = format!("{name}_");
        let of_job = |(other, _): &(&String, &Seen)| *other == name || other.starts_with(&task);
        let theirs: BTreeSet<&str> = seen
            .iter()
            .filter(of_job)
            .filter(|(_, seen)| !seen.runs)
            .map(|(_, seen)| seen.reason.as_str())
            .collect();
        // They say which nodes, too.
        let is_same = |theirs: &&str| theirs.split(',').next() == reason.split(',').next();
        if !theirs.iter().any(is_same) {
            let theirs: Vec<&str> = theirs.into_iter().collect();
            let theirs = if theirs.is_empty() { "does not wait".into() } else { theirs.join(", ") };
            self.differs(format!("{line}: theirs {theirs}"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scenario_is_read() {
        let text = "NodeName=n1 CPUs=4\nPartitionName=cpu PriorityTier=2\n\
                    SchedulerParameters=x=1\n\n# A word.\n> submit -n=2\njob 1\n> start\nstart 1: n1\nwait 2: Resources\n";
        let read = Scenario::read(text).expect("it can be asked");
        assert_eq!(read.partitions, ["cpu"]);
        assert!(read.settings.ends_with(&format!("SchedulerParameters={OFTEN},x=1\n")));
        let steps: Vec<_> =
            read.steps.iter().map(|step| (step.command, step.answer.len())).collect();
        assert_eq!(steps, [("submit -n=2", 1), ("start", 2)]);
        assert_eq!(Scenario::read("Cluster - 'x'\n\n").err(), Some("it has accounts"));
    }
}
