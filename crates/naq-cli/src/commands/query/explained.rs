//! What a question would be answered from.

use naq_core::events::{MadeFrom, QueryExplanation};

use crate::commands::explain;
use crate::output::{Grid, View, human, sanitize};

/// What it would be answered from, how much is read, and what makes it slow.
pub(super) fn table(explanation: &QueryExplanation, view: &View) -> String {
    let mut facts = Grid::new(view, &[]);
    facts.row(["Filter", &sanitize(&explanation.filter)]);
    let mut warnings = String::new();
    match &explanation.reading {
        Some(reading) => {
            let is_indexed = explanation.made_from == MadeFrom::Index;
            facts.row(["From", if is_indexed { "an index, and the log" } else { "the log" }]);
            explain::reading(&mut facts, reading, view);
            warnings = explain::warnings(reading, view);
        }
        None => {
            let digests = human::counted(explanation.digests, "digest");
            let messages = human::counted(explanation.from_digests, "message");
            facts.row(["From", &format!("{digests} of {messages}, and the log for the rest")]);
            let (most, all) = (explanation.messages_at_most, explanation.stream_messages);
            let parts = human::counted(explanation.parts, "part");
            facts.row(["Reads", &format!("{} in {parts}", explain::at_most(most, all))]);
        }
    }
    if explanation.holes > 0 {
        let gone = human::counted(explanation.holes, "message");
        facts.row(["Gone", &format!("{gone} left the log uncounted")]);
    }
    let mut text = facts.text() + &warnings;
    let is_slow = explanation.made_from == MadeFrom::Log;
    for reason in explanation.reasons.iter().filter(|_| is_slow) {
        text.push_str(&format!("{} {reason}\n", view.paint.warn("slow:")));
    }
    if explanation.messages_at_most > explanation.max_messages {
        let most = human::counted(explanation.max_messages, "message");
        let stops = view.paint.warn("stops:");
        text.push_str(&format!("{stops} it may read {most}; --scan-limit allows more\n"));
    }
    text
}
