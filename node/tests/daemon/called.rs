//! The part of a controller that answers users: to every method the same, as the test says.

use std::{
    convert::Infallible,
    future::{Future, ready},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use bytes::{Buf as _, BufMut as _, Bytes};
use tonic::{
    Request, Response, Status,
    body::Body,
    codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder},
    codegen::http,
    server::{NamedService, UnaryService},
};
use trust::gate::caller;

use crate::cluster::Face;

/// A call that came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Made {
    pub(crate) uid: Option<u32>,
    pub(crate) path: String,
    pub(crate) message: Bytes,
    pub(crate) traceparent: Option<String>,
}

#[derive(Clone)]
pub(crate) struct Called {
    face: Arc<Face>,
    path: String,
}

impl Called {
    pub(crate) fn new(face: Arc<Face>) -> Self {
        Self { face, path: String::new() }
    }
}

impl NamedService for Called {
    const NAME: &'static str = "rafter.ctl.v1.Controller";
}

impl tower::Service<http::Request<Body>> for Called {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let service = Self { path: request.uri().path().to_owned(), ..self.clone() };
        let mut grpc = tonic::server::Grpc::new(Plain);
        Box::pin(async move { Ok(grpc.unary(service, request).await) })
    }
}

impl UnaryService<Bytes> for Called {
    type Response = Bytes;
    type Future = std::future::Ready<Result<Response<Bytes>, Status>>;

    fn call(&mut self, request: Request<Bytes>) -> Self::Future {
        let uid = caller(&request).expect("the gate was passed").uid();
        let traceparent = request.metadata().get("traceparent");
        let traceparent = traceparent.map(|text| text.to_str().expect("ASCII").to_owned());
        let path = self.path.clone();
        let mut conduct = self.face.conduct.lock().expect("not poisoned");
        conduct.calls.push(Made { uid, path, message: request.into_inner(), traceparent });
        ready(conduct.reply.clone().map(Response::new))
    }
}

/// Bytes as they are.
#[derive(Clone, Copy, Default)]
struct Plain;

impl Codec for Plain {
    type Encode = Bytes;
    type Decode = Bytes;
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
    type Item = Bytes;
    type Error = Status;

    fn encode(&mut self, item: Bytes, buffer: &mut EncodeBuf<'_>) -> Result<(), Status> {
        buffer.put(item);
        Ok(())
    }
}

impl Decoder for Plain {
    type Item = Bytes;
    type Error = Status;

    fn decode(&mut self, buffer: &mut DecodeBuf<'_>) -> Result<Option<Bytes>, Status> {
        Ok(Some(buffer.copy_to_bytes(buffer.remaining())))
    }
}
