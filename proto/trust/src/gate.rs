//! The gate: holds every request against the table of permissions before a service sees it.
//!
//! **Invariant:** a handler that finds a [`Caller`] in its request's extensions knows that the
//! caller may call it. Nothing else puts one there.

use std::{
    convert::Infallible,
    future::{Ready, ready},
    net::SocketAddr,
    task::{Context, Poll},
};

use futures::future::Either;
use http::{Request, Response};
use tonic::{Status, body::Body};
use tower::{Layer, Service};

use crate::permit::{Caller, permitted};

/// What is known of a connection: settled at its handshake, and the same for each of its requests.
#[derive(Clone, Debug)]
pub struct Link {
    pub caller: Caller,
    pub remote: SocketAddr,
}

/// Who calls, for a handler behind the gate.
///
/// Fails with INTERNAL where there was no gate, which is a mistake in how the server was built.
pub fn caller<T>(request: &tonic::Request<T>) -> Result<&Caller, Status> {
    let missing = || Status::internal("the request came past the gate");
    request.extensions().get::<Caller>().ok_or_else(missing)
}

/// Puts a [`Gate`] before a service.
#[derive(Clone, Copy, Debug)]
pub struct GateLayer;

impl<S> Layer<S> for GateLayer {
    type Service = Gate<S>;

    fn layer(&self, inner: S) -> Gate<S> {
        Gate { inner }
    }
}

/// A service behind the table of permissions.
#[derive(Clone, Debug)]
pub struct Gate<S> {
    inner: S,
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
        match admit(&request) {
            Ok(caller) => {
                request.extensions_mut().insert(caller);
                Either::Right(self.inner.call(request))
            }
            Err(status) => Either::Left(ready(Ok(status.into_http()))),
        }
    }
}

fn admit<B>(request: &Request<B>) -> Result<Caller, Status> {
    let method = request.uri().path();
    let Some(link) = request.extensions().get::<Link>() else {
        return Err(Status::unauthenticated("the connection is not authenticated"));
    };
    if permitted(&link.caller, method) {
        return Ok(link.caller.clone());
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
