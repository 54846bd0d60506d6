//! `naq explain EXPR`: what a filter means, and what it costs.

use naq_core::events::{EventQuery, ExplainWarning, ExplainedIndex, Explanation, MadeFrom};

use super::{Context, Outcome, export, index};
use crate::connect::Session;
use crate::exit::Exit;
use crate::output::{Grid, View, human, sanitize};

/// Options of `naq explain`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  naq explain 'type in (job_failed, job_completed) and duration > 2s and since 2h'
  naq explain 'queue = emails' --output json | jq .messages_at_most

The language:
  duration > 2s, size <= 64KiB              = != < <= > >=, with units
  type in (job_failed, job_completed)       one of; `not in` for none of
  attempt between 2 and 5, attempt in 2..5  both ends included
  error ~ /time(d )?out/i                   a regular expression; !~
  queue contains mail, tags contains \"a\"    a part of a text, a value of a list
  exists error                              the field is there
  since 2h, until 14:30                     by when the server stored it
  timestamp > 2026-11-24T12:00:00Z          by when it happened
  not, and, or, ( )                         `not` binds most, `or` least
  order.customer.id = 7, \"odd name\" = 1     any field, by its path

A field that is missing matches nothing but `not`: `queue != bulk` needs a
queue, `not queue = bulk` does not.")]
pub(crate) struct Args {
    #[command(flatten)]
    reading: export::Reading,
}

/// Answers with how a reading would go.
pub(crate) async fn run(context: &mut Context, args: Args) -> Outcome {
    let options = args.reading.options(&context.output.view().zone)?;
    Session::with(&context.globals, async |session| {
        let explanation =
            session.reading(async |events| Ok(events.explain(options).await?)).await?;
        context.output.answer(&explanation, table)?;
        Ok(Exit::Done)
    })
    .await
}

fn in_words(index: &ExplainedIndex) -> String {
    let mut words = format!("{} by {}", index.name, sanitize(&index.fields.join(", ")));
    if let Some((named, scanned)) = index.named.zip(index.scanned) {
        words.push_str(&format!(": names {}", human::counted(named, "message")));
        if scanned > 0 {
            words.push_str(&format!(", leaves {} to read", human::count(scanned)));
        }
    }
    words
}

fn table(explanation: &Explanation, view: &View) -> String {
    let mut facts = Grid::new(view, &[]);
    facts.row(["Filter", &sanitize(&explanation.filter)]);
    reading(&mut facts, explanation, view);
    let figures = match explanation.figures_from {
        MadeFrom::Digests => "digests, and the log for what none has",
        MadeFrom::Index => "the index, as a reading",
        _ => "the log, as a reading",
    };
    facts.row(["Figures", &format!("from {figures}")]);
    facts.text() + &warnings(explanation, view)
}

/// What the server does of a reading, what is done here, and how much is read.
pub(crate) fn reading(facts: &mut Grid, explanation: &Explanation, view: &View) {
    let subjects = sanitize(&explanation.subjects.join(", ")).into_owned();
    let all = if explanation.is_by_subject { "" } else { " (all)" };
    facts.row(["Server", &format!("{subjects}{all}")]);
    let stored = super::range::in_words(view, explanation.since, explanation.until);
    facts.row(["Stored", &stored]);
    facts.row(["Reads", &at_most(explanation.messages_at_most, explanation.stream_messages)]);
    if let Some(index) = &explanation.index {
        facts.row(["Index", &in_words(index)]);
    }
    let check = explanation.check.as_deref().unwrap_or("nothing");
    facts.row(["Checks", &sanitize(check)]);
}

/// How much is read, in words.
pub(crate) fn at_most(messages: u64, of: u64) -> String {
    let of = human::counted(of, "message");
    format!("at most {} of {of}", human::count(messages))
}

/// What makes a reading slow, a line each.
pub(crate) fn warnings(explanation: &Explanation, view: &View) -> String {
    let line = |warning: &ExplainWarning| {
        let slow = view.paint.warn("slow:");
        match warning {
            ExplainWarning::NoIndex => {
                format!("{slow} {warning}: {}\n", index::creating(&explanation.could_index))
            }
            warning => format!("{slow} {warning}\n"),
        }
    };
    explanation.warnings.iter().map(line).collect()
}
