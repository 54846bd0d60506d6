//! A read as a stream of deliveries: the cursor of the model, and waiting in between.

use std::collections::VecDeque;
use std::sync::Arc;

use futures::StreamExt;
use naq_core::clock::ClockExt;
use naq_core::jetstream::{Delivery, ReadOptions, check_filter, check_name, filters_overlap};
use naq_core::{BoxStream, Error, Result};

use crate::faults::injected;
use crate::model::{Cursor, Next, Refusal};
use crate::session::{Effect, Session, Waiting, closed, share_the_thread};

/// Reads a stream; it is opened when the answer is first polled.
pub(crate) fn read(
    session: Arc<Session>,
    stream: String,
    options: ReadOptions,
) -> BoxStream<'static, Result<Delivery>> {
    let reading = Reading {
        session,
        stream,
        options,
        cursor: None,
        reconnects: 0,
        breaks: 0,
        ready: VecDeque::new(),
        over: false,
    };
    futures::stream::unfold(reading, |mut reading| async move {
        let delivery = reading.next().await?;
        Some((delivery, reading))
    })
    .boxed()
}

struct Reading {
    session: Arc<Session>,
    stream: String,
    options: ReadOptions,
    cursor: Option<Cursor>,
    /// How many times the connection had come back when the read last looked.
    reconnects: u64,
    /// How many times all reads had been broken when it was opened.
    breaks: u64,
    ready: VecDeque<Delivery>,
    over: bool,
}

impl Reading {
    async fn next(&mut self) -> Option<Result<Delivery>> {
        share_the_thread().await;
        loop {
            if let Some(delivery) = self.ready.pop_front() {
                return Some(Ok(delivery));
            }
            if self.over {
                return None;
            }
            let advanced = match self.cursor {
                None => self.open().await.map(|()| None),
                Some(_) => self.advance(),
            };
            match advanced {
                Ok(None) => {}
                Ok(Some(waiting)) => self.session.wait(waiting).await,
                Err(error) => {
                    self.over = true;
                    return Some(Err(error));
                }
            }
        }
    }

    async fn open(&mut self) -> Result<()> {
        check(&self.stream, &self.options)?;
        let (stream, options) = (&self.stream, &self.options);
        let (cursor, reconnects, breaks) = self
            .session
            .run("read", Effect::None, |state, now| {
                let cursor = state.model.open(stream, options, now)?;
                Ok((cursor, state.faults.reconnects(), state.faults.breaks()))
            })
            .await?;
        self.cursor = Some(cursor);
        (self.reconnects, self.breaks) = (reconnects, breaks);
        Ok(())
    }

    /// Takes the next batch; answers what to wait for where there is none.
    fn advance(&mut self) -> Result<Option<Waiting>> {
        let Some(cursor) = &mut self.cursor else { return Ok(None) };
        let now = self.session.moment();
        let mut guard = self.session.state();
        let state = &mut *guard;
        if self.session.is_closed() {
            return Err(closed("read"));
        }
        if let Some(kind) = state.faults.broken_since(self.breaks) {
            return Err(injected("read", kind));
        }
        if !self.session.is_open(state) {
            return Ok(Some(Waiting { changed: state.changed(&self.stream), until: None }));
        }
        let reconnects = state.faults.reconnects();
        let resumed = std::mem::replace(&mut self.reconnects, reconnects) != reconnects;
        let ready = &mut self.ready;
        let next = state
            .model
            .read(cursor, now, |cursor, stream| {
                if resumed {
                    cursor.resume(stream, ready);
                }
                cursor.advance(stream, ready)
            })
            .map_err(|refusal| refusal.error("read"))?;
        match next {
            Next::More => Ok(None),
            Next::End => {
                self.over = true;
                Ok(None)
            }
            Next::Wait if !self.ready.is_empty() => Ok(None),
            Next::Wait => {
                let until = state
                    .model
                    .next_marker(&self.stream)
                    .map(|at| self.session.clock().deadline(at.since(now.wall)));
                Ok(Some(Waiting { changed: state.changed(&self.stream), until }))
            }
        }
    }
}

/// Checks what needs no stream.
fn check(stream: &str, options: &ReadOptions) -> Result<(), Error> {
    check_name("read", "stream", stream)?;
    for (at, filter) in options.subjects.iter().enumerate() {
        check_filter("read", filter)?;
        if options.subjects[..at].iter().any(|other| filters_overlap(other, filter)) {
            return Err(Refusal::invalid("subjects", "must not overlap one another").error("read"));
        }
    }
    Ok(())
}
