//! Which request an entry answers, and how.

use std::sync::Arc;

use common::{
    id::{JobId, RequestId},
    machine::{Answer, Answered, Refused},
    time::Span,
};

use super::exact;
use crate::{Invalid, log as wire};

impl From<Answered> for wire::Answered {
    fn from(answered: Answered) -> Self {
        Self {
            request: answered.request.0.to_vec().into(),
            forget_at: answered.forget_at.0,
            job: job(&answered.answer),
            reservation: reserved(&answered.answer),
            refused: refused(&answered.answer),
        }
    }
}

impl TryFrom<wire::Answered> for Answered {
    type Error = Invalid;

    fn try_from(wire: wire::Answered) -> Result<Self, Invalid> {
        Ok(Self {
            request: RequestId(exact(&wire.request, "request")?),
            forget_at: Span(wire.forget_at),
            answer: answer(wire.job, wire.reservation, wire.refused),
        })
    }
}

/// What a request was told.
type Told = Result<Answer, Arc<Refused>>;

/// The job that an answer tells of.
pub(super) fn job(told: &Told) -> Option<u32> {
    match told {
        Ok(Answer::Job(job)) => Some(job.0),
        Ok(Answer::Done | Answer::Reservation(_)) | Err(_) => None,
    }
}

/// The reservation that an answer tells of.
pub(super) fn reserved(told: &Told) -> Option<u32> {
    match told {
        Ok(Answer::Reservation(number)) => Some(*number),
        Ok(Answer::Done | Answer::Job(_)) | Err(_) => None,
    }
}

/// The refusal, where it is one.
pub(super) fn refused(told: &Told) -> Option<wire::Refused> {
    let refused = told.as_ref().err()?;
    let Refused { words, errno, detail } = refused.as_ref().clone();
    Some(wire::Refused { words, errno, detail })
}

pub(super) fn answer(
    job: Option<u32>,
    reservation: Option<u32>,
    refused: Option<wire::Refused>,
) -> Told {
    if let Some(wire::Refused { words, errno, detail }) = refused {
        return Err(Arc::new(Refused { words, errno, detail }));
    }
    Ok(match (job, reservation) {
        (Some(job), _) => Answer::Job(JobId(job)),
        (None, Some(number)) => Answer::Reservation(number),
        (None, None) => Answer::Done,
    })
}
