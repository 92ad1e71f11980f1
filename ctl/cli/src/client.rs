//! The connection to the controllers that all commands share.
//!
//! [`Client::open`] reads what this host knows of the cluster and who the caller is; nothing is
//! connected before the first [`Client::call`], which goes to the controller that led last.
//!
//! [`Client::at_hand`] reads no more than where the host's `rafterd` is: a command that makes one
//! of the calls of [`crate::door`] tries that first, and [`Client::connect`]s only where it must.

use std::{
    cell::{Cell, OnceCell},
    collections::BTreeSet,
    io::{self, IsTerminal as _},
    mem::ManuallyDrop,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::{Duration, Instant},
};

use bytes::Bytes;
use common::id::{NotHex, RequestId};
use indicatif::{ProgressBar, ProgressStyle};
use proto::ctl::{JobsReply, JobsRequest, controller_client::ControllerClient};
use ring::rand::{SecureRandom as _, SystemRandom};
use tokio::runtime::Runtime;
use tonic::{Request, Status, transport::Channel};
use trust::{
    connect::Life,
    controllers::{Address, Call, Controllers, Failure, Target},
    site::{DEFAULT_FOLDER, FOLDER_VARIABLE, Site},
    store::Pass,
    tls::Keyring,
};

use crate::{
    door::{self, Answer, Method},
    pass::{self, Cache, NoPass},
    trouble::{Trouble, chain},
};

/// A controller, as the generated code has it.
pub(crate) type Controller = ControllerClient<Channel>;

/// The longest message that is taken from a controller: all nodes come in one.
const MAX_MESSAGE: usize = 256 << 20;

/// How often the line on a terminal moves while nobody answers.
const TICK: Duration = Duration::from_millis(100);

pub(crate) struct Client {
    /// Made by [`Client::connect`].
    direct: OnceCell<Controllers>,
    /// With another pass, where the controllers and the first one don't trust each other: another
    /// authority may have taken the place of the one that it is of.
    anew: OnceCell<Controllers>,
    site: Site,
    life: Life,
    /// The one controller that is asked, where it is one alone.
    only: Option<String>,
    /// The door was asked, and did not serve.
    shut: Cell<bool>,
    /// How long that took, as long as no call has been shortened by it.
    spent: Cell<Duration>,
    /// What runs the calls, and all connections.
    runtime: OnceCell<ManuallyDrop<Runtime>>,
}

/// What runs the calls: a command does one thing at a time. It is never taken down: the process
/// ends when the command does, and the kernel closes what is open for less.
pub(crate) fn runtime() -> ManuallyDrop<Runtime> {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    let runtime = builder.enable_all().build();
    ManuallyDrop::new(runtime.expect("the kernel gives a process its event queue"))
}

impl Client {
    pub(crate) fn open() -> Result<Self, Trouble> {
        Self::open_for(Life::Command, None)
    }

    /// The same, for calls that last: a controller that falls silent is noticed.
    pub(crate) fn open_to_follow() -> Result<Self, Trouble> {
        Self::open_for(Life::Daemon, None)
    }

    /// The same, for what one controller alone has to say.
    pub(crate) fn open_to(name: &str) -> Result<Self, Trouble> {
        Self::open_for(Life::Command, Some(name))
    }

    /// The same, without what only a connection needs.
    pub(crate) fn at_hand() -> Result<Self, Trouble> {
        Self::read(Life::Command, None)
    }

    fn open_for(life: Life, only: Option<&str>) -> Result<Self, Trouble> {
        let client = Self::read(life, only)?;
        client.connect()?;
        Ok(client)
    }

    fn read(life: Life, only: Option<&str>) -> Result<Self, Trouble> {
        first_request()?;
        let folder = std::env::var_os(FOLDER_VARIABLE).unwrap_or_else(|| DEFAULT_FOLDER.into());
        let site = Site::read(folder.as_ref())?;
        let only = only.map(str::to_owned);
        Ok(Self {
            direct: OnceCell::new(),
            anew: OnceCell::new(),
            site,
            life,
            only,
            shut: Cell::new(false),
            spent: Cell::new(Duration::ZERO),
            runtime: OnceCell::new(),
        })
    }

    /// Does what makes calls.
    pub(crate) fn block_on<T>(&self, work: impl Future<Output = T>) -> T {
        self.runtime.get_or_init(runtime).block_on(work)
    }

    /// Finds out who the caller is, and with it makes ready for [`Client::call`].
    pub(crate) fn connect(&self) -> Result<(), Trouble> {
        self.controllers_anyway().map(drop)
    }

    fn controllers_anyway(&self) -> Result<&Controllers, Trouble> {
        if let Some(controllers) = self.direct.get() {
            return Ok(controllers);
        }
        let cache = Cache::of(&self.site);
        let pass = pass::obtain(&self.site, &cache);
        let controllers = with(&self.site, &cache, self.life, self.only.as_deref(), pass)?;
        Ok(self.direct.get_or_init(|| controllers))
    }

    /// The answer of this host's `rafterd` to a call; none where the call must be made directly. It
    /// is asked until it does not serve, and as long as there is no connection.
    pub(crate) fn at_door<Q, R>(&self, method: &Method<Q, R>, message: &Q) -> Answer<R>
    where
        Q: prost::Message,
        R: prost::Message + Default,
    {
        if self.direct.get().is_some() || self.shut.get() {
            return None;
        }
        let began = Instant::now();
        let answer = door::ask(&self.site, method, message);
        if answer.is_none() {
            self.shut.set(true);
            self.spent.set(began.elapsed());
        }
        answer
    }

    /// Makes such a call directly.
    pub(crate) async fn directly<Q, R>(
        &self,
        method: &Method<Q, R>,
        message: &Q,
    ) -> Result<R, Trouble>
    where
        Q: Clone,
    {
        let attempt = |controller| (method.direct)(controller, request(message.clone()));
        self.call(method.target, attempt).await
    }

    /// The cluster's name.
    pub(crate) fn cluster(&self) -> &str {
        &self.site.cluster
    }

    /// The names of all controllers that are known, here or where the pass came from.
    pub(crate) fn known(&self) -> Vec<String> {
        let known = self.direct.get().map_or_else(Vec::new, Controllers::addresses);
        let known = known.into_iter().map(|address| address.name);
        known.collect::<BTreeSet<_>>().into_iter().collect()
    }

    /// The names of the controllers that are known here.
    pub(crate) fn controllers(&self) -> Vec<String> {
        self.site.controllers.iter().map(|controller| controller.name.clone()).collect()
    }

    /// Makes a call, with whichever controller can serve it: with each until one answers, for as
    /// long as `MessageTimeout` says. On a terminal a line says what the command waits for.
    ///
    /// `attempt` may be made several times. Whoever changes something sends a request id, the same
    /// in each attempt.
    pub(crate) async fn call<T, F, A>(&self, target: Target, mut attempt: F) -> Result<T, Trouble>
    where
        F: FnMut(Controller) -> A,
        A: Future<Output = Result<T, Status>>,
    {
        let limit = self.site.message_timeout.saturating_sub(self.spent.take());
        let mut attempt = |channel| {
            let controller = ControllerClient::new(channel);
            attempt(controller.max_decoding_message_size(MAX_MESSAGE))
        };
        let controllers = match self.anew.get() {
            Some(controllers) => controllers,
            None => self.controllers_anyway()?,
        };
        let answer = call(controllers, target, limit, &mut attempt).await;
        if self.anew.get().is_some() || !matches!(answer, Err(Trouble::Untrusted { .. })) {
            return answer;
        }
        let cache = Cache::of(&self.site);
        let pass = pass::another(&self.site, &cache);
        let controllers = with(&self.site, &cache, self.life, self.only.as_deref(), pass)?;
        let controllers = self.anew.get_or_init(|| controllers);
        call(controllers, target, limit, &mut attempt).await
    }
}

/// The controllers, or `only` one of them, for the bearer of a pass.
fn with(
    site: &Site,
    cache: &Cache,
    life: Life,
    only: Option<&str>,
    pass: Result<Pass, NoPass>,
) -> Result<Controllers, Trouble> {
    let untrusted = |cause| Trouble::Untrusted { cause };
    let pass = pass.map_err(|error| untrusted(chain(&error)))?;
    let keyring = Keyring::new(pass.credential).map_err(|error| untrusted(chain(&error)))?;
    let mut addresses = merged(&site.controllers, pass.controllers);
    if let Some(name) = only {
        addresses.retain(|address| address.name == name);
        if addresses.is_empty() {
            let cause = format!("this host knows of no controller `{name}`");
            return Err(Trouble::Unreachable { cause });
        }
    }
    Ok(Controllers::new(addresses, Arc::new(keyring), life, Some(cache.leader())))
}

/// Makes a call, and says on a terminal what it waits for.
async fn call<T, F, A>(
    controllers: &Controllers,
    target: Target,
    limit: Duration,
    attempt: &mut F,
) -> Result<T, Trouble>
where
    F: FnMut(Channel) -> A,
    A: Future<Output = Result<T, Status>>,
{
    let mut line = None;
    let mut waiting = |failure: &Failure| line = waiting_line(failure, limit);
    let mut call = Call::within(target, limit);
    call.waiting = Some(&mut waiting);
    let answer = controllers.call(call, attempt).await;
    if let Some(line) = line {
        line.finish_and_clear();
    }
    Ok(answer?)
}

/// A request that continues the trace in which it is made.
pub(crate) fn request<T>(message: T) -> Request<T> {
    let mut request = Request::new(message);
    telemetry::context::inject(request.metadata_mut());
    request
}

/// The variable that names a command's first request, for who wants to know its outcome although
/// the command was killed, or to ask once more and get the first answer.
const REQUEST_VARIABLE: &str = "RAFTER_REQUEST_ID";

/// How many requests this command has made.
static REQUESTS: AtomicU32 = AtomicU32::new(0);

/// A request's id: drawn once, and kept over all attempts. Where the environment names the first
/// one, the second has the next number, and so on.
pub(crate) fn request_id() -> Bytes {
    let before = REQUESTS.fetch_add(1, Ordering::Relaxed);
    if let Ok(Some(first)) = first_request() {
        return numbered(first, before).0.to_vec().into();
    }
    let mut id = [0; 16];
    SystemRandom::new().fill(&mut id).expect("the kernel gives random numbers");
    id.to_vec().into()
}

/// What the environment names.
fn first_request() -> Result<Option<RequestId>, NotHex> {
    let given = std::env::var_os(REQUEST_VARIABLE);
    given.map(|text| text.to_string_lossy().parse()).transpose()
}

/// The id that comes `later` after the first one.
fn numbered(first: RequestId, later: u32) -> RequestId {
    RequestId((u128::from_be_bytes(first.0).wrapping_add(u128::from(later))).to_be_bytes())
}

/// All jobs that are asked for, in one reply.
pub(crate) async fn jobs(client: &Client, request: JobsRequest) -> Result<JobsReply, Trouble> {
    let attempt = |mut controller: Controller| {
        let request = self::request(request.clone());
        async move {
            let mut stream = controller.jobs(request).await?.into_inner();
            let mut whole = stream.message().await?.unwrap_or_default();
            while let Some(more) = stream.message().await? {
                whole.jobs.extend(more.jobs);
            }
            Ok(whole)
        }
    };
    client.call(Target::Any, attempt).await
}

/// The host's file may be older than the pass, or younger: who is in either may be asked. A
/// controller that has moved is in both, at two addresses, of which one answers.
fn merged(site: &[Address], pass: Vec<Address>) -> Vec<Address> {
    let mut addresses = pass;
    for address in site {
        if !addresses.contains(address) {
            addresses.push(address.clone());
        }
    }
    addresses
}

fn waiting_line(failure: &Failure, limit: Duration) -> Option<ProgressBar> {
    if !io::stderr().is_terminal() {
        return None;
    }
    let line = ProgressBar::new_spinner();
    let style =
        ProgressStyle::with_template("{spinner} waiting for a controller ({msg}) {elapsed}");
    line.set_style(style.expect("the template is fixed"));
    line.set_message(format!("{failure}; giving up after {} s", limit.as_secs()));
    line.enable_steady_tick(TICK);
    Some(line)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_counted_from_the_first() {
        let first: RequestId = "000000000000000000000000000000ff".parse().unwrap();
        assert_eq!(numbered(first, 0), first);
        assert_eq!(numbered(first, 1).to_string(), "00000000000000000000000000000100");
        assert_eq!(numbered(RequestId([255; 16]), 1), RequestId([0; 16]));
    }

    #[test]
    fn who_is_in_either_list_may_be_asked() {
        let at = |name: &str, port: &str| Address { name: name.into(), address: port.into() };
        let site = [at("ctl1", "h:1"), at("ctl2", "h:2")];
        let pass = vec![at("ctl2", "h:9"), at("ctl1", "h:1"), at("ctl3", "h:3")];
        let expected = [at("ctl2", "h:9"), at("ctl1", "h:1"), at("ctl3", "h:3"), at("ctl2", "h:2")];
        assert_eq!(merged(&site, pass), expected);
    }
}
