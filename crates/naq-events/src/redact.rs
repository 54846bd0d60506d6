//! What must not leave the program is taken out of an event before it is buffered.

use std::fmt::{self, Debug};
use std::sync::Arc;

use naq_core::events::{Event, Text};
use naq_core::{Error, Result};
use serde_json::{Map, Value};

/// What a masked value becomes.
const MASK: &str = "***";

/// A hook that changes each event before it is checked and buffered.
///
/// It runs on the thread that logs, after the configuration's `redact_drop`
/// and `redact_mask`, so keep it short. A closure becomes one by [`RedactFn`].
pub trait Redact: Debug + Send + Sync + 'static {
    /// Removes or replaces what must not be stored.
    fn redact(&self, event: &mut Event);
}

/// A closure as a [`Redact`].
///
/// ```
/// use naq_core::events::Event;
/// use naq_events::{Redact, RedactFn};
///
/// let hook = RedactFn::new(|event: &mut Event| {
///     event.custom.shift_remove("card_number");
/// });
/// let mut event = Event::log("paid").with_field("card_number", "4111");
/// hook.redact(&mut event);
/// assert!(event.custom.is_empty());
/// ```
pub struct RedactFn<F>(F);

impl<F: Fn(&mut Event) + Send + Sync + 'static> RedactFn<F> {
    /// A hook that calls this closure.
    #[must_use]
    pub const fn new(hook: F) -> Self {
        Self(hook)
    }
}

impl<F> Debug for RedactFn<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RedactFn")
    }
}

impl<F: Fn(&mut Event) + Send + Sync + 'static> Redact for RedactFn<F> {
    fn redact(&self, event: &mut Event) {
        (self.0)(event);
    }
}

/// The configuration's rules and the user's hook.
#[derive(Debug)]
pub(crate) struct Redactor {
    rules: Vec<Rule>,
    hook: Option<Arc<dyn Redact>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Action {
    Drop,
    Mask,
}

#[derive(Debug)]
struct Rule {
    path: String,
    action: Action,
}

/// Where an event is stored, and what readers find it by.
const KEPT: [&str; 8] =
    ["type", "id", "timestamp", "service", "service_version", "job_id", "worker_id", "schedule_id"];

/// Known fields that hold no text.
const NOT_TEXT: [&str; 4] = ["attempt", "duration", "queue_wait", "success"];

impl Redactor {
    /// Reads the rules.
    ///
    /// # Errors
    /// `InvalidArgument` for a field that can't be left out, or a number that can't be masked.
    pub(crate) fn new(
        drop: &[String],
        mask: &[String],
        hook: Option<Arc<dyn Redact>>,
    ) -> Result<Self> {
        let drop = drop.iter().map(|path| (path, Action::Drop, "redact_drop"));
        let mask = mask.iter().map(|path| (path, Action::Mask, "redact_mask"));
        let mut rules = Vec::new();
        for (path, action, key) in drop.chain(mask) {
            let refused = |rule: &'static str| {
                Err(Error::invalid("event_service", key, rule).with("value", path))
            };
            if path.split('.').any(str::is_empty) {
                return refused("must be names with dots between them");
            }
            if KEPT.contains(&path.as_str()) {
                return refused("must not name a field by which events are stored and found");
            }
            if action == Action::Mask && NOT_TEXT.contains(&path.as_str()) {
                return refused("must not name a number or a truth value: drop it instead");
            }
            rules.push(Rule { path: path.clone(), action });
        }
        Ok(Self { rules, hook })
    }

    /// Adds or replaces the user's hook.
    pub(crate) fn set_hook(&mut self, hook: Arc<dyn Redact>) {
        self.hook = Some(hook);
    }

    /// Changes an event as the rules and the hook say.
    pub(crate) fn apply(&self, event: &mut Event) {
        for rule in &self.rules {
            rule.apply(event);
        }
        if let Some(hook) = &self.hook {
            hook.redact(event);
        }
    }
}

impl Rule {
    fn apply(&self, event: &mut Event) {
        let text = match self.path.as_str() {
            "queue" => &mut event.queue,
            "job_name" => &mut event.job_name,
            "error" => &mut event.error,
            "error_type" => &mut event.error_type,
            "reason" => &mut event.reason,
            "message" => &mut event.message,
            "traceparent" => &mut event.traceparent,
            "attempt" => return event.attempt = None,
            "duration" => return event.duration = None,
            "queue_wait" => return event.queue_wait = None,
            "success" => return event.success = None,
            path => return redact_map(&mut event.custom, path, self.action),
        };
        match self.action {
            Action::Drop => *text = None,
            Action::Mask if text.is_some() => *text = Some(Text::from_static(MASK)),
            Action::Mask => {}
        }
    }
}

/// Redacts what a path names: a key that is spelled like the whole path, and
/// what lies behind each beginning of it, for `a.b` is legal as a key too.
fn redact_map(map: &mut Map<String, Value>, path: &str, action: Action) {
    match action {
        Action::Drop => drop(map.shift_remove(path)),
        Action::Mask => {
            if let Some(value) = map.get_mut(path) {
                *value = Value::from(MASK);
            }
        }
    }
    for (dot, _) in path.match_indices('.') {
        if let Some(inner) = map.get_mut(&path[..dot]) {
            redact_value(inner, &path[dot + 1..], action);
        }
    }
}

fn redact_value(value: &mut Value, path: &str, action: Action) {
    match value {
        Value::Object(map) => redact_map(map, path, action),
        Value::Array(items) => {
            for item in items {
                redact_value(item, path, action);
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn redacted(drop: &[&str], mask: &[&str], event: &Event) -> Event {
        let own = |paths: &[&str]| paths.iter().map(ToString::to_string).collect::<Vec<_>>();
        let redactor = Redactor::new(&own(drop), &own(mask), None).unwrap();
        let mut event = event.clone();
        redactor.apply(&mut event);
        event
    }

    #[test]
    fn paths_reach_into_objects_and_each_item_of_an_array() {
        let event = Event::log("hello").with_field(
            "user",
            json!({"name": "ada", "cards": [{"number": "4111", "kind": "x"}, {"number": "42"}]}),
        );
        let event = redacted(&["user.name"], &["user.cards.number"], &event);
        let want = json!({"cards": [{"number": "***", "kind": "x"}, {"number": "***"}]});
        assert_eq!(event.custom["user"], want);
    }

    #[test]
    fn a_key_that_is_spelled_with_a_dot_is_reached_too() {
        let event = Event::log("x").with_field("a.b", 1).with_field("a", json!({"b": 2, "c": 3}));
        let event = redacted(&["a.b"], &[], &event);
        assert_eq!(Value::from(event.custom), json!({"a": {"c": 3}}));
    }

    #[test]
    fn known_fields_are_dropped_and_masked_and_absent_ones_stay_absent() {
        let event = Event::job_failed("j", "password is 7", 1.0);
        let event = redacted(&["duration"], &["error", "message"], &event);
        assert_eq!(event.error.as_deref(), Some("***"));
        assert_eq!((event.duration, event.message), (None, None));
    }

    #[test]
    fn what_events_are_found_by_cannot_be_redacted() {
        for (drop, mask) in [("job_id", ""), ("", "type"), ("", "duration"), ("a..b", "")] {
            let some = |path: &str| {
                if path.is_empty() { Vec::new() } else { vec![path.to_owned()] }
            };
            let error = Redactor::new(&some(drop), &some(mask), None).unwrap_err();
            assert!(error.get("field").is_some_and(|field| field.starts_with("redact_")));
        }
    }

    #[test]
    fn the_hook_runs_behind_the_rules() {
        let hook = RedactFn::new(|event: &mut Event| event.message = None);
        let mut redactor = Redactor::new(&[], &["message".to_owned()], None).unwrap();
        redactor.set_hook(Arc::new(hook));
        let mut event = Event::log("x");
        redactor.apply(&mut event);
        assert_eq!(event.message, None);
    }
}
