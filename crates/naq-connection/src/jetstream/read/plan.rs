//! What a read wants, checked, and the consumer that gives it.

use naq_core::jetstream::{
    ReadOptions, ReadStart, ReadUntil, ServerVersion, StoredMessage, check_name, filter_covers,
    filters_are_nested, subject_matches,
};
use naq_core::{Result, Timestamp};
use serde_json::{Map, Value, json};

use super::OPERATION;
use super::merged::MOST_SOURCES;
use crate::jetstream::filters::check_filters;
use crate::jetstream::time::{deliver_policy, nanos};

/// After how long without a request the server removes the consumer.
pub(super) const INACTIVE_THRESHOLD: std::time::Duration = std::time::Duration::from_secs(30);

/// What a read wants.
#[derive(Debug, Clone)]
pub(super) struct Plan {
    pub(super) stream: String,
    pub(super) start: ReadStart,
    pub(super) until: ReadUntil,
    pub(super) subjects: Vec<String>,
    pub(super) headers_only: bool,
    pub(super) limit: Option<u64>,
    pub(super) created: Option<Timestamp>,
    /// Whether it ends at the stream's end as it stood, where it would go on.
    pub(super) ends_at_head: bool,
    /// The stream's last sequence to go by; else as it stands at the opening.
    pub(super) head: Option<u64>,
    /// What was stored earlier isn't wanted.
    not_before: Option<Timestamp>,
    is_nested: bool,
    is_whole: bool,
}

impl Plan {
    /// Checks names and filters.
    pub(super) fn new(stream: &str, options: ReadOptions) -> Result<Self> {
        check_name(OPERATION, "stream", stream)?;
        let mut subjects = options.subjects;
        check_filters(OPERATION, &subjects)?;
        if subjects == [">"] {
            subjects.clear();
        }
        Ok(Self {
            stream: stream.to_owned(),
            is_nested: filters_are_nested(&subjects),
            is_whole: subjects.is_empty(),
            not_before: match options.start {
                ReadStart::Time(time) => Some(time),
                _ => None,
            },
            ends_at_head: false,
            head: None,
            start: options.start,
            until: options.until,
            subjects,
            headers_only: options.headers_only,
            limit: options.limit,
            created: options.created,
        })
    }

    /// Whether each filter is to be read by its own.
    pub(super) fn is_split(&self) -> bool {
        (2..=MOST_SOURCES).contains(&self.subjects.len())
            && self.start != ReadStart::LastPerSubject
            && self.limit != Some(0)
    }

    /// The same, to the stream's end at most: to this one, or as it stands at the opening.
    pub(super) fn up_to_the_head(mut self, head: Option<u64>) -> Self {
        (self.ends_at_head, self.head) = (true, head);
        self
    }

    /// The same of one of its filters.
    pub(super) fn of_one(mut self, filter: String) -> Self {
        self.subjects = vec![filter];
        (self.is_nested, self.is_whole) = (false, false);
        self
    }

    /// Whether messages are passed over that don't match.
    pub(super) fn is_filtered(&self) -> bool {
        !self.is_whole
    }

    /// Takes note of the subjects that the stream takes: where the filters have
    /// all of them, nothing is passed over, and each hole may be a gap.
    pub(super) fn note_subjects(&mut self, stream: &[String]) {
        let has = |subject: &String| self.subjects.iter().any(|own| filter_covers(own, subject));
        self.is_whole = self.subjects.is_empty() || (!stream.is_empty() && stream.iter().all(has));
    }

    /// Whether it never ends by itself.
    pub(super) fn is_endless(&self) -> bool {
        self.until == ReadUntil::Never
    }

    /// The filters that a server is asked for: all, or none where it would do them wrong.
    fn asked(&self, server: ServerVersion) -> &[String] {
        match self.is_nested && !server.at_least(2, 11) {
            true => &[],
            false => &self.subjects,
        }
    }

    /// Whether a message that came was wanted. Servers of 2.10 give some that
    /// weren't: before the start's time, where a stream in memory has one
    /// message, and all where filters couldn't be [asked](Self::asked) for.
    pub(super) fn wants(&self, message: &StoredMessage) -> bool {
        self.not_before.is_none_or(|time| message.stored_at >= time)
            && (!self.is_nested
                || self.subjects.iter().any(|filter| subject_matches(filter, &message.subject)))
    }

    /// The API subject that creates its consumer: with the filter where there is
    /// one alone, because rights are given on it.
    pub(super) fn create_subject(&self, consumer: &str, server: ServerVersion) -> String {
        let stream = &self.stream;
        match self.asked(server) {
            [subject] => format!("CONSUMER.CREATE.{stream}.{consumer}.{subject}"),
            _ => format!("CONSUMER.CREATE.{stream}.{consumer}"),
        }
    }

    /// The request that creates its consumer.
    pub(super) fn create_body(
        &self,
        consumer: &str,
        start: ReadStart,
        server: ServerVersion,
    ) -> Value {
        let mut config = Map::new();
        config.insert("name".into(), consumer.into());
        config.insert("ack_policy".into(), "none".into());
        config.insert("replay_policy".into(), "instant".into());
        config.insert("mem_storage".into(), true.into());
        config.insert("num_replicas".into(), 1.into());
        config.insert("inactive_threshold".into(), nanos(INACTIVE_THRESHOLD).into());
        deliver_policy(start, &mut config);
        match self.asked(server) {
            [] => {
                // Without a filter the server takes this policy for one subject.
                if start == ReadStart::LastPerSubject {
                    config.insert("filter_subject".into(), ">".into());
                }
            }
            [subject] => {
                config.insert("filter_subject".into(), subject.clone().into());
            }
            several => {
                config.insert("filter_subjects".into(), several.into());
            }
        }
        if self.headers_only {
            config.insert("headers_only".into(), true.into());
        }
        json!({ "stream_name": self.stream, "config": config, "action": "create" })
    }
}

#[cfg(test)]
mod tests {
    use naq_core::ErrorKind;

    use super::*;

    fn plan(subjects: &[&str]) -> Result<Plan> {
        let subjects = subjects.iter().map(|s| (*s).to_owned()).collect();
        Plan::new("S", ReadOptions::default().with_subjects(subjects))
    }

    #[test]
    fn filters_that_overlap_are_refused() {
        let error = plan(&["a.*", "b.>", "a.b"]).unwrap_err();
        assert_eq!((error.kind(), error.get("one")), (ErrorKind::InvalidArgument, Some("a.*")));
        plan(&["a.b", "a.c"]).unwrap();
    }

    #[test]
    fn one_filter_stands_in_the_subject_and_several_in_the_body() {
        let one = plan(&["a.>"]).unwrap();
        let new = ServerVersion::new(2, 15, 1);
        assert_eq!(one.create_subject("c", new), "CONSUMER.CREATE.S.c.a.>");
        let body = one.create_body("c", ReadStart::Beginning, new);
        assert_eq!(body["config"]["filter_subject"], "a.>");
        let two = plan(&["a", "b"]).unwrap();
        assert_eq!(two.create_subject("c", new), "CONSUMER.CREATE.S.c");
        let body = two.create_body("c", ReadStart::Sequence(7), new);
        assert_eq!(body["config"]["filter_subjects"], json!(["a", "b"]));
        assert_eq!(body["config"]["opt_start_seq"], 7);
        assert_eq!(body["config"]["deliver_policy"], "by_start_sequence");
        assert!(!plan(&[">"]).unwrap().is_filtered());
    }

    #[test]
    fn filters_that_have_all_of_the_stream_pass_nothing_over() {
        let is_filtered = |filters: &[&str], stream: &[&str]| {
            let mut plan = plan(filters).unwrap();
            plan.note_subjects(&stream.iter().map(|s| (*s).to_owned()).collect::<Vec<_>>());
            plan.is_filtered()
        };
        assert!(!is_filtered(&["a.>"], &["a.>"]));
        assert!(!is_filtered(&["a.*", "b"], &["b", "a.x"]));
        assert!(!is_filtered(&[], &["a.>"]));
        assert!(is_filtered(&["a.>"], &["a.>", "b"]));
        assert!(is_filtered(&["a.x"], &["a.>"]));
        // What a mirror takes isn't known.
        assert!(is_filtered(&["a.>"], &[]));
    }

    #[test]
    fn an_old_server_is_not_asked_for_a_filter_and_what_lies_below_it() {
        let nested = plan(&["a.b", "a.b.>"]).unwrap();
        let (old, new) = (ServerVersion::new(2, 10, 26), ServerVersion::new(2, 11, 0));
        assert_eq!(nested.asked(old), [""; 0]);
        assert_eq!(nested.asked(new), ["a.b", "a.b.>"]);
        assert_eq!(plan(&["a.b", "a.bc.>"]).unwrap().asked(old).len(), 2);
        assert_eq!(plan(&["a.b", "a.c"]).unwrap().asked(old).len(), 2);
    }
}
