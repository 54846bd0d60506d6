//! The rows of an answer: a table with bars, or a sheet.

use naq_core::Timestamp;
use naq_core::events::{Bucket, Measure, QueryAnswer, QueryRow};

use crate::commands::bars::{bar, room};
use crate::commands::basis;
use crate::commands::range::in_words;
use crate::output::{Grid, Sheet, View, human};

/// What no row has: its name, and how much it is in words.
pub(super) fn missing(answer: &QueryAnswer) -> impl Iterator<Item = (&'static str, String)> {
    let basis = &answer.basis;
    [
        ("Malformed", basis.malformed, "message", "of no event, in no row"),
        ("Gone", basis.holes, "message", "left the log uncounted"),
        ("Undecided", basis.undecided, "event", "may lie in the range, in no row"),
        ("Not listed", answer.unlisted, "event", "of groups that are not told apart any more"),
    ]
    .into_iter()
    .filter(|(_, count, ..)| *count > 0)
    .map(|(name, count, unit, what)| (name, format!("{} {what}", human::counted(count, unit))))
}

/// The answer as a table.
pub(super) fn table(answer: &QueryAnswer, view: &View) -> String {
    let mut facts = Grid::new(view, &[]);
    let range = in_words(view, answer.time_range.start, answer.time_range.end);
    facts.row(["Rows", &format!("{} {range}", human::count(answer.rows.len() as u64))]);
    for (name, what) in missing(answer) {
        facts.row([name, &what]);
    }
    basis::rows(&mut facts, &answer.basis, view);
    let mut text = facts.text();
    if !answer.rows.is_empty() {
        text.push('\n');
        text.push_str(&rows(answer, view));
    }
    text
}

/// The rows for a spreadsheet, in the units and with the times of the JSON form.
pub(super) fn sheet(answer: &QueryAnswer) -> Sheet {
    let bucket = answer.bucket.iter().map(|_| "time".to_owned());
    let groups = answer.group_by.iter().map(|group| group.name().to_owned());
    let measures = answer.measures.iter().map(Measure::to_string);
    let mut sheet = Sheet::new(bucket.chain(groups).chain(measures));
    for row in &answer.rows {
        let time = row.time.iter().map(|time| Some(time.to_string()));
        let values = row.values.iter().map(|value| value.map(|value| value.to_string()));
        sheet.row(time.chain(row.group.iter().cloned()).chain(values));
    }
    sheet
}

/// The rows, each with a bar of its first figure; stretches of time without a
/// row are told between them.
pub(crate) fn rows(answer: &QueryAnswer, view: &View) -> String {
    let mut headings = Vec::new();
    headings.extend(answer.bucket.map(|bucket| bucket.name().to_owned()));
    headings.extend(answer.group_by.iter().map(|group| group.name().to_owned()));
    let labels = headings.len();
    headings.extend(answer.measures.iter().map(Measure::to_string));
    let first = |row: &QueryRow| row.values.first().copied().flatten().unwrap_or(0.0);
    let most = answer.rows.iter().map(first).fold(0.0, f64::max);
    // Each line with the figure of its bar.
    let mut lines = vec![(headings, 0.0)];
    let mut before = None;
    for row in &answer.rows {
        if let Some(gap) = gap(answer.bucket, before, row.time) {
            lines.push((vec![gap], 0.0));
        }
        before = row.time;
        let mut cells = Vec::new();
        cells.extend(row.time.map(|time| view.zone.full(time)));
        cells.extend(row.group.iter().map(|name| name.clone().unwrap_or_else(none)));
        let values = answer.measures.iter().zip(&row.values);
        cells.extend(
            values.map(|(measure, value)| value.map_or_else(none, |value| figure(*measure, value))),
        );
        lines.push((cells, first(row)));
    }
    let room = room(view, lines.iter().map(|(cells, _)| &cells[..]));
    let columns = lines[0].0.len();
    let mut grid: Option<Grid> = None;
    for (mut cells, value) in lines {
        cells.resize(columns, String::new());
        if room > 0 {
            cells.push(bar(value, most, room));
        }
        match &mut grid {
            Some(grid) => grid.row(cells),
            None => {
                let headings: Vec<&str> = cells.iter().map(String::as_str).collect();
                let right: Vec<usize> = (labels..columns).collect();
                grid = Some(Grid::new(view, &headings).right(&right));
            }
        }
    }
    grid.map(Grid::text).unwrap_or_default()
}

/// What to tell of the stretch between two rows, if there are none in it.
fn gap(
    bucket: Option<Bucket>,
    before: Option<Timestamp>,
    time: Option<Timestamp>,
) -> Option<String> {
    let length = bucket?.length().as_nanos();
    let none = (time?.since(before?).as_nanos() / length).saturating_sub(1);
    let none = u64::try_from(none).ok().filter(|none| *none > 0)?;
    Some(format!("… no event in {}", human::counted(none, bucket?.name())))
}

fn figure(measure: Measure, value: f64) -> String {
    match measure {
        // A count is a whole number below 2^53.
        Measure::Count => human::count(value as u64),
        Measure::Rate => format!("{value:.2}/s"),
        Measure::SuccessRate => human::percent(value),
        _ => human::seconds(value),
    }
}

fn none() -> String {
    "-".to_owned()
}

#[cfg(test)]
mod tests {
    use naq_core::events::{Filter, GroupBy, QueryRequest};

    use super::*;
    use crate::output::{Paint, Zone};

    fn shown(width: Option<u16>) -> String {
        let request = QueryRequest::new(Filter::new())
            .with_bucket(Bucket::Minute)
            .with_group_by([GroupBy::Queue]);
        let mut answer = QueryAnswer::new(&request);
        for (minute, queue, count) in
            [(0, "emails", 8.0), (0, "reports", 4.0), (1, "emails", 1.0), (5, "emails", 2.0)]
        {
            let time = Timestamp::from_nanos(minute * 60_000_000_000);
            let group = vec![Some(queue.to_owned())];
            answer.rows.push(QueryRow::new(Some(time), group, vec![Some(count)]));
        }
        rows(&answer, &View { width, paint: Paint::plain(), zone: Zone::new(true) })
    }

    #[test]
    fn bars_fill_the_terminal_and_gaps_are_told() {
        let expected = "\
minute                   queue    count
1970-01-01 00:00:00Z     emails       8  ████████████████████████
1970-01-01 00:00:00Z     reports      4  ████████████
1970-01-01 00:01:00Z     emails       1  ███
… no event in 3 minutes
1970-01-01 00:05:00Z     emails       2  ██████
";
        assert_eq!(shown(None), expected);
        assert_eq!(shown(Some(65)), expected);
        let wide = shown(Some(200));
        let longest = wide.lines().map(|line| line.chars().count()).max();
        assert_eq!(longest, Some(41 + 60), "{wide}");
        let narrow = shown(Some(52));
        assert!(narrow.lines().all(|line| line.chars().count() <= 52), "{narrow}");
        assert_eq!(narrow.lines().count(), 6, "no line is broken: {narrow}");
    }

    #[test]
    fn there_is_no_bar_without_room_for_one() {
        let narrow = shown(Some(44));
        assert!(!narrow.contains('█'), "{narrow}");
        assert_eq!(narrow.lines().count(), 6, "{narrow}");
    }
}
