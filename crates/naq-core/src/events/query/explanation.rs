//! How a reading would be carried out, and what a question would be answered from.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::Timestamp;
use crate::events::MadeFrom;

/// What the server does of a reading, what is done here, and how much is read at most.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Explanation {
    /// The filter as the language has it.
    pub filter: String,
    /// The subjects that the server is asked for.
    pub subjects: Vec<String>,
    /// Whether they leave anything out.
    pub is_by_subject: bool,
    /// Only what was stored at or after this time is asked for.
    pub since: Option<Timestamp>,
    /// Only what was stored before this time is asked for.
    pub until: Option<Timestamp>,
    /// Where it begins as the stream stands; behind `to_sequence` where
    /// nothing of what is there is read.
    pub from_sequence: u64,
    /// Where it ends as the stream stands, included.
    pub to_sequence: u64,
    /// What is checked here of what the server sends, in the language; `None`
    /// where that is nothing.
    pub check: Option<String>,
    /// How many messages the stream holds.
    pub stream_messages: u64,
    /// How many of them are read at most.
    pub messages_at_most: u64,
    /// Whether that is a count of the subjects' messages, which the server
    /// gives cheaply only where it has few subjects, or of the sequences.
    pub is_counted_by_subject: bool,
    /// The index that it goes by; `None` where there is none for it.
    pub index: Option<ExplainedIndex>,
    /// The fields of which an index would name its events, where it reads over a
    /// hundred thousand messages and no index has any of them.
    pub could_index: Vec<String>,
    /// What statistics and figures of the same filter are answered from; with
    /// groups that digests don't tell apart it is something else.
    pub figures_from: MadeFrom,
    /// What makes it slow.
    pub warnings: Vec<ExplainWarning>,
}

/// The index that a reading goes by.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ExplainedIndex {
    /// Its name.
    pub name: String,
    /// Those of its fields that the filter asks for.
    pub fields: Vec<String>,
    /// How many messages it names: these are got one by one. `None` where the
    /// log is too long to count them cheaply.
    pub named: Option<u64>,
    /// How many sequences are read all the same, because it doesn't cover them
    /// or names too many of them; `None` as for `named`.
    pub scanned: Option<u64>,
}

/// What makes a reading slow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ExplainWarning {
    /// Over a hundred thousand messages are read, of every type.
    FullScan,
    /// The types or jobs that the filter names can't be told to the server.
    NotBySubject,
    /// More than two subject filters: the server has a consumer for each.
    ManyFilters,
    /// `timestamp` is compared, which doesn't say when an event was stored.
    OwnTimestamp,
    /// Over a hundred thousand messages are read, and no index has the fields
    /// of which it asks for values ([`Explanation::could_index`]).
    NoIndex,
}

impl fmt::Display for ExplainWarning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::FullScan => {
                "a long log is read from end to end: name a type, a job, or a time (`since 2h`)"
            }
            Self::NotBySubject => {
                "the server can't choose by type or job: they stand behind `not`, beside another \
                 field in an `or`, or need more than 8 subjects"
            }
            Self::ManyFilters => "each subject filter is a consumer of the server's",
            Self::OwnTimestamp => {
                "`timestamp` says when it happened, not when it was stored: add `since` to read less"
            }
            Self::NoIndex => "no index has what it asks for: where few events have it, one names them",
        })
    }
}

/// What a question by group and stretch of time would be answered from, and
/// how much would be read for it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[non_exhaustive]
pub struct QueryExplanation {
    /// The filter as the language has it.
    pub filter: String,
    /// What it is answered from, beside what is read.
    pub made_from: MadeFrom,
    /// Why digests don't answer it; empty where they do.
    pub reasons: Vec<WhyRead>,
    /// How many messages the stream holds.
    pub stream_messages: u64,
    /// How many digests are used.
    pub digests: u64,
    /// Of how many messages they have the figures.
    pub from_digests: u64,
    /// How many messages are read at most: what no digest has yet, minutes of
    /// which only some events lie in the range, and what a digest doesn't tell
    /// apart; without digests, all that the filter lets through to here.
    pub messages_at_most: u64,
    /// How many parts of the log that is, each a request of its own at least;
    /// beside a digest's reading where it isn't in memory.
    pub parts: u64,
    /// How many it may read: it ends with `LimitReached` beyond them.
    pub max_messages: u64,
    /// Sequences that left the log before anybody counted them, as far as is
    /// known without reading.
    pub holes: u64,
    /// How the log is read where digests don't answer.
    pub reading: Option<Explanation>,
}

/// Why digests don't answer a question.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum WhyRead {
    /// The service keeps no digests.
    NoDigests,
    /// The filter asks for a field that digests don't tell apart, or when events were stored.
    Filter,
    /// A group is of a field that digests don't tell apart.
    Groups,
}

impl fmt::Display for WhyRead {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoDigests => "there are no digests (`digests = false`)",
            Self::Filter => {
                "digests tell apart type, queue, job_name and success alone, and the filter asks for \
                 more"
            }
            Self::Groups => {
                "digests tell apart type, queue, job_name and outcome alone, and a group asks for more"
            }
        })
    }
}
