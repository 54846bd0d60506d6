//! `naq export`: events as NDJSON, as they are stored.

use std::pin::pin;

use futures::StreamExt;
use naq_core::clock::{Clock, SystemClock};
use naq_core::events::{EventItem, EventQuery, ReadEvents, ReadStart, ReadUntil};

use super::range::Scan;
use super::{Context, Outcome, tail};
use crate::complain::Failure;
use crate::connect::Session;
use crate::exit::Exit;
use crate::output::{Format, Zone, human, json};
use crate::selection::{Expression, Selection};
use crate::when::When;

/// Options of `naq export`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  naq export > events.ndjson                the whole log
  naq export 'type = job_failed and since 1d' | jq -r .error | sort | uniq -c
  naq export | naq --server nats://other:4222 log -

Each line is an event as it is stored, byte for byte; `naq log` takes it back.
There is no other form: --output is for jsonl alone.
It ends at the log's end as it stood at the start. What is no event is left out,
and what leaves the log meanwhile is missing: both are counted on standard error,
and the exit code is 5 then.")]
pub(crate) struct Args {
    #[command(flatten)]
    reading: Reading,
}

/// Which part of the log, as it stands.
#[derive(Debug, clap::Args)]
pub(crate) struct Reading {
    #[command(flatten)]
    expression: Expression,
    #[command(flatten)]
    selection: Selection,
    /// Begin so long ago (`1h`), at a time, or at `seq:N`; by the time of storing
    #[arg(long, value_name = "WHEN", allow_hyphen_values = true)]
    since: Option<When>,
    /// End at a time, or behind `seq:N`
    #[arg(long, value_name = "WHEN", allow_hyphen_values = true)]
    until: Option<When>,
    #[command(flatten)]
    scan: Scan,
}

impl Reading {
    /// What to read.
    ///
    /// # Errors
    /// `InvalidArgument` that points at what is wrong.
    pub(crate) fn options(&self, zone: &Zone) -> naq_core::Result<ReadEvents> {
        let now = SystemClock::new().now();
        let start = match &self.since {
            Some(when) => tail::start(when.resolve(now, zone.zone())?),
            None => ReadStart::Beginning,
        };
        let until = match &self.until {
            Some(when) => tail::until(when.resolve(now, zone.zone())?)?,
            None => ReadUntil::Head,
        };
        let filter = self.expression.to_filter(zone)?.and(self.selection.to_filter(zone)?);
        let options = ReadEvents::default().with_start(start).with_until(until);
        Ok(options.with_filter(filter).with_scan(self.scan.limits()))
    }
}

/// Writes the events.
pub(crate) async fn run(context: &mut Context, args: Args) -> Outcome {
    let options = args.reading.options(&context.output.view().zone)?;
    let asked = context.globals.output.filter(|_| !context.globals.is_output_usual);
    if asked.is_some_and(|format| format != Format::Jsonl) {
        return Err(Failure::usage(
            "export has one form, events as they are stored, a line each",
            "leave out --output, or say jsonl; `naq tail --until-now` has the others",
        ));
    }
    let (output, notes) = (&mut context.output, context.notes);
    Session::with(&context.globals, async |session| {
        session
            .reading(async |events| {
                let mut items = pin!(events.read_events(options));
                let mut done = Exported::default();
                while let Some(item) = items.next().await {
                    match item? {
                        EventItem::Event(recorded) => {
                            done.events += 1;
                            output.bytes(&as_a_line(&recorded.payload, output.is_terminal()))?;
                        }
                        EventItem::Malformed(_) => done.malformed += 1,
                        other => {
                            if let EventItem::Gap { from, to } = &other {
                                done.gone += to.saturating_sub(*from).saturating_add(1);
                            }
                            if let Some(note) = tail::note(&other) {
                                notes.line(&notes.paint().warn(note));
                            }
                        }
                    }
                }
                output.flush()?;
                notes.line(&done.in_words());
                Ok(done.exit())
            })
            .await
    })
    .await
}

/// What an export has written, and what it could not.
#[derive(Debug, Default)]
struct Exported {
    events: u64,
    /// Messages that are no events.
    malformed: u64,
    /// Sequences that left the log before they could be read.
    gone: u64,
}

impl Exported {
    fn in_words(&self) -> String {
        let mut words = format!("exported {}", human::counted(self.events, "event"));
        if self.malformed > 0 {
            let left_out = human::counted(self.malformed, "message");
            words.push_str(&format!("; left out {left_out}: no events"));
        }
        if self.gone > 0 {
            let gone = human::counted(self.gone, "sequence");
            words.push_str(&format!("; missing {gone} that left the log before"));
        }
        words
    }

    /// A script must not take for whole what lacks something.
    fn exit(&self) -> Exit {
        if self.malformed + self.gone > 0 { Exit::Partly } else { Exit::Done }
    }
}

/// The stored bytes with a line break behind them and none in them.
fn as_a_line(payload: &[u8], for_a_terminal: bool) -> Vec<u8> {
    let mut line = match std::str::from_utf8(payload) {
        Ok(text) if for_a_terminal => json::escaped(text.trim()).into_bytes(),
        _ => payload.to_vec(),
    };
    for byte in &mut line {
        // In JSON a raw line break stands between tokens, where a space is the same.
        if matches!(byte, b'\n' | b'\r') {
            *byte = b' ';
        }
    }
    line.push(b'\n');
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stored_event_is_written_as_it_is() {
        let payload = br#"{"type":"log","message":"\u001b[31m\n ","duration":1.0}"#;
        let mut line = payload.to_vec();
        line.push(b'\n');
        assert_eq!(as_a_line(payload, false), line);
    }

    #[test]
    fn what_others_wrote_over_several_lines_becomes_one() {
        assert_eq!(as_a_line(b"{\n\"type\": \"x\"\r\n}", false), b"{ \"type\": \"x\"  }\n");
    }

    #[test]
    fn a_terminal_gets_nothing_to_obey() {
        let line = as_a_line("{\"type\":\"\u{9b}31m\"}".as_bytes(), true);
        assert_eq!(line, b"{\"type\":\"\\u009b31m\"}\n");
    }
}
