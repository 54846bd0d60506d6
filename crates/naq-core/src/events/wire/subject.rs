//! Where an event is stored: `events.<type>.<entity>`.

use bytestring::ByteString;

use crate::config::SubjectLayout;
use crate::events::EventType;
use crate::{Error, Result, token};

/// How subjects are built and read: their root and their layout.
///
/// The root is what stands before the type, `events` by default; a stream of
/// events has the subject `<root>.>`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct EventSubjects {
    root: String,
    layout: SubjectLayout,
}

impl Default for EventSubjects {
    /// Root `events`, a subject per entity.
    fn default() -> Self {
        Self { root: "events".to_owned(), layout: SubjectLayout::Entity }
    }
}

/// What a subject says about its event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParsedSubject {
    /// The type.
    pub event_type: EventType,
    /// The id of the job, worker or schedule; the subject doesn't tell which.
    pub entity: Option<String>,
}

/// A subject, and the entity's token: its end, or what follows it where the
/// layout leaves it out. One text for both.
#[derive(Debug, Clone)]
pub(crate) struct Address {
    text: ByteString,
    parts: AddressParts,
}

/// Where in the text of an address its parts lie.
#[derive(Debug, Clone, Copy)]
pub(crate) struct AddressParts {
    subject_end: usize,
    entity_start: Option<usize>,
}

impl PartialEq for Address {
    fn eq(&self, other: &Self) -> bool {
        self.subject() == other.subject() && self.entity() == other.entity()
    }
}

impl Address {
    /// From its two halves, as [`subject`](Self::subject) and [`entity`](Self::entity) gave them.
    pub(crate) fn restore(subject: &str, entity: Option<&str>) -> Self {
        let entity = entity.unwrap_or_default();
        let shared = subject.strip_suffix(entity).is_some_and(|front| front.ends_with('.'));
        let mut text = String::with_capacity(subject.len() + entity.len());
        text.push_str(subject);
        if !shared {
            text.push_str(entity);
        }
        let entity_start = (!entity.is_empty()).then(|| text.len() - entity.len());
        Self::new(text.into(), AddressParts { subject_end: subject.len(), entity_start })
    }

    /// The address whose parts lie there in the text.
    pub(crate) fn new(text: ByteString, parts: AddressParts) -> Self {
        Self { text, parts }
    }

    pub(crate) fn subject(&self) -> &str {
        &self.text[..self.parts.subject_end]
    }

    /// The subject, which shares the bytes of the address.
    pub(crate) fn shared_subject(&self) -> ByteString {
        self.text.slice_ref(self.subject())
    }

    pub(crate) fn entity(&self) -> Option<&str> {
        self.parts.entity_start.map(|start| &self.text[start..])
    }

    pub(crate) fn len(&self) -> usize {
        self.text.len()
    }
}

impl EventSubjects {
    /// The key in a stream's metadata under which it says which layout its
    /// events were stored with; its value is the layout's word.
    pub const LAYOUT_KEY: &'static str = "naq.events.subjects";

    /// Subjects under `root`: one or more tokens with dots between.
    ///
    /// # Errors
    /// `InvalidArgument` for an empty token, a wildcard, white space or a
    /// control character, a first token that begins with `$` (the server's own),
    /// or more than 256 bytes.
    pub fn new(root: impl Into<String>, layout: SubjectLayout) -> Result<Self> {
        let root = root.into();
        let legal = |token: &str| {
            !token.is_empty()
                && !token
                    .chars()
                    .any(|c| c.is_whitespace() || c.is_control() || matches!(c, '*' | '>'))
        };
        if root.len() > token::MAX_ID_BYTES || root.starts_with('$') || !root.split('.').all(legal)
        {
            return Err(Error::invalid(
                "event_subjects",
                "subject_root",
                "must be tokens with dots between, without wildcards, white space or a leading '$', \
                 at most 256 bytes",
            )
            .with("value", root));
        }
        Ok(Self { root, layout })
    }

    /// What stands before the type.
    #[must_use]
    pub fn root(&self) -> &str {
        &self.root
    }

    /// How much a subject says.
    #[must_use]
    pub fn layout(&self) -> SubjectLayout {
        self.layout
    }

    /// The subject that a stream of these events has: `<root>.>`.
    #[must_use]
    pub fn all(&self) -> String {
        format!("{}.>", self.root)
    }

    /// The subjects of one type: `<root>.<type>`, and `<root>.<type>.>` for those of an entity.
    #[must_use]
    pub fn of_type(&self, event_type: &str) -> Vec<String> {
        let token = token::encode(event_type);
        vec![format!("{}.{token}", self.root), format!("{}.{token}.>", self.root)]
    }

    /// The subject of every event that is stored under this id: `<root>.*.<id>`.
    ///
    /// With [`SubjectLayout::Type`] subjects don't tell; then it is all of them.
    #[must_use]
    pub fn of_entity(&self, id: &str) -> String {
        match self.layout {
            SubjectLayout::Entity => format!("{}.*.{}", self.root, token::encode(id)),
            SubjectLayout::Type => self.all(),
        }
    }

    /// The subjects of one type under this id: one, or with
    /// [`SubjectLayout::Type`] those of the type.
    #[must_use]
    pub fn of_type_and_entity(&self, event_type: &str, id: &str) -> Vec<String> {
        match self.layout {
            SubjectLayout::Entity => vec![self.build(event_type, Some(id))],
            SubjectLayout::Type => self.of_type(event_type),
        }
    }

    /// The subject of one event.
    ///
    /// Type and entity must have passed their checks
    /// ([`check_type`](token::check_type), [`check_id`](token::check_id)).
    #[must_use]
    pub fn build(&self, event_type: &str, entity: Option<&str>) -> String {
        let room = self.root.len() + event_type.len() + entity.map_or(0, str::len) + 10;
        let mut text = String::with_capacity(room);
        let parts = self.address(event_type, entity, &mut text);
        text.truncate(parts.subject_end);
        text
    }

    /// Writes the subject of one event together with the token of its entity
    /// into `text`, which is empty, and says where they lie.
    pub(crate) fn address(
        &self,
        event_type: &str,
        entity: Option<&str>,
        text: &mut String,
    ) -> AddressParts {
        text.push_str(&self.root);
        text.push('.');
        token::encode_into(event_type, text);
        let type_end = text.len();
        let Some(id) = entity else {
            return AddressParts { subject_end: type_end, entity_start: None };
        };
        let dot = usize::from(self.layout == SubjectLayout::Entity);
        if dot == 1 {
            text.push('.');
        }
        token::encode_into(id, text);
        let subject_end = if dot == 1 { text.len() } else { type_end };
        AddressParts { subject_end, entity_start: Some(type_end + dot) }
    }

    /// Reads a subject back; `None` for one that these subjects never make.
    #[must_use]
    pub fn parse(&self, subject: &str) -> Option<ParsedSubject> {
        let rest = subject.strip_prefix(self.root.as_str())?.strip_prefix('.')?;
        let mut tokens = rest.split('.');
        let event_type = EventType::from(token::decode(tokens.next()?).ok()?.as_ref());
        let entity = match tokens.next() {
            Some(id) => Some(token::decode(id).ok()?.into_owned()),
            None => None,
        };
        tokens.next().is_none().then_some(ParsedSubject { event_type, entity })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_subject_names_the_type_and_the_entity() {
        let subjects = EventSubjects::default();
        assert_eq!(subjects.build("job_started", Some("a.b")), "events.job_started.a=2Eb");
        assert_eq!(subjects.build("log", None), "events.log");
        assert_eq!(subjects.of_entity("*"), "events.*.=2A");
        assert_eq!(subjects.of_type("x.y"), ["events.x=2Ey", "events.x=2Ey.>"]);
    }

    #[test]
    fn the_type_layout_leaves_the_entity_out() {
        let subjects = EventSubjects::new("prod.events", SubjectLayout::Type).unwrap();
        assert_eq!(subjects.build("job_started", Some("a")), "prod.events.job_started");
        assert_eq!(subjects.of_entity("a"), "prod.events.>");
    }

    #[test]
    fn foreign_subjects_are_not_misread() {
        let subjects = EventSubjects::default();
        for subject in ["events", "events.", "eventsx.log", "events.a.b.c", "events.log.", "a.log"]
        {
            assert_eq!(subjects.parse(subject), None, "{subject}");
        }
    }

    #[test]
    fn a_root_that_would_reach_other_subjects_is_refused() {
        for root in ["", ".", "a..b", "a.", "*", "a.>", "a b", "a\r\nb", "$JS.API", "a\0"] {
            let error = EventSubjects::new(root, SubjectLayout::Entity).unwrap_err();
            assert_eq!(error.get("field"), Some("subject_root"), "{root:?}");
        }
    }

    proptest! {
        #[test]
        fn a_subject_is_read_back(event_type in "\\PC{1,16}", id in "[\\x00-\\x7fé]{1,16}") {
            let subjects = EventSubjects::default();
            let subject = subjects.build(&event_type, Some(&id));
            prop_assert_eq!(subject.split('.').count(), 3);
            let parsed = subjects.parse(&subject).unwrap();
            prop_assert_eq!(parsed.event_type.as_str(), event_type);
            prop_assert_eq!(parsed.entity, Some(id));
        }
    }
}
