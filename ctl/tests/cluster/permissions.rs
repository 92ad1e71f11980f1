//! Every method of every service, with every role, and without a certificate.

use std::fs;

use tonic::{
    Code, Status,
    codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder},
    codegen::http::uri::PathAndQuery,
    transport::Channel,
};
use trust::{
    identity::Subject,
    permit::{Roles, TABLE},
};

use crate::world::{ALICE, World};

/// Calls a method with an empty message. Streams are called as if they were none: what matters is
/// whether the service is reached.
async fn knock(channel: Channel, path: &'static str) -> Result<(), Status> {
    let mut grpc = tonic::client::Grpc::new(channel);
    grpc.ready().await.map_err(|error| Status::from_error(error.into()))?;
    let path = PathAndQuery::from_static(path);
    grpc.unary(tonic::Request::new(Vec::new()), path, Plain).await.map(drop)
}

/// Bytes as they are.
#[derive(Clone, Copy, Default)]
struct Plain;

impl Codec for Plain {
    type Encode = Vec<u8>;
    type Decode = ();
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
        prost::bytes::BufMut::put_slice(buffer, &item);
        Ok(())
    }
}

impl Decoder for Plain {
    type Item = ();
    type Error = Status;

    fn decode(&mut self, buffer: &mut DecodeBuf<'_>) -> Result<Option<()>, Status> {
        let rest = prost::bytes::Buf::remaining(buffer);
        prost::bytes::Buf::advance(buffer, rest);
        Ok(Some(()))
    }
}

#[tokio::test]
async fn each_method_is_open_to_its_roles_and_to_no_other() {
    let world = World::new().await;
    let callers = [
        (Roles::ANONYMOUS, world.channel(None)),
        (Roles::USER, world.channel(Some(Subject::User { uid: ALICE, name: "alice".into() }))),
        (Roles::NODE, world.channel(Some(Subject::Node { name: "n1".into() }))),
        (Roles::CONTROLLER, world.channel(Some(Subject::Controller { name: "ctl2".into() }))),
    ];
    let mut open = 0;
    for (path, roles) in TABLE {
        for (role, channel) in &callers {
            let outcome = knock(channel.clone(), path).await;
            let code = outcome.as_ref().map_or_else(Status::code, |()| Code::Ok);
            let refused = matches!(code, Code::PermissionDenied | Code::Unauthenticated);
            if roles.contains(*role) {
                let text = outcome.as_ref().err().map(Status::message).unwrap_or_default();
                assert!(!text.contains("may not call"), "{path} with {role:?}: {text}");
                assert_ne!(code, Code::Unimplemented, "{path} is served by nobody");
                open += 1;
            } else {
                assert!(refused, "{path} let {role:?} through: {outcome:?}");
                let expected = if *role == Roles::ANONYMOUS {
                    Code::Unauthenticated
                } else {
                    Code::PermissionDenied
                };
                assert_eq!(code, expected, "{path} with {role:?}");
            }
        }
    }
    assert!(open >= TABLE.len(), "each method is open to somebody");
    world.stop().await;
}

/// The table is what is walked above; this says that it is all there is.
#[test]
fn the_table_has_every_method_that_is_served() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../proto/proto");
    let mut methods = 0;
    for file in fs::read_dir(folder).expect("the protocol's folder") {
        let text = fs::read_to_string(file.expect("an entry").path()).expect("a file");
        methods += text.lines().filter(|line| line.trim().starts_with("rpc ")).count();
    }
    assert_eq!(methods, TABLE.len());
}
