//! What an answer says of itself, in words.

use naq_core::events::{AnswerBasis, MadeFrom};

use crate::output::{Grid, View, human};

/// What figures leave out, in messages and events.
pub(crate) struct LeftOut<'a> {
    pub(crate) basis: &'a AnswerBasis,
    pub(crate) malformed: u64,
    /// How often a name of an event is in no list.
    pub(crate) unlisted: u64,
}

impl LeftOut<'_> {
    /// Tells it, where there is any.
    pub(crate) fn rows(&self, facts: &mut Grid) {
        for (name, count, unit, what) in [
            ("Malformed", self.malformed, "message", ", in no count"),
            ("Gone", self.basis.holes, "message", " left the log uncounted"),
            ("Undecided", self.basis.undecided, "event", " may lie in the range, in no count"),
            // Type, queue and job name of one event are three of them.
            (
                "Not listed",
                self.unlisted,
                "name",
                " of events, too many to list or not told apart by digests",
            ),
        ] {
            if count > 0 {
                facts.row([name, &(human::counted(count, unit) + what)]);
            }
        }
    }
}

/// What it was made from, how old that is, and what is behind it still.
pub(crate) fn rows(facts: &mut Grid, basis: &AnswerBasis, view: &View) {
    facts.row(["From", &source(basis)]);
    if let Some(as_of) = basis.as_of {
        let mut words = view.zone.full(as_of);
        if let Some(newest) = basis.newest_stored {
            let before = human::duration(as_of.since(newest));
            words.push_str(&format!(", newest message stored {before} before"));
        }
        facts.row(["As of", &words]);
    }
    if let Some(repeated) = basis.duplicates.filter(|repeated| *repeated > 0) {
        let repeated = human::counted(repeated, "event");
        // A digest knows those of its own block alone.
        let at_least = if basis.made_from == MadeFrom::Digests { "at least " } else { "" };
        let words = format!("{at_least}{repeated} stored more than once, counted each time");
        facts.row(["Repeated", &words]);
    }
    if basis.first_sequence > 1 || basis.removed > 0 {
        facts.row(["Behind it", &behind(basis, view)]);
    }
}

fn source(basis: &AnswerBasis) -> String {
    let read = human::count(basis.read);
    match basis.made_from {
        MadeFrom::Digests => {
            let digested = human::counted(basis.from_digests, "message");
            format!("digests of {digested}, and {read} read")
        }
        MadeFrom::Index => {
            let named = human::counted(basis.from_index, "message");
            format!("an index that named {named}, {read} read")
        }
        _ => format!("the log, {} read", human::counted(basis.read, "message")),
    }
}

/// Which part of the log has events still.
fn behind(basis: &AnswerBasis, view: &View) -> String {
    let mut words = match basis.oldest_stored {
        Some(oldest) => format!("events stored since {}", view.zone.full(oldest)),
        None => "no event".to_owned(),
    };
    if basis.removed > 0 {
        let removed = human::counted(basis.removed, "message");
        words.push_str(&format!(", without {removed} that left since"));
    }
    words
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use naq_core::Timestamp;

    use super::*;
    use crate::output::{Paint, Zone};

    fn shown(basis: &AnswerBasis) -> String {
        let view = View { width: None, paint: Paint::plain(), zone: Zone::new(true) };
        let mut facts = Grid::new(&view, &[]);
        rows(&mut facts, basis, &view);
        facts.text()
    }

    #[test]
    fn what_is_left_out_is_told_with_its_unit_and_names_by_how_often_there_was_one() {
        let view = View { width: None, paint: Paint::plain(), zone: Zone::new(true) };
        let mut basis = AnswerBasis::default();
        basis.holes = 2;
        let left_out = LeftOut { basis: &basis, malformed: 0, unlisted: 131_072 };
        let mut facts = Grid::new(&view, &[]);
        left_out.rows(&mut facts);
        let expected = "\
Gone        2 messages left the log uncounted
Not listed  131,072 names of events, too many to list or not told apart by digests
";
        assert_eq!(facts.text(), expected);
    }

    #[test]
    fn an_answer_tells_its_source_its_age_and_what_is_behind_it() {
        let at = |second: i64| Some(Timestamp::from_nanos(second * 1_000_000_000));
        let mut basis = AnswerBasis::default();
        assert_eq!(shown(&basis), "From  the log, 0 messages read\n");
        (basis.as_of, basis.newest_stored) = (at(10), at(8));
        (basis.made_from, basis.from_digests, basis.read) = (MadeFrom::Digests, 65_536, 12);
        (basis.duplicates, basis.first_sequence) = (Some(2), 1);
        let two_seconds = human::duration(Duration::from_secs(2));
        let expected = format!(
            "From      digests of 65,536 messages, and 12 read\n\
             As of     1970-01-01 00:00:10Z, newest message stored {two_seconds} before\n\
             Repeated  at least 2 events stored more than once, counted each time\n"
        );
        assert_eq!(shown(&basis), expected);
        (basis.made_from, basis.from_index, basis.read) = (MadeFrom::Index, 3, 5);
        (basis.duplicates, basis.removed, basis.first_sequence) = (Some(1), 4, 9);
        (basis.as_of, basis.oldest_stored) = (None, at(3));
        let expected = "\
From       an index that named 3 messages, 5 read
Repeated   1 event stored more than once, counted each time
Behind it  events stored since 1970-01-01 00:00:03Z, without 4 messages that left since
";
        assert_eq!(shown(&basis), expected);
        (basis.duplicates, basis.oldest_stored, basis.removed) = (Some(0), None, 0);
        assert!(shown(&basis).ends_with("Behind it  no event\n"));
    }
}
