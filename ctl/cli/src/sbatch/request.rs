//! From what is asked for to the message that is sent. Pure.

use std::path::Path;

use common::{
    gres::GresRequest,
    job::{Asks, OpenMode},
};
use proto::{ctl::SubmitRequest, types as wire};

use super::{
    asked::{Asked, Setting},
    complaint::Complaint,
    components::{self, First},
    environment::{self, Login, Variable},
    script::{Script, Source},
};
use crate::client;

/// What of the submitting process goes into a job.
#[derive(Clone, Debug)]
pub(super) struct Submitter {
    /// The current folder.
    pub(super) folder: String,
    pub(super) host: String,
    pub(super) group: u32,
    pub(super) group_name: String,
    pub(super) session: u32,
    pub(super) umask: u32,
    pub(super) login: Login,
    pub(super) variables: Vec<Variable>,
}

impl Submitter {
    /// A variable of the environment, if it is set, and text.
    pub(super) fn variable(&self, name: &str) -> Option<String> {
        let (_, value) = self.variables.iter().find(|(known, _)| known == name.as_bytes())?;
        String::from_utf8(value.clone()).ok()
    }
}

/// A submission that can be sent.
#[derive(Clone, Debug)]
pub(super) struct Prepared {
    pub(super) asked: Asked,
    pub(super) request: SubmitRequest,
}

/// Either a submission, or the id of an option that asks for a text.
pub(super) enum Outcome {
    Answer(&'static str),
    Submit(Box<Prepared>),
}

/// Reads the command line, the environment and the script, in Slurm's order: what is wrong first
/// there is reported first here.
pub(super) fn prepare(
    called: &str,
    words: &[String],
    submitter: &Submitter,
    setting: Setting<'_>,
) -> Result<Outcome, Complaint> {
    let (wrap, components, operands) = match components::first(called, words)? {
        First::Answer(id) => return Ok(Outcome::Answer(id)),
        First::Submit { wrap, components, operands } => (wrap, components, operands),
    };
    let source = match (&wrap, operands.first()) {
        (Some(_), Some(_)) => {
            return Err(Complaint::error("Script arguments not permitted with --wrap option"));
        }
        (Some(command), None) => Source::Command(command),
        (None, Some(file)) => Source::File(file),
        (None, None) => Source::Stdin,
    };
    let path = submitter.variable("PATH").unwrap_or_default();
    let script = Script::read(source, Path::new(&submitter.folder), &path)?;
    let mut all = components::asked(&script, &components, submitter, (setting, called))?;
    let ignored = all.iter().any(|asked| asked.ignore_pbs);
    if let Some(line) = script.foreign_directive().filter(|_| !ignored) {
        let text = format!("directives of other schedulers are not read: {line}");
        return Err(Complaint::error(text).and("Use #SBATCH, or --ignore-pbs to go without them."));
    }
    let ways = all.iter().map(|asked| asked.asks.placing);
    if ways.into_iter().any(|one| one.switches.is_some() && (one.contiguous || one.spread)) {
        let why = "nodes are chosen in one way at a time";
        return Err(Complaint::unsupported("switches with --contiguous or --spread-job", why));
    }
    let arguments: Vec<String> = operands.into_iter().skip(1).collect();
    let submit_line = std::iter::once(called).chain(words.iter().map(String::as_str));
    let submit_line = submit_line.collect::<Vec<_>>().join(" ");
    let environment = job_environment(&all[0], submitter)?;
    let specs = all.iter_mut().map(|asked| wire::JobSpec {
        layout: Some(layout(asked)),
        arguments: arguments.clone(),
        submit_line: submit_line.clone(),
        ..spec(asked, &script, submitter, setting)
    });
    let mut specs = specs.collect::<Vec<_>>().into_iter();
    let request = SubmitRequest {
        request: client::request_id(),
        spec: specs.next(),
        components: specs.collect(),
        script: script.content.into(),
        environment: environment.into(),
    };
    let verbose = all.iter().map(|asked| asked.verbose).sum();
    let remarks = all.iter_mut().flat_map(|asked| std::mem::take(&mut asked.remarks)).collect();
    let asked = Asked { verbose, remarks, ..all.swap_remove(0) };
    Ok(Outcome::Submit(Box::new(Prepared { asked, request })))
}

fn layout(asked: &mut Asked) -> wire::Layout {
    let named = u32::try_from(asked.required.len()).unwrap_or(u32::MAX);
    let mut min_nodes = asked.nodes.map_or(named.max(1), |count| count.min);
    let mut max_nodes = asked.nodes.and_then(|count| count.max);
    if let Some(tasks) = asked.tasks.filter(|tasks| asked.nodes.is_some() && *tasks < min_nodes) {
        asked.remarks.push(format!(
            "warning: can't run {tasks} processes on {min_nodes} nodes, setting nnodes to {tasks}"
        ));
        min_nodes = tasks;
        max_nodes = max_nodes.map(|_| tasks);
    }
    let per_node = asked.tasks_per_node.unwrap_or(1);
    wire::Layout {
        min_nodes,
        max_nodes,
        nodes_given: asked.nodes.is_some(),
        tasks: asked.tasks.unwrap_or_else(|| min_nodes.saturating_mul(per_node)),
        tasks_given: asked.tasks.is_some() || asked.tasks_per_node.is_some(),
        cpus_per_task: asked.cpus_per_task,
        tasks_per_node: asked.tasks_per_node,
        min_cpus_per_node: asked.min_cpus,
    }
}

/// All but what depends on more than these. The user, and the hashes of script and environment,
/// the controller fills in.
fn spec(
    asked: &Asked,
    script: &Script,
    submitter: &Submitter,
    setting: Setting<'_>,
) -> wire::JobSpec {
    let folder = Path::new(&submitter.folder);
    let work_dir = asked.chdir.as_deref().map_or_else(|| folder.into(), |chdir| folder.join(chdir));
    wire::JobSpec {
        name: asked.name.clone().unwrap_or_else(|| script.name.clone()),
        group: submitter.group,
        group_name: submitter.group_name.clone(),
        partition: asked.partition.clone().unwrap_or_default(),
        account: asked.account.clone(),
        qos: asked.qos.clone(),
        memory: asked.memory.map(|memory| memory.request.into()),
        time_limit: asked.time.map(Into::into),
        required_nodes: asked.required.clone(),
        excluded_nodes: asked.excluded.clone(),
        exclusive: asked.exclusive,
        hold: asked.hold,
        // A moment that has passed holds nothing up.
        begin: asked.begin.filter(|begin| *begin > setting.now).map(|begin| begin.0),
        requeue: asked.requeue,
        nice: asked.nice,
        warn_signal: asked.signal.map(|warn| wire::WarnSignal {
            signal: u32::from(warn.signal),
            before_ms: warn.before.0,
            batch_only: warn.batch_only,
        }),
        comment: asked.comment.clone(),
        command: script.path.clone(),
        work_dir: work_dir.to_string_lossy().into_owned(),
        std_in: asked.std_in.clone(),
        std_out: asked.std_out.clone(),
        std_err: asked.std_err.clone(),
        append: asked.open_mode.map(|mode| mode == OpenMode::Append),
        export: asked.export.clone(),
        submit_host: submitter.host.clone(),
        session: submitter.session,
        umask: submitter.umask,
        limits: asked.propagate.limits(),
        trace: telemetry::current_traceparent(),
        dependency: asked.dependency.as_ref().map(Into::into),
        kill_on_invalid_dep: asked.kill_on_invalid_dep,
        tmp_disk_mib: asked.tmp_disk_mib,
        reservations: asked.reservations.clone(),
        array: asked.array.as_ref().map(Into::into),
        constraint: asked.constraint.as_ref().map(|constraint| constraint.text.clone()),
        asks: (asked.asks != Asks::NONE).then(|| (&asked.asks).into()),
        gres: (asked.gres != GresRequest::default()).then(|| (&asked.gres).into()),
        ..wire::JobSpec::default()
    }
}

fn job_environment(asked: &Asked, submitter: &Submitter) -> Result<Vec<u8>, Complaint> {
    let own = match &asked.export_file {
        Some(file) => environment::from_file(file)?,
        None => submitter.variables.clone(),
    };
    let mut all = environment::exported(own, asked.export.as_deref(), &submitter.login);
    environment::set(&mut all, "SLURM_SUBMIT_DIR", &submitter.folder);
    environment::set(&mut all, "SLURM_SUBMIT_HOST", &submitter.host);
    if let Some(mode) = asked.open_mode {
        let letter = if mode == OpenMode::Append { "a" } else { "t" };
        environment::set(&mut all, "SLURM_OPEN_MODE", letter);
    }
    Ok(environment::encoded(&all))
}

#[cfg(test)]
mod tests;
