//! An answer that is asked for again and again: `--watch`.

use std::pin::pin;
use std::time::Duration;

use clap::Args;
use futures::StreamExt;
use naq_core::clock::{Clock, ClockExt, SystemClock};
use naq_core::config::format_duration;
use naq_core::connection::{Connection, ConnectionProviderExt, ConnectionState};
use naq_core::{Error, ErrorKind};
use serde::Serialize;

use super::Outcome;
use super::asked::Asked;
use crate::complain::Failure;
use crate::connect::Session;
use crate::exit::Exit;
use crate::output::{Notes, Output, Screen, View};

/// How often it is asked again: the least, and the most.
const EVERY: [Duration; 2] = [Duration::from_millis(100), Duration::from_secs(3_600)];

/// `--watch`.
#[derive(Debug, Clone, Copy, Args)]
pub(crate) struct Watch {
    /// Ask again each so often after an answer, until Ctrl-C [default: 2s]
    ///
    /// On a terminal the answer is drawn over the last one; elsewhere one
    /// follows the other, in JSON a line each. An expression stands before it.
    #[arg(
        long,
        value_name = "INTERVAL",
        num_args = 0..=1,
        default_missing_value = "2s",
        value_parser = interval
    )]
    watch: Option<Duration>,
}

impl Watch {
    /// How often, where that is asked for.
    pub(crate) const fn every(self) -> Option<Duration> {
        self.watch
    }
}

fn interval(text: &str) -> Result<Duration, String> {
    let every = crate::cli::duration(text)
        .map_err(|rule| format!("{rule}; an expression stands before --watch"))?;
    let [least, most] = EVERY;
    if (least..=most).contains(&every) {
        Ok(every)
    } else {
        Err("must be from 100ms to 1h".to_owned())
    }
}

/// Shows what `ask` answers, again and again, until somebody asks for the end.
///
/// A server that goes away between answers is told, and waited for.
///
/// # Errors
/// Those of the first answer, and later ones that waiting doesn't help against.
pub(crate) async fn watch<T: Serialize>(
    session: &Session,
    (output, notes): (&mut Output, Notes),
    every: Duration,
    mut ask: impl AsyncFnMut() -> Result<T, Error>,
    table: fn(&T, &View) -> String,
) -> Outcome {
    let mut asked = Asked::listen("watch")?;
    let mut states = session.connections()?.default_connection().await?.state_changes().fuse();
    let clock = SystemClock::new();
    let mut shown = Shown::new(output, notes, every);
    loop {
        let mut asking = pin!(ask());
        let answer = loop {
            tokio::select! {
                biased;
                () = asked.wait() => return Ok(Exit::Done),
                Some(state) = states.next() => shown.hear(state)?,
                answer = &mut asking => break answer,
            }
        };
        match answer {
            Ok(answer) => shown.answer(&answer, table)?,
            Err(error) if shown.has_begun() && is_away(&error) => shown.away()?,
            Err(error) => return Err(error.into()),
        }
        let mut pause = pin!(clock.sleep(every));
        loop {
            tokio::select! {
                biased;
                () = asked.wait() => return Ok(Exit::Done),
                Some(state) = states.next() => shown.hear(state)?,
                () = &mut pause => break,
            }
        }
    }
}

fn is_away(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::Unavailable | ErrorKind::Timeout)
}

/// What is on the screen, or was written.
struct Shown<'a> {
    output: &'a mut Output,
    notes: Notes,
    every: Duration,
    /// Where answers are drawn over one another.
    screen: Option<Screen>,
    /// The last answer as a table, and when it came.
    last: Option<(String, String)>,
    is_away: bool,
}

impl<'a> Shown<'a> {
    fn new(output: &'a mut Output, notes: Notes, every: Duration) -> Self {
        let screen = (output.is_table() && output.can_draw()).then(Screen::default);
        Self { output, notes, every, screen, last: None, is_away: false }
    }

    const fn has_begun(&self) -> bool {
        self.last.is_some()
    }

    /// Shows an answer.
    fn answer<T: Serialize>(
        &mut self,
        answer: &T,
        table: fn(&T, &View) -> String,
    ) -> Result<(), Failure> {
        if std::mem::take(&mut self.is_away) && self.screen.is_none() {
            self.notes.line(&self.notes.paint().dim("-- the server answers again"));
        }
        let size = self.output.fit();
        let view = self.output.view();
        let at = view.zone.full(SystemClock::new().now());
        if !self.output.is_table() {
            self.output.json_line(answer)?;
            self.last = Some((String::new(), at));
        } else {
            self.last = Some((table(answer, view), at));
            self.write(size)?;
        }
        Ok(self.output.flush()?)
    }

    /// A change of the connection's state.
    fn hear(&mut self, state: ConnectionState) -> Result<(), Failure> {
        match state {
            ConnectionState::Disconnected if self.has_begun() => self.away(),
            _ => Ok(()),
        }
    }

    /// Tells once that the server is away.
    fn away(&mut self) -> Result<(), Failure> {
        if std::mem::replace(&mut self.is_away, true) {
            return Ok(());
        }
        if self.screen.is_some() {
            let size = self.output.fit();
            self.write(size)?;
            self.output.flush()?;
        } else {
            let told = "-- the server is away; it goes on when it is back";
            self.notes.line(&self.notes.paint().warn(told));
        }
        Ok(())
    }

    /// Writes the last answer below its heading.
    fn write(&mut self, size: (u16, u16)) -> Result<(), Failure> {
        let Some((table, at)) = &self.last else { return Ok(()) };
        let paint = self.output.view().paint;
        let text = match &mut self.screen {
            Some(screen) => {
                let every = format_duration(self.every);
                let heading = match self.is_away {
                    true => paint.warn(format!("The server is away; this is of {at}. Ctrl-C ends")),
                    false => paint.dim(format!("{at}, every {every}; Ctrl-C ends")),
                };
                screen.draw(&format!("{heading}\n\n{table}"), size)
            }
            None => format!("{at}\n{table}\n"),
        };
        Ok(self.output.text(&text)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_interval_has_a_range_and_is_no_expression() {
        assert_eq!(interval("500ms"), Ok(Duration::from_millis(500)));
        for text in ["0s", "99ms", "2h"] {
            assert!(interval(text).unwrap_err().contains("100ms to 1h"), "{text}");
        }
        assert!(interval("type = x").unwrap_err().contains("stands before --watch"));
    }
}
