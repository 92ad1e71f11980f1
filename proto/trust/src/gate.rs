//! The gate: holds every request against the table of permissions before a service sees it.
//!
//! Who calls is whom the connection's certificate names, with one exception: a node may name, in
//! the metadata [`USER_KEY`], a user of its host for whom it calls one of the methods of
//! [`crate::permit::THROUGH_THE_DOOR`], if [`Speakers`] has it speak for that user. The call is the
//! user's then, and no handler can tell the difference.
//!
//! **Invariant:** a handler that finds a [`Caller`] in its request's extensions knows that the
//! caller may call it. Nothing else puts one there.

use std::{
    convert::Infallible,
    fmt,
    future::{Ready, ready},
    net::SocketAddr,
    sync::Arc,
    task::{Context, Poll},
};

use futures::future::Either;
use http::{Request, Response};
use tonic::{Status, body::Body};
use tower::{Layer, Service};

use crate::{
    door::USER_KEY,
    identity::{Identity, Subject},
    permit::{Caller, permitted, through_the_door},
};

/// What is known of a connection: settled at its handshake, and the same for each of its requests.
#[derive(Clone, Debug)]
pub struct Link {
    pub caller: Caller,
    pub remote: SocketAddr,
}

/// Whether the node of a name may speak for the user of a uid; where not, a status says why.
pub type MaySpeak = dyn Fn(&str, u32) -> Result<(), Status> + Send + Sync;

/// For whom hosts may speak.
#[derive(Clone)]
pub enum Speakers {
    /// For nobody but themselves.
    Nobody,
    /// For whom this says.
    Checked(Arc<MaySpeak>),
}

impl fmt::Debug for Speakers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Nobody => "Nobody",
            Self::Checked(_) => "Checked",
        })
    }
}

/// Who calls, for a handler behind the gate.
///
/// Fails with INTERNAL where there was no gate, which is a mistake in how the server was built.
pub fn caller<T>(request: &tonic::Request<T>) -> Result<&Caller, Status> {
    let missing = || Status::internal("the request came past the gate");
    request.extensions().get::<Caller>().ok_or_else(missing)
}

/// Puts a [`Gate`] before a service.
#[derive(Clone, Debug)]
pub struct GateLayer(pub Speakers);

impl<S> Layer<S> for GateLayer {
    type Service = Gate<S>;

    fn layer(&self, inner: S) -> Gate<S> {
        Gate { inner, speakers: self.0.clone() }
    }
}

/// A service behind the table of permissions.
#[derive(Clone, Debug)]
pub struct Gate<S> {
    inner: S,
    speakers: Speakers,
}

impl<S, B> Service<Request<B>> for Gate<S>
where
    S: Service<Request<B>, Response = Response<Body>, Error = Infallible>,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Either<Ready<Result<Response<Body>, Infallible>>, S::Future>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, mut request: Request<B>) -> Self::Future {
        match admit(&request, &self.speakers) {
            Ok(caller) => {
                request.extensions_mut().insert(caller);
                Either::Right(self.inner.call(request))
            }
            Err(status) => Either::Left(ready(Ok(status.into_http()))),
        }
    }
}

fn admit<B>(request: &Request<B>, speakers: &Speakers) -> Result<Caller, Status> {
    let method = request.uri().path();
    let Some(link) = request.extensions().get::<Link>() else {
        return Err(Status::unauthenticated("the connection is not authenticated"));
    };
    let caller = match spoken_for(request)? {
        None => link.caller.clone(),
        Some(user) => on_behalf(link, user, method, speakers)?,
    };
    if permitted(&caller, method) {
        return Ok(caller);
    }
    match link.caller {
        // Anybody can cause these, so they are not to fill the log.
        Caller::Anonymous => {
            tracing::debug!(remote = %link.remote, method, "refused a caller without certificate");
            Err(Status::unauthenticated(format!("{method} needs a certificate")))
        }
        Caller::Member(_) => {
            tracing::warn!(remote = %link.remote, caller = %link.caller, method, "refused a call");
            let text = format!("{} may not call {method}", link.caller);
            Err(Status::permission_denied(text))
        }
    }
}

/// The user that the metadata names, if it names one.
fn spoken_for<B>(request: &Request<B>) -> Result<Option<Subject>, Status> {
    let mut named = request.headers().get_all(USER_KEY).iter();
    let Some(first) = named.next() else { return Ok(None) };
    let subject = first.to_str().ok().and_then(|text| text.parse::<Subject>().ok());
    match (subject, named.next()) {
        (Some(user @ Subject::User { .. }), None) => Ok(Some(user)),
        (Some(_) | None, _) => {
            Err(Status::permission_denied(format!("{USER_KEY} names no user, or several")))
        }
    }
}

/// The caller, where `link` is a node's that may call `method` for `user`.
fn on_behalf(
    link: &Link,
    user: Subject,
    method: &str,
    speakers: &Speakers,
) -> Result<Caller, Status> {
    let refuse = |why: &str| {
        let text = format!("{} may not call {method} for {user}: {why}", link.caller);
        match link.caller {
            Caller::Anonymous => tracing::debug!(remote = %link.remote, "{text}"),
            Caller::Member(_) => tracing::warn!(remote = %link.remote, "{text}"),
        }
        Status::permission_denied(text)
    };
    let (Caller::Member(own), Some(node)) = (&link.caller, link.caller.node()) else {
        return Err(refuse("it is no node"));
    };
    if through_the_door(method).is_none() {
        return Err(refuse("the method is not called for others"));
    }
    let Subject::User { uid, .. } = &user else { return Err(refuse("that is no user")) };
    match speakers {
        Speakers::Nobody => return Err(refuse("nobody speaks for others here")),
        Speakers::Checked(may_speak) => may_speak(node, *uid).inspect_err(|status| {
            let why = status.message();
            tracing::debug!(remote = %link.remote, node, uid, why, "let no node speak for a user");
        })?,
    }
    Ok(Caller::Member(Arc::new(Identity { cluster: own.cluster, subject: user })))
}
