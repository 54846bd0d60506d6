//! `naq index`: which fields of events can be looked up, and how far that reaches.

use std::sync::Arc;

use futures::{Stream, StreamExt};
use naq_core::ErrorKind;
use naq_events::EventService;
use naq_events::indexes::{EventIndex, EventIndexStatus, IndexProgress};
use serde::Serialize;

use super::confirm::confirm;
use super::progress;
use super::{Context, Outcome};
use crate::complain::Failure;
use crate::connect::Session;
use crate::exit::Exit;
use crate::output::{Grid, Notes, View, human, sanitize};

/// The bar of a building.
pub(crate) const TEMPLATE: &str =
    "{wide_bar:.cyan/dim} {human_pos} of {human_len} sequences  {eta} left";

/// `naq index …`.
#[derive(Debug, clap::Subcommand)]
#[command(after_help = "\
Examples:
  naq index create workers worker_id queue
  naq tail 'worker_id = worker-1' --until-now    is read by it
  naq explain 'worker_id = worker-1'             says so")]
pub(crate) enum Command {
    /// Create an index of some fields, and build it for the events that are there
    #[command(after_help = "\
Examples:
  naq index create workers worker_id queue
  naq index create customers order.customer.id

It may be ended at any time: the same line again goes on where it was.")]
    Create {
        /// Its name
        index: String,
        /// Its fields, up to 8, named as in expressions
        #[arg(required = true, value_name = "FIELD")]
        fields: Vec<String>,
    },
    /// List the indexes
    #[command(after_help = "\
Examples:
  naq index ls
  naq index ls --output jsonl | jq -r .name")]
    Ls,
    /// Show how far an index reaches, and what it takes
    #[command(after_help = "\
Examples:
  naq index status workers")]
    Status {
        /// The index
        index: String,
    },
    /// Forget what an index covers, and build it anew
    #[command(after_help = "\
Examples:
  naq index rebuild workers")]
    Rebuild {
        /// The index
        index: String,
    },
    /// Drop an index, or all of them; the log stays as it is
    #[command(after_help = "\
Examples:
  naq index drop workers --yes
  naq index drop --all --yes

--all is the way out where the list of the indexes was damaged, too: create them
again then.")]
    Drop {
        /// The index
        #[arg(required_unless_present = "all")]
        index: Option<String>,
        /// Drop all indexes, whether their list can be read or not
        #[arg(long, conflicts_with = "index")]
        all: bool,
        /// Don't ask
        #[arg(long)]
        yes: bool,
    },
}

/// What was done to an index.
#[derive(Debug, Serialize)]
struct Done {
    /// `None` for all of them.
    index: Option<String>,
    done: &'static str,
}

/// Does what is asked.
pub(crate) async fn run(context: &mut Context, command: Command) -> Outcome {
    let notes = context.notes;
    let output = &mut context.output;
    Session::with(&context.globals, async |session| {
        session
            .reading(async |events| {
                match command {
                    Command::Create { index, fields } => {
                        let fields: Vec<&str> = fields.iter().map(String::as_str).collect();
                        events.create_event_index(&index, &fields).await?;
                        let end = end_of_log(events, &index).await?;
                        build(notes, end, events.build_event_index(&index)).await?;
                        output.answer(&events.event_index_status(&index).await?, facts)?;
                    }
                    Command::Ls => output.list(&events.list_event_indexes().await?, table)?,
                    Command::Status { index } => {
                        output.answer(&events.event_index_status(&index).await?, facts)?;
                    }
                    Command::Rebuild { index } => {
                        let end = end_of_log(events, &index).await?;
                        build(notes, end, events.rebuild_event_index(&index)).await?;
                        output.answer(&events.event_index_status(&index).await?, facts)?;
                    }
                    Command::Drop { index, yes, .. } => {
                        match &index {
                            Some(index) => drop_index(events, index, yes).await?,
                            None => drop_all(events, yes).await?,
                        }
                        output.answer(&Done { index, done: "dropped" }, |done, _| {
                            let index = done.index.as_deref().unwrap_or("all indexes");
                            format!("{} {}\n", done.done, sanitize(index))
                        })?;
                    }
                }
                Ok(Exit::Done)
            })
            .await
    })
    .await
}

/// What makes an index of these fields, to be typed as it is.
pub(crate) fn creating(fields: &[String]) -> String {
    const MOST: usize = 64;
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "_-".contains(c);
    let named = fields.first().map_or("", String::as_str).chars().take(MOST);
    let mut line = "naq index create ".to_owned();
    line.extend(named.map(|c| if is_plain(c) { c } else { '_' }));
    for field in fields {
        let field = sanitize(field);
        if field.chars().all(|c| is_plain(c) || c == '.') {
            line.push_str(&format!(" {field}"));
        } else {
            line.push_str(&format!(" '{}'", field.replace('\'', r"'\''")));
        }
    }
    line
}

async fn drop_index(events: &Arc<EventService>, index: &str, yes: bool) -> Result<(), Failure> {
    if !yes {
        let status = events.event_index_status(index).await?;
        let size = human::size(status.bytes);
        confirm(&format!("drop the index {index} ({size})? the log stays"))?;
    }
    Ok(events.drop_event_index(index).await?)
}

async fn drop_all(events: &Arc<EventService>, yes: bool) -> Result<(), Failure> {
    if !yes {
        let which = match events.list_event_indexes().await {
            Ok(indexes) => {
                let names: Vec<_> = indexes.into_iter().map(|index| index.name).collect();
                format!("all indexes ({})", names.join(", "))
            }
            Err(error) if error.is(ErrorKind::Corrupt) => {
                "all indexes, whose list was damaged".to_owned()
            }
            Err(error) => return Err(error.into()),
        };
        confirm(&format!("drop {which}? the log stays"))?;
    }
    Ok(events.drop_all_event_indexes().await?)
}

/// Where a building will end, so that its bar is of that from the start.
async fn end_of_log(events: &Arc<EventService>, index: &str) -> Result<u64, Failure> {
    Ok(events.event_index_status(index).await?.last_sequence)
}

/// Waits until an index is built, and shows how far it is.
async fn build(
    notes: Notes,
    last_sequence: u64,
    mut progress: impl Stream<Item = naq_core::Result<IndexProgress>> + Unpin,
) -> Result<(), Failure> {
    let bar = progress::bar(notes, Some(last_sequence), TEMPLATE);
    while let Some(step) = progress.next().await {
        let step = step?;
        bar.set_length(step.last_sequence);
        bar.set_position(step.through);
    }
    bar.finish_and_clear();
    Ok(())
}

/// A row for each index.
fn table(indexes: &[EventIndex], view: &View) -> String {
    let mut grid = Grid::new(view, &["Index", "Fields", "Created"]);
    for index in indexes {
        let fields = sanitize(&index.fields.join(", ")).into_owned();
        grid.row([index.name.as_str(), &fields, &view.zone.full(index.created_at)]);
    }
    if grid.is_empty() { "no indexes\n".to_owned() } else { grid.text() }
}

/// Everything about one index.
fn facts(status: &EventIndexStatus, view: &View) -> String {
    let mut grid = Grid::new(view, &[]);
    grid.row(["Index", status.index.name.as_str()]);
    grid.row(["Created", &view.zone.full(status.index.created_at)]);
    let (through, last) = (human::count(status.through), human::count(status.last_sequence));
    grid.row(["Covers", &format!("the log through sequence {through} of {last}")]);
    if status.uncovered > 0 {
        let uncovered = human::counted(status.uncovered, "sequence");
        grid.row(["Not covered", &format!("{uncovered}, read at each question")]);
    }
    let blocks = human::counted(status.blocks, "block");
    grid.row(["Takes", &format!("{} in {blocks}", human::size(status.bytes))]);
    let mut text = grid.text();
    let headings = ["Field", "Values in a block", "Blocks by equality", "Blocks left out"];
    let mut fields = Grid::new(view, &headings).right(&[1, 2, 3]);
    for field in &status.by_field {
        let name = sanitize(&field.field).into_owned();
        let most = format!("at most {}", human::count(field.most_values));
        let blocks = [field.blocks_by_hash, field.blocks_fallen_back].map(human::count);
        fields.row([name.as_str(), &most, &blocks[0], &blocks[1]]);
    }
    text.push('\n');
    text.push_str(&fields.text());
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_creates_an_index_can_be_typed() {
        for (fields, line) in [
            (&["worker_id"][..], "naq index create worker_id worker_id"),
            (&["order.id", "queue"], "naq index create order_id order.id queue"),
            (&["it's odd"], r"naq index create it_s_odd 'it'\''s odd'"),
        ] {
            let fields: Vec<String> = fields.iter().map(|field| (*field).to_owned()).collect();
            assert_eq!(creating(&fields), line);
        }
    }
}
