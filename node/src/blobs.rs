//! Batch scripts and environments, by what they contain.
//!
//! The leader sends small ones along with the order; others are fetched once and kept for the jobs
//! that share them.
//!
//! **Invariant:** nothing is used whose hash is not the one that was asked for.

use std::{
    collections::VecDeque,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use common::id::ContentHash;
use proto::node::{FetchRequest, node_client::NodeClient};
use trust::controllers::{Call, CallError, Controllers, Target};

/// How many bytes of contents are kept.
const CAPACITY: usize = 32 << 20;

/// How long a fetch may take: through a change of leaders, and longer.
const LIMIT: Duration = Duration::from_secs(60);

/// The largest content that is taken: as much as a batch script may be made to hold.
const MAX_CONTENT: usize = 256 << 20;

/// Why a content is not to be had.
#[derive(Debug, thiserror::Error)]
pub enum BlobError {
    #[error("can't fetch the job's script or environment")]
    Fetch(#[from] CallError),
    #[error("the job's script or environment is not what was submitted: {0}")]
    Damaged(ContentHash),
}

impl BlobError {
    /// Whether a controller says, and means, that there is no such content.
    #[must_use]
    pub fn is_final(&self) -> bool {
        matches!(self, Self::Fetch(CallError::Refused(_)))
    }
}

/// The contents that were used last.
#[derive(Debug, Default)]
pub struct Blobs {
    kept: Mutex<Kept>,
}

#[derive(Debug, Default)]
struct Kept {
    /// The one used last stands last.
    contents: VecDeque<(ContentHash, Bytes)>,
    bytes: usize,
}

impl Blobs {
    /// The content with this hash: what the order brought, what is kept, or what a controller has.
    ///
    /// # Errors
    /// Where no controller has it, none answers, or it has another hash.
    pub async fn content(
        &self,
        hash: ContentHash,
        brought: Option<Bytes>,
        controllers: &Controllers,
    ) -> Result<Bytes, BlobError> {
        if let Some(content) = brought {
            return checked(hash, content);
        }
        // An empty one travels as if it were to be fetched.
        if hash == ContentHash::of(b"") {
            return Ok(Bytes::new());
        }
        if let Some(content) = self.kept().take(hash) {
            return Ok(content);
        }
        let call = Call::within(Target::Leader, LIMIT);
        let request = FetchRequest { hash: Bytes::copy_from_slice(&hash.0) };
        let fetched = controllers.call(call, |channel| {
            let request = request.clone();
            async move {
                let mut client = NodeClient::new(channel).max_decoding_message_size(MAX_CONTENT);
                client.fetch(request).await
            }
        });
        let content = checked(hash, fetched.await?.into_inner().content)?;
        self.kept().put(hash, content.clone());
        Ok(content)
    }

    fn kept(&self) -> std::sync::MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Kept {
    fn take(&mut self, hash: ContentHash) -> Option<Bytes> {
        let at = self.contents.iter().position(|(kept, _)| *kept == hash)?;
        let used = self.contents.remove(at)?;
        let content = used.1.clone();
        self.contents.push_back(used);
        Some(content)
    }

    fn put(&mut self, hash: ContentHash, content: Bytes) {
        if content.len() > CAPACITY || self.take(hash).is_some() {
            return;
        }
        self.bytes += content.len();
        self.contents.push_back((hash, content));
        while self.bytes > CAPACITY {
            let Some((_, oldest)) = self.contents.pop_front() else { break };
            self.bytes = self.bytes.checked_sub(oldest.len()).expect("each was added up");
        }
    }
}

fn checked(hash: ContentHash, content: Bytes) -> Result<Bytes, BlobError> {
    if ContentHash::of(&content) == hash { Ok(content) } else { Err(BlobError::Damaged(hash)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_used_longest_ago_goes_first() {
        let mut kept = Kept::default();
        let content = |byte: u8| Bytes::from(vec![byte; CAPACITY / 3]);
        let hash = |byte| ContentHash([byte; 32]);
        for byte in 1..=3 {
            kept.put(hash(byte), content(byte));
        }
        assert_eq!(kept.take(hash(1)), Some(content(1)));
        kept.put(hash(4), content(4));
        assert_eq!(kept.take(hash(2)), None);
        assert!(kept.take(hash(1)).is_some() && kept.take(hash(3)).is_some());
        kept.put(hash(5), Bytes::from(vec![5; CAPACITY + 1]));
        assert_eq!(kept.take(hash(5)), None, "it would drive out all others");
        assert_eq!(kept.bytes, 3 * (CAPACITY / 3));
    }

    #[test]
    fn another_content_is_not_used() {
        let content = Bytes::from_static(b"#!/bin/sh\n");
        assert!(checked(ContentHash::of(&content), content.clone()).is_ok());
        let refused = checked(ContentHash::of(b"other"), content);
        assert!(matches!(refused, Err(BlobError::Damaged(_))));
    }
}
