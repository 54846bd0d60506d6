//! `naq sizes`: how many events of each type there are, and how much room they take.

use naq_events::retention::EventSizes;

use super::{Context, Outcome, tell_beside_sheet};
use crate::connect::Session;
use crate::exit::Exit;
use crate::output::{Grid, Sheet, View, human};

/// Options of `naq sizes`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  naq sizes
  naq sizes --exact
  naq sizes --output jsonl | jq '.kinds[0]'
  naq sizes --exact --output csv > sizes.csv

The sums are the server's own. What each type takes is counted where the log
has no more than 65,536 events or --exact is given, else estimated from samples.")]
pub(crate) struct Args {
    /// Look at every event, however many there are
    #[arg(long)]
    exact: bool,
}

/// Answers how much room each type takes.
pub(crate) async fn run(context: &mut Context, args: Args) -> Outcome {
    Session::with(&context.globals, async |session| {
        let sizes =
            session.reading(async |events| Ok(events.event_sizes(args.exact).await?)).await?;
        context.output.figures(&sizes, table, sheet)?;
        let about = (!sizes.is_exact).then(|| estimated(&sizes));
        tell_beside_sheet(&mut context.output, context.notes, about)?;
        Ok(Exit::Done)
    })
    .await
}

/// The types for a spreadsheet.
fn sheet(sizes: &EventSizes) -> Sheet {
    let mut sheet = Sheet::new(["event_type", "events", "bytes"]);
    for kind in &sizes.kinds {
        let figures = [kind.events, kind.bytes].map(|figure| Some(figure.to_string()));
        sheet.row([kind.event_type.clone()].into_iter().chain(figures));
    }
    sheet
}

fn estimated(sizes: &EventSizes) -> String {
    let read = human::count(sizes.read);
    format!("by type estimated from {read} of them, --exact counts")
}

fn table(sizes: &EventSizes, view: &View) -> String {
    let mut grid =
        Grid::new(view, &["Type", "Events", "Bytes", "Share", "Mean"]).right(&[1, 2, 3, 4]);
    let about = if sizes.is_exact { "" } else { "~" };
    for kind in &sizes.kinds {
        let mean = kind.bytes.checked_div(kind.events).unwrap_or_default();
        grid.row([
            kind.event_type.as_deref().unwrap_or("(no event)"),
            &format!("{about}{}", human::count(kind.events)),
            &format!("{about}{}", human::size(kind.bytes)),
            &human::percent(kind.bytes as f64 / sizes.bytes.max(1) as f64),
            &human::size(mean),
        ]);
    }
    let all = human::counted(sizes.messages, "event");
    let sum = format!("{all}, {} in all", human::size(sizes.bytes));
    if sizes.is_exact {
        return if grid.is_empty() {
            format!("{sum}\n")
        } else {
            format!("{}\n{sum}\n", grid.text())
        };
    }
    format!("{}\n{sum}; {}\n", grid.text(), estimated(sizes))
}
