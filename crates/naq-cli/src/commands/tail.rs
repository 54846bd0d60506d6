//! `naq tail`: watches events as they come.

use naq_core::clock::{Clock, SystemClock};
use naq_core::events::{EventItem, EventQuery, ReadEvents, ReadStart, ReadUntil};
use naq_core::{Error, ErrorKind};

use super::follow::{LOST, Told, follow};
use super::place::Place;
use super::range::Scan;
use super::{Context, Outcome};
use crate::complain::Failure;
use crate::connect::Session;
use crate::exit::Exit;
use crate::output::{EventLines, Notes, Output, Zone, human, sanitize};
use crate::selection::{Expression, Selection};
use crate::when::{Resolved, When};

/// Options of `naq tail`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  naq tail                                  what happens from now on
  naq tail --type job_failed --queue emails
  naq tail --since 1h                       the last hour, and what follows
  naq tail --since seq:4200 --until-now     a part of the log, and then the end
  naq tail 'duration > 2.5s and since 1h' --output jsonl | jq .job_id
  naq tail --cursor billing --output jsonl  goes on where it was ended

Ends with Ctrl-C or SIGTERM. It survives a server that goes away, and says on standard
error when it goes on, and what is missing if anything is.")]
pub(crate) struct Args {
    #[command(flatten)]
    expression: Expression,
    #[command(flatten)]
    selection: Selection,
    /// Begin so long ago (`1h`), at a time, at `seq:N`, or at the `beginning`
    ///
    /// By the time of storing. Without it, begin now; with --until-now or
    /// --until, at the beginning.
    #[arg(long, value_name = "WHEN", allow_hyphen_values = true)]
    since: Option<When>,
    /// End at a time, behind `seq:N`, or `now`
    #[arg(long, value_name = "WHEN", allow_hyphen_values = true, conflicts_with = "until_now")]
    until: Option<When>,
    /// End at the log's end as it stands now
    #[arg(long)]
    until_now: bool,
    /// Go on behind this cursor, and save in it how far it has come
    ///
    /// A new one begins as `tail` does without it. What was written and not
    /// saved yet, of a second or two, comes again after a crash. With a filter it
    /// stands at the last event that passed.
    #[arg(long, value_name = "NAME")]
    cursor: Option<String>,
    /// End after so many events
    #[arg(long, value_name = "EVENTS", value_parser = crate::cli::positive::<u64>)]
    limit: Option<u64>,
    #[command(flatten)]
    scan: Scan,
}

/// Writes events until the end, if there is one.
pub(crate) async fn run(context: &mut Context, args: Args) -> Outcome {
    let options = args.options(&context.output.view().zone)?;
    let notes = context.notes;
    let waits = matches!(options.until, ReadUntil::Never);
    Session::with(&context.globals, async |session| {
        if waits && notes.is_terminal() {
            let url = session.url();
            notes.line(&notes.paint().dim(format!("watching {url}; Ctrl-C ends")));
        }
        let mut place = match &args.cursor {
            Some(name) => Some(Place::open(&session.cursors()?, name).await?),
            None => None,
        };
        let options = place.as_ref().map_or_else(|| options.clone(), |at| at.reading(&options));
        session
            .reading(async |events| {
                let items = events.read_events(options);
                let mut tail = Tail::new(&mut context.output, notes);
                follow(session, items, async |told| tail.tell(told, &mut place).await).await?;
                if let Some(place) = &mut place {
                    place.save().await?;
                }
                tail.sum_up();
                Ok(Exit::Done)
            })
            .await
    })
    .await
}

/// Why a reading ended; what was written before counts as read.
async fn ended(place: &mut Option<Place>, error: Error) -> Failure {
    let Some(place) = place else { return error.into() };
    if error.is(ErrorKind::Conflict) {
        let name = place.name();
        return error.with_hint(format!("naq cursors set {name} beginning")).into();
    }
    match place.save().await {
        Ok(()) => error.into(),
        Err(failure) => failure.into(),
    }
}

impl Args {
    fn options(&self, zone: &Zone) -> naq_core::Result<ReadEvents> {
        let now = SystemClock::new().now();
        let until = match &self.until {
            _ if self.until_now => ReadUntil::Head,
            None => ReadUntil::Never,
            Some(when) => until(when.resolve(now, zone.zone())?)?,
        };
        let filter = self.expression.to_filter(zone)?.and(self.selection.to_filter(zone)?);
        // What the expression says of the time of storing is as good as the options.
        let is_live = until == ReadUntil::Never && filter.stored_range() == (None, None);
        let start = match &self.since {
            Some(when) => start(when.resolve(now, zone.zone())?),
            None if is_live => ReadStart::New,
            None => ReadStart::Beginning,
        };
        let options = ReadEvents::default().with_start(start).with_until(until);
        let options = options.with_filter(filter).with_scan(self.scan.limits());
        let options = match self.limit {
            Some(limit) => options.with_limit(limit),
            None => options,
        };
        options.validate()?;
        Ok(options)
    }
}

/// Where a reading begins.
pub(crate) fn start(when: Resolved) -> ReadStart {
    match when {
        Resolved::Beginning => ReadStart::Beginning,
        Resolved::Now => ReadStart::New,
        Resolved::Sequence(sequence) => ReadStart::Sequence(sequence),
        Resolved::At(time) => ReadStart::Time(time),
    }
}

/// Where a reading ends.
pub(crate) fn until(when: Resolved) -> naq_core::Result<ReadUntil> {
    Ok(match when {
        Resolved::Now => ReadUntil::Head,
        Resolved::Sequence(sequence) => ReadUntil::Sequence(sequence),
        Resolved::At(time) => ReadUntil::Time(time),
        Resolved::Beginning => {
            return Err(Error::invalid("tail", "until", "must not be the beginning")
                .with_hint("say --until-now, a time, or seq:N"));
        }
    })
}

/// Shows what a reading brings: events on standard output, what happened to
/// the reading on standard error.
pub(crate) struct Tail<'a> {
    pub(crate) output: &'a mut Output,
    notes: Notes,
    lines: EventLines,
    malformed: u64,
}

impl<'a> Tail<'a> {
    fn new(output: &'a mut Output, notes: Notes) -> Self {
        let lines = EventLines::new(output.view());
        Self { output, notes, lines, malformed: 0 }
    }

    /// Shows what has come, and keeps in the cursor how far that is.
    async fn tell(
        &mut self,
        told: Told<naq_core::Result<EventItem>>,
        place: &mut Option<Place>,
    ) -> Result<(), Failure> {
        let items = match told {
            Told::Items(items) => items,
            Told::Lost => {
                self.output.flush()?;
                self.notes.line(&self.notes.paint().warn(LOST));
                return Ok(());
            }
            // Nobody knows when more comes: what was written by now is saved by now.
            Told::Second => {
                return match place {
                    Some(place) => place.save_meanwhile().await,
                    None => Ok(()),
                };
            }
        };
        for item in items {
            match item {
                Ok(item) => {
                    if let Some(place) = place {
                        place.reach(&item);
                    }
                    self.show(item)?;
                }
                Err(error) => {
                    self.output.flush()?;
                    return Err(ended(place, error).await);
                }
            }
        }
        self.output.flush()?;
        match place {
            Some(place) => place.save_now_and_then().await,
            None => Ok(()),
        }
    }

    fn show(&mut self, item: EventItem) -> std::io::Result<()> {
        match item {
            EventItem::Event(recorded) if self.output.is_table() => {
                let line = self.lines.line(&recorded);
                self.output.text(&line)?;
            }
            EventItem::Event(recorded) => self.output.json_line(&*recorded)?,
            other => {
                self.malformed += u64::from(matches!(other, EventItem::Malformed(_)));
                if let Some(note) = note(&other) {
                    // Behind what came before it.
                    self.output.flush()?;
                    self.notes.line(&self.notes.paint().warn(note));
                }
            }
        }
        Ok(())
    }

    fn sum_up(&self) {
        if self.malformed > 0 {
            let messages = human::counted(self.malformed, "message");
            self.notes.line(&format!("{messages} on the way: no events"));
        }
    }
}

/// What happened to a reading, in words.
pub(crate) fn note(item: &EventItem) -> Option<String> {
    Some(match item {
        EventItem::Malformed(message) => format!(
            "-- sequence {} is no event: {} (subject {})",
            message.sequence(),
            sanitize(&message.reason.to_string()),
            sanitize(&message.subject)
        ),
        EventItem::Gap { from, to } => {
            format!("-- gap: the sequences {from} to {to} left the log before they could be read")
        }
        EventItem::Resumed { position } => format!(
            "-- reconnected; reading goes on behind sequence {}, nothing is missing",
            position.sequence
        ),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn args(since: Option<&str>, until: Option<&str>, until_now: bool) -> Args {
        let parse = |text: &str| text.parse().unwrap();
        Args {
            expression: Expression::default(),
            selection: Selection::default(),
            since: since.map(parse),
            until: until.map(parse),
            until_now,
            cursor: None,
            limit: None,
            scan: Scan::default(),
        }
    }

    fn ends(args: &Args) -> (ReadStart, ReadUntil) {
        let options = args.options(&Zone::new(true)).unwrap();
        (options.start, options.until)
    }

    #[test]
    fn it_begins_now_and_with_an_end_at_the_beginning() {
        assert_eq!(ends(&args(None, None, false)), (ReadStart::New, ReadUntil::Never));
        assert_eq!(ends(&args(None, None, true)), (ReadStart::Beginning, ReadUntil::Head));
        assert_eq!(
            ends(&args(Some("seq:3"), Some("seq:9"), false)),
            (ReadStart::Sequence(3), ReadUntil::Sequence(9))
        );
    }

    #[test]
    fn an_expression_may_say_where_it_begins() {
        let mut args = args(None, None, false);
        args.expression.expression = Some("since 1h".to_owned());
        assert_eq!(ends(&args), (ReadStart::Beginning, ReadUntil::Never));
    }

    #[test]
    fn an_end_before_the_beginning_is_refused() {
        assert!(args(Some("seq:9"), Some("seq:3"), false).options(&Zone::new(true)).is_err());
        assert!(args(None, Some("beginning"), false).options(&Zone::new(true)).is_err());
    }
}
