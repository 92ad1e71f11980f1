//! A gRPC service of bytes, without generated code: each test says what it answers.

use std::{
    convert::Infallible,
    future::Future,
    net::SocketAddr,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll},
};

use bytes::{Buf as _, BufMut as _};
use http::{Request, Response, uri::PathAndQuery};
use tokio::{net::TcpListener, task::JoinHandle};
use tonic::{
    Status,
    body::Body,
    codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder},
    server::{NamedService, UnaryService},
    transport::Channel,
};
use trust::{
    door::USER_KEY,
    gate::{Link, Speakers, caller},
    permit::Caller,
    serve::{Limits, incoming, server},
    tls::{ClientCertificate, Keyring},
};

pub(crate) type Answer = Pin<Box<dyn Future<Output = Result<Vec<u8>, Status>> + Send>>;

/// What reached the service.
pub(crate) struct Knock {
    pub(crate) caller: Caller,
    pub(crate) remote: SocketAddr,
}

/// A service under every path of `rafter.ctl.v1.Controller`.
#[derive(Clone)]
struct Service {
    answer: Arc<dyn Fn(Knock) -> Answer + Send + Sync>,
    knocks: Arc<AtomicUsize>,
}

impl NamedService for Service {
    const NAME: &'static str = "rafter.ctl.v1.Controller";
}

impl UnaryService<Vec<u8>> for Service {
    type Response = Vec<u8>;
    type Future = Pin<Box<dyn Future<Output = Result<tonic::Response<Vec<u8>>, Status>> + Send>>;

    fn call(&mut self, request: tonic::Request<Vec<u8>>) -> Self::Future {
        self.knocks.fetch_add(1, Ordering::SeqCst);
        let caller = caller(&request).expect("the gate was passed").clone();
        let link = request.extensions().get::<Link>().expect("a connection");
        let answer = (self.answer)(Knock { caller, remote: link.remote });
        Box::pin(async move { answer.await.map(tonic::Response::new) })
    }
}

impl tower::Service<Request<Body>> for Service {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let service = self.clone();
        let mut grpc = tonic::server::Grpc::new(Plain);
        Box::pin(async move { Ok(grpc.unary(service, request).await) })
    }
}

/// A running server. Dropped, it stops at once, and its connections break.
pub(crate) struct Running {
    pub(crate) address: SocketAddr,
    knocks: Arc<AtomicUsize>,
    runtime: Option<tokio::runtime::Runtime>,
    _task: JoinHandle<()>,
}

impl Running {
    /// How many calls have reached the service.
    pub(crate) fn knocks(&self) -> usize {
        self.knocks.load(Ordering::SeqCst)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.runtime.take().expect("dropped once").shutdown_background();
    }
}

/// Serves `answer` with `keyring` on a fresh port, with certificates optional.
pub(crate) fn serve<F>(keyring: &Keyring, limits: Limits, answer: F) -> Running
where
    F: Fn(Knock) -> Answer + Send + Sync + 'static,
{
    serve_speakers(keyring, limits, Speakers::Nobody, answer)
}

/// The same, where hosts may speak for users.
pub(crate) fn serve_speakers<F>(
    keyring: &Keyring,
    limits: Limits,
    speakers: Speakers,
    answer: F,
) -> Running
where
    F: Fn(Knock) -> Answer + Send + Sync + 'static,
{
    let config = keyring.server(ClientCertificate::Optional).expect("a configuration");
    let knocks = Arc::new(AtomicUsize::new(0));
    let service = Service { answer: Arc::new(answer), knocks: Arc::clone(&knocks) };
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    listener.set_nonblocking(true).expect("a socket");
    let address = listener.local_addr().expect("an address");
    // A runtime of its own dies with all its connections, as a process would.
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    let runtime = builder.worker_threads(1).enable_all().build().expect("a runtime");
    let task = runtime.spawn(async move {
        let listener = TcpListener::from_std(listener).expect("a listener");
        let connections = incoming(listener, config, limits);
        let served = server(speakers).add_service(service).serve_with_incoming(connections).await;
        served.expect("served");
    });
    Running { address, knocks, runtime: Some(runtime), _task: task }
}

/// Calls a method of the service with no content.
pub(crate) async fn call(channel: Channel, path: &'static str) -> Result<Vec<u8>, Status> {
    call_for(channel, path, &[]).await
}

/// The same, with these users in the metadata.
pub(crate) async fn call_for(
    channel: Channel,
    path: &'static str,
    users: &[&str],
) -> Result<Vec<u8>, Status> {
    let mut grpc = tonic::client::Grpc::new(channel);
    grpc.ready().await.map_err(|error| Status::from_error(error.into()))?;
    let path = PathAndQuery::from_static(path);
    let mut request = tonic::Request::new(Vec::new());
    for user in users {
        request.metadata_mut().append(USER_KEY, user.parse().expect("metadata"));
    }
    grpc.unary(request, path, Plain).await.map(tonic::Response::into_inner)
}

/// Bytes as they are.
#[derive(Clone, Copy, Default)]
struct Plain;

impl Codec for Plain {
    type Encode = Vec<u8>;
    type Decode = Vec<u8>;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        Self
    }

    fn decoder(&mut self) -> Self {
        Self
    }
}

impl Encoder for Plain {
    type Item = Vec<u8>;
    type Error = Status;

    fn encode(&mut self, item: Vec<u8>, buffer: &mut EncodeBuf<'_>) -> Result<(), Status> {
        buffer.put_slice(&item);
        Ok(())
    }
}

impl Decoder for Plain {
    type Item = Vec<u8>;
    type Error = Status;

    fn decode(&mut self, buffer: &mut DecodeBuf<'_>) -> Result<Option<Vec<u8>>, Status> {
        let mut item = vec![0; buffer.remaining()];
        buffer.copy_to_slice(&mut item);
        Ok(Some(item))
    }
}
