//! What the replica that is read may lack, where a stream has several.
//!
//! A server makes a consumer on any replica that is online, also on one that is
//! still catching up with its leader. That one says "no messages" when it has
//! given what itself has. What only the leader has yet would count as deleted:
//! the read would end short, or pass over it when it comes. So the word of a
//! replica counts up to what it is known to have had, and where that isn't enough
//! the leader is asked. On a stream of one replica nothing of this happens.

use futures::StreamExt;
use naq_core::jetstream::{Consistency, StreamInfo, Which, is_no_message};
use naq_core::{ErrorKind, Result};

use super::OPERATION;
use super::consumer::Ephemeral;
use super::progress::Progress;
use super::reader::{Reader, is_passing};

/// For how many filters the leader is asked.
const MOST_ASKED: usize = 64;

/// Who told how a stream of several replicas stood.
#[derive(Debug)]
pub(super) struct Lead {
    server: Option<String>,
    /// The last sequence that it had.
    last: u64,
}

impl Lead {
    /// `None` where the stream has one replica.
    pub(super) fn of(info: &StreamInfo) -> Option<Self> {
        let has_several = info.config.replicas.is_some_and(|replicas| replicas > 1);
        has_several.then(|| Self { server: info.leader.clone(), last: info.state.last_sequence })
    }

    /// Whether a server is known to have had all up to a sequence, be it the leader still or not.
    fn had(&self, server: Option<&str>, sequence: u64) -> bool {
        server.is_some() && self.server.as_deref() == server && sequence <= self.last
    }
}

impl Reader {
    /// Whether all that matches has come up to a sequence that the leader told,
    /// now that the consumer says that nothing is left.
    pub(super) async fn has_all(&mut self, consumer: &Ephemeral, last: u64) -> Result<bool> {
        let Some(lead) = &self.lead else { return Ok(true) };
        let position = self.progress.as_ref().and_then(Progress::known_position);
        if position.is_some_and(|position| position >= last) || lead.had(consumer.server(), last) {
            return Ok(true);
        }
        if !self.can_ask() {
            // Another consumer may be on the leader.
            return Ok(false);
        }
        match self.leader_has_more(position, last).await {
            Ok(has_more) => Ok(!has_more),
            Err(error) if error.is(ErrorKind::PermissionDenied) => {
                let text = "these credentials may get no single messages of a stream that has \
                            replicas: a read waits until the leader itself is read";
                tracing::info!(stream = %self.plan.stream, %error, "{text}");
                self.may_not_ask = true;
                Ok(false)
            }
            Err(error) if is_passing(&error) => Ok(false),
            Err(error) => Err(error.in_operation(OPERATION)),
        }
    }

    /// Whether the leader can be asked for what lies behind the position.
    pub(super) fn can_ask(&self) -> bool {
        !self.may_not_ask && self.plan.subjects.len() <= MOST_ASKED
    }

    /// Whether the leader has something that matches behind the position, up to
    /// `last`. It may say yes of what lies behind that, which comes then.
    async fn leader_has_more(&self, position: Option<u64>, last: u64) -> Result<bool> {
        let mut filters = self.plan.subjects.clone();
        if filters.is_empty() {
            filters.push(">".to_owned());
        }
        let which = filters.into_iter().map(move |subject| match position {
            Some(position) => {
                Which::NextBySubject { subject, sequence: position.saturating_add(1) }
            }
            // From which sequence on isn't known where a start by time showed nothing.
            None => Which::LastBySubject(subject),
        });
        let mut answers = self.jetstream.each(&self.plan.stream, which, Consistency::Leader);
        while let Some(answer) = answers.next().await {
            match answer {
                Ok(message) if position.is_some() && message.sequence > last => {}
                Ok(message) if self.plan.wants(&message) => return Ok(true),
                Ok(_) => {}
                Err(error) if is_no_message(&error) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(false)
    }
}
