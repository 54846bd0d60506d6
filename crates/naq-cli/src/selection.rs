//! Which events are meant, as it is typed.

use clap::Args;
use naq_core::clock::{Clock, SystemClock};
use naq_core::events::Filter;
use naq_core::{Error, Result};
use serde_json::Value;

use crate::output::Zone;

/// The expression that chooses events.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct Expression {
    /// Which events: `type = job_failed and duration > 2s and since 2h`
    ///
    /// `naq help explain` shows the language; an object is taken as JSON.
    #[arg(value_name = "EXPR")]
    pub(crate) expression: Option<String>,
}

impl Expression {
    /// The filter that it is; without one, that of all events.
    ///
    /// # Errors
    /// `InvalidArgument` that points at what is wrong.
    pub(crate) fn to_filter(&self, zone: &Zone) -> Result<Filter> {
        read(self.expression.as_deref(), zone)
    }
}

/// Options that choose events; all of them must hold.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Which events")]
pub(crate) struct Selection {
    /// Only events of this type
    #[arg(long = "type", value_name = "TYPE")]
    pub(crate) event_type: Option<String>,
    /// Only events that name this job
    #[arg(long, value_name = "ID")]
    pub(crate) job: Option<String>,
    /// Only events that name this worker
    #[arg(long, value_name = "ID")]
    pub(crate) worker: Option<String>,
    /// Only events that name this schedule
    #[arg(long, value_name = "ID")]
    pub(crate) schedule: Option<String>,
    /// Only events that name this queue
    #[arg(long)]
    pub(crate) queue: Option<String>,
    /// Only events of this kind of job
    #[arg(long)]
    pub(crate) name: Option<String>,
    /// Only events that took so long or longer, in seconds or as `1m 30s`
    #[arg(long, value_name = "DURATION", value_parser = crate::cli::duration)]
    pub(crate) min_duration: Option<std::time::Duration>,
    /// An expression, see `naq help explain`, or conditions as JSON
    #[arg(long, value_name = "EXPR")]
    pub(crate) filter: Option<String>,
}

impl Selection {
    /// The filter that they come to.
    ///
    /// # Errors
    /// `InvalidArgument` that points at what is wrong.
    pub(crate) fn to_filter(&self, zone: &Zone) -> Result<Filter> {
        let mut filter = Filter::new();
        for (field, value) in [
            ("type", &self.event_type),
            ("job_id", &self.job),
            ("worker_id", &self.worker),
            ("schedule_id", &self.schedule),
            ("queue", &self.queue),
            ("job_name", &self.name),
        ] {
            if let Some(value) = value {
                filter = filter.field(field).equals(value.as_str());
            }
        }
        if let Some(least) = self.min_duration {
            filter = filter.field("duration").at_least(least.as_secs_f64());
        }
        let filter = read(self.filter.as_deref(), zone)?.and(filter);
        filter.validate()?;
        Ok(filter)
    }
}

/// An expression, or the dictionary form where it begins as an object.
fn read(text: Option<&str>, zone: &Zone) -> Result<Filter> {
    match text {
        None => Ok(Filter::new()),
        Some(text) if text.trim_start().starts_with('{') => Filter::from_json(&parse(text)?),
        Some(text) => Filter::parse_at(text, SystemClock::new().now(), zone.zone()),
    }
}

fn parse(text: &str) -> Result<Value> {
    serde_json::from_str(text).map_err(|error| {
        Error::invalid("filter", "filter", "must be JSON")
            .with_hint(r#"write --filter '{"duration": {"min": 2.5}, "queue": "emails"}'"#)
            .with_source(error)
    })
}

#[cfg(test)]
mod tests {
    use naq_core::events::Event;

    use super::*;

    #[test]
    fn options_and_json_must_all_hold() {
        let selection = Selection {
            event_type: Some("job_failed".to_owned()),
            queue: Some("emails".to_owned()),
            filter: Some("error ~ reset or error = x".to_owned()),
            ..Selection::default()
        };
        let filter = selection.to_filter(&Zone::new(true)).unwrap();
        let event = Event::job_failed("j", "connection reset", 1.0).with_queue("emails");
        assert!(filter.matches(&event));
        assert!(!filter.matches(&event.clone().with_queue("other")));
        assert!(!filter.matches(&event.with_error("refused")));
    }

    #[test]
    fn an_expression_is_language_or_json() {
        let read = |text: &str| {
            let expression = Expression { expression: Some(text.to_owned()) };
            expression.to_filter(&Zone::new(true)).unwrap()
        };
        assert_eq!(read("duration >= 2"), read(r#" {"duration": {"min": 2}}"#));
        assert!(Expression::default().to_filter(&Zone::new(true)).unwrap().is_empty());
    }

    #[test]
    fn what_is_wrong_is_pointed_at() {
        let wrong = |text: &str| {
            let selection = Selection { filter: Some(text.to_owned()), ..Selection::default() };
            selection
                .to_filter(&Zone::new(true))
                .unwrap_err()
                .get("field")
                .unwrap_or_default()
                .to_owned()
        };
        assert_eq!(wrong("{"), "filter");
        assert_eq!(wrong("[]"), "filter");
        assert_eq!(wrong("type = "), "filter");
        assert_eq!(wrong(r#"{"duration": {"min": 2, "max": 1}}"#), "duration.min");
        assert_eq!(wrong(r#"{"error": {"regex": "("}}"#), "error.regex");
    }
}
