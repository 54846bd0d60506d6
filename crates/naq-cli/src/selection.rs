//! Which events are meant, as it is typed.

use clap::Args;
use naq_core::events::Filter;
use naq_core::{Error, Result};
use serde_json::Value;

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
    /// Conditions as JSON: a field equals, or has `min`, `max`, `regex`
    #[arg(long, value_name = "JSON")]
    pub(crate) filter: Option<String>,
}

impl Selection {
    /// The filter that they come to.
    ///
    /// # Errors
    /// `InvalidArgument` that points at what is wrong.
    pub(crate) fn to_filter(&self) -> Result<Filter> {
        let mut filter = match &self.filter {
            Some(text) => Filter::from_json(&parse(text)?)?,
            None => Filter::new(),
        };
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
        filter.validate()?;
        Ok(filter)
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
            filter: Some(r#"{"error": {"regex": "reset"}}"#.to_owned()),
            ..Selection::default()
        };
        let filter = selection.to_filter().unwrap();
        let event = Event::job_failed("j", "connection reset", 1.0).with_queue("emails");
        assert!(filter.matches(&event));
        assert!(!filter.matches(&event.clone().with_queue("other")));
        assert!(!filter.matches(&event.with_error("refused")));
    }

    #[test]
    fn what_is_wrong_is_pointed_at() {
        let wrong = |text: &str| {
            let selection = Selection { filter: Some(text.to_owned()), ..Selection::default() };
            selection.to_filter().unwrap_err().get("field").unwrap_or_default().to_owned()
        };
        assert_eq!(wrong("{"), "filter");
        assert_eq!(wrong("[]"), "filter");
        assert_eq!(wrong(r#"{"duration": {"min": 2, "max": 1}}"#), "duration.min");
        assert_eq!(wrong(r#"{"error": {"regex": "("}}"#), "error.regex");
    }
}
