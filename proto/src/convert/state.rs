//! A state as the records of a snapshot.

use std::sync::Arc;

use common::{
    id::{ClusterId, ContentHash, ControllerName, RequestId, Term, UserId},
    job::Job,
    machine::{Authorities, Blob, Controller, Remembered, State, Token},
    node::Node,
    planted::{Bug, planted},
    reservation::Reservation,
    time::{Span, Timestamp},
};
use prost::Message as _;
use wire::state_record::Kind;

use super::{answered, array, exact, listed, need, usage};
use crate::{Invalid, log as wire};

/// The records that hold `state`, one after the other: each is made when it is asked for, so that
/// a million jobs never stand in memory twice.
pub fn state_records(state: &State) -> impl Iterator<Item = wire::StateRecord> {
    let record = |kind| wire::StateRecord { kind: Some(kind) };
    let config = state.config.iter().map(|config| Kind::Config(config.as_ref().into()));
    let controllers = state.controllers.iter().map(|(name, controller)| {
        Kind::Controller(wire::ControllerRecord {
            name: name.to_string(),
            raft_id: controller.raft_id,
            address: controller.address.clone(),
        })
    });
    let tokens = state.tokens.iter().map(|(secret, token)| {
        Kind::Token(wire::TokenRecord {
            secret: secret.0.to_vec().into(),
            role: wire::TokenRole::from(token.role).into(),
            name: token.name.clone(),
            expires: token.expires.0,
        })
    });
    let authorities = state.authorities.iter().map(|known| {
        Kind::Authorities(wire::AuthoritiesRecord {
            signing: known.signing.clone(),
            coming: known.coming.clone(),
            going: known.going.clone(),
            since: known.since.0,
        })
    });
    let accounts = state.accounts.iter().map(|known| Kind::Accounts(known.as_ref().into()));
    let reservations = state.reservations.iter().map(|one| Kind::Reservation(one.into()));
    let nodes = state.nodes.values().map(|node| Kind::Node(node.as_ref().into()));
    let jobs = state.jobs.values().map(|job| Kind::Job(job.as_ref().into()));
    let blobs = state.blobs.iter().map(|(hash, blob)| {
        Kind::Blob(wire::BlobRecord {
            hash: hash.0.to_vec().into(),
            size: blob.size,
            uses: blob.uses,
        })
    });
    let requests = state.requests.iter().map(|(request, remembered)| {
        Kind::Request(wire::RequestRecord {
            request: request.0.to_vec().into(),
            forget_at: remembered.forget_at.0,
            job: answered::job(&remembered.answer),
            reservation: answered::reserved(&remembered.answer),
            refused: answered::refused(&remembered.answer),
        })
    });
    let arrays = state.arrays.iter().map(|(id, book)| Kind::Array(array::record(*id, book)));
    std::iter::once(Kind::Header(header(state)))
        .chain(config)
        .chain(controllers)
        .chain(tokens)
        .chain(authorities)
        .chain(accounts)
        .chain(reservations)
        .chain(nodes)
        .chain(jobs)
        .chain(arrays)
        .chain(blobs)
        .chain(requests)
        .chain(usage::records(state))
        .map(record)
}

/// What `state` comes to: replicas that followed the same entries have the same.
///
/// Over every record, unlike the digest that each entry carries, which must be had at every step.
/// Takes as long as to write a snapshot.
#[must_use]
pub fn state_digest(state: &State) -> ContentHash {
    let hashes = state_records(state).map(|record| ContentHash::of(&record.encode_to_vec()).0);
    ContentHash::of(&hashes.collect::<Vec<_>>().concat())
}

fn header(state: &State) -> wire::StateHeader {
    wire::StateHeader {
        at: state.at.0,
        term: state.term.0,
        digest: state.digest,
        cluster: state.cluster.map(|cluster| cluster.0.to_vec().into()).unwrap_or_default(),
        operators: state.operators.iter().map(|user| user.0).collect(),
        format: state.format,
        next_job: state.next_job,
        next_priority: state.next_priority,
        sequence: state.sequence,
        age: state.age.0,
        reservations: state.reservations.count,
    }
}

/// Puts a state together from its records.
#[derive(Debug, Default)]
pub struct StateReader {
    state: State,
    digest: Option<u64>,
}

impl StateReader {
    /// Takes the next record.
    ///
    /// # Errors
    /// Where the record says nothing that this release understands.
    pub fn take(&mut self, record: wire::StateRecord) -> Result<(), Invalid> {
        let state = &mut self.state;
        match need(record.kind, "kind")? {
            Kind::Header(header) => self.take_header(&header)?,
            Kind::Config(config) => state.config = Some(Arc::new(config.try_into()?)),
            Kind::Controller(record) => {
                let controller = Controller { raft_id: record.raft_id, address: record.address };
                state.controllers.insert(ControllerName::from(record.name), controller);
            }
            Kind::Token(record) => {
                let role = listed::<wire::TokenRole, _>(record.role, "role")?;
                let expires = Timestamp(record.expires);
                let token = Token { role, name: record.name, expires };
                state.tokens.insert(ContentHash(exact(&record.secret, "secret")?), token);
            }
            Kind::Authorities(record) => {
                let wire::AuthoritiesRecord { signing, coming, going, since } = record;
                let since = Timestamp(since);
                state.authorities = Some(Arc::new(Authorities { signing, coming, going, since }));
            }
            Kind::Accounts(accounts) => state.accounts = Some(Arc::new(accounts.try_into()?)),
            Kind::Reservation(record) => {
                let one = Reservation::try_from(record)?;
                state.reservations.by_name.insert(one.name.clone(), Arc::new(one));
            }
            Kind::Node(node) => {
                let node = Node::try_from(node)?;
                state.nodes.insert(node.name.clone(), Arc::new(node));
            }
            Kind::Job(job) => {
                let job = Job::try_from(job)?;
                state.jobs.insert(job.id, Arc::new(job));
            }
            Kind::Array(record) => {
                let (id, book) = array::book(&record);
                state.arrays.insert(id, book);
            }
            Kind::Blob(record) => {
                let blob = Blob { size: record.size, uses: record.uses };
                state.blobs.insert(ContentHash(exact(&record.hash, "hash")?), blob);
            }
            Kind::Usage(record) => usage::take(&mut state.usage, record)?,
            Kind::Request(record) => {
                let request = RequestId(exact(&record.request, "request")?);
                let answer = answered::answer(record.job, record.reservation, record.refused);
                let forget_at = Span(record.forget_at);
                state.requests.insert(request, Remembered { answer, forget_at });
            }
        }
        Ok(())
    }

    fn take_header(&mut self, header: &wire::StateHeader) -> Result<(), Invalid> {
        self.digest = Some(header.digest);
        let state = &mut self.state;
        state.at = Timestamp(header.at);
        state.term = Term(header.term);
        state.cluster = match header.cluster.as_ref() {
            [] => None,
            cluster => Some(ClusterId(exact(cluster, "cluster")?)),
        };
        state.operators = header.operators.iter().map(|user| UserId(*user)).collect();
        state.format = header.format;
        state.next_job = header.next_job;
        state.next_priority = header.next_priority;
        state.sequence = header.sequence;
        state.age = Span(header.age);
        state.reservations.count = header.reservations;
        Ok(())
    }

    /// The state, once all its records were taken.
    ///
    /// # Errors
    /// Where the header was missing, or the records do not add up to the digest that it gives.
    pub fn finish(mut self) -> Result<State, Invalid> {
        let digest = need(self.digest, "header")?;
        self.state.rebuild();
        if self.state.digest != digest {
            return Err(Invalid::Range("digest"));
        }
        if planted(Bug::ReuseIds) {
            self.state.next_job = self.state.jobs.get_max().map_or(1, |(last, _)| last.0 + 1);
        }
        Ok(self.state)
    }
}
