//! Which request an entry answers, and how.

use common::{
    id::{JobId, RequestId},
    machine::{Answer, Answered},
    time::Span,
};

use super::exact;
use crate::{Invalid, log as wire};

impl From<Answered> for wire::Answered {
    fn from(answered: Answered) -> Self {
        Self {
            request: answered.request.0.to_vec().into(),
            forget_at: answered.forget_at.0,
            job: job(answered.answer),
            reservation: reserved(answered.answer),
        }
    }
}

impl TryFrom<wire::Answered> for Answered {
    type Error = Invalid;

    fn try_from(wire: wire::Answered) -> Result<Self, Invalid> {
        Ok(Self {
            request: RequestId(exact(&wire.request, "request")?),
            forget_at: Span(wire.forget_at),
            answer: answer(wire.job, wire.reservation),
        })
    }
}

/// The job that an answer tells of.
pub(super) fn job(answer: Answer) -> Option<u32> {
    match answer {
        Answer::Job(job) => Some(job.0),
        Answer::Done | Answer::Reservation(_) => None,
    }
}

/// The reservation that an answer tells of.
pub(super) fn reserved(answer: Answer) -> Option<u32> {
    match answer {
        Answer::Reservation(number) => Some(number),
        Answer::Done | Answer::Job(_) => None,
    }
}

pub(super) fn answer(job: Option<u32>, reservation: Option<u32>) -> Answer {
    match (job, reservation) {
        (Some(job), _) => Answer::Job(JobId(job)),
        (None, Some(number)) => Answer::Reservation(number),
        (None, None) => Answer::Done,
    }
}
