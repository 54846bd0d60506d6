//! One event from options.

use std::time::Duration;

use naq_core::Timestamp;
use naq_core::events::Event;
use serde_json::Value;

/// What an event says, as options.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "One event")]
#[group(id = "single", multiple = true)]
pub(crate) struct EventArgs {
    /// What happened: job_started, job_failed, log, or a type of your own
    #[arg(long = "type", value_name = "TYPE")]
    event_type: Option<String>,
    /// The job
    #[arg(long, value_name = "ID")]
    job: Option<String>,
    /// The kind of job, such as send_invoice
    #[arg(long)]
    name: Option<String>,
    /// The worker
    #[arg(long, value_name = "ID")]
    worker: Option<String>,
    /// The schedule
    #[arg(long, value_name = "ID")]
    schedule: Option<String>,
    /// The queue
    #[arg(long)]
    queue: Option<String>,
    /// Which try of the job this is, from 1
    #[arg(long, value_name = "NUMBER", value_parser = crate::cli::positive::<u32>)]
    attempt: Option<u32>,
    /// How long the run took, in seconds or as `1m 30s`
    #[arg(
        long,
        value_name = "DURATION",
        value_parser = crate::cli::duration,
        allow_negative_numbers = true
    )]
    duration: Option<Duration>,
    /// Whether the run came to a good end; alone it means yes
    #[arg(long, value_name = "BOOL", num_args = 0..=1, default_missing_value = "true")]
    success: Option<bool>,
    /// What went wrong, in words
    #[arg(long, value_name = "TEXT", allow_hyphen_values = true)]
    error: Option<String>,
    /// What went wrong, as a class
    #[arg(long, value_name = "CLASS")]
    error_type: Option<String>,
    /// Why: of waiting, cancelling, pausing
    #[arg(long, value_name = "TEXT", allow_hyphen_values = true)]
    reason: Option<String>,
    /// A message for people
    #[arg(long, value_name = "TEXT", allow_hyphen_values = true)]
    message: Option<String>,
    /// When it happened (RFC 3339); now, if not said
    #[arg(long, value_name = "TIME", value_parser = timestamp)]
    timestamp: Option<Timestamp>,
    /// A field of one's own; a value that is JSON is taken as JSON, any other as text
    #[arg(long = "field", value_name = "NAME=VALUE", value_parser = field)]
    fields: Vec<(String, Value)>,
}

impl EventArgs {
    /// The event.
    pub(crate) fn to_event(&self) -> Event {
        let args = self.clone();
        let text = |value: Option<String>| value.map(Into::into);
        let mut event = Event::new(args.event_type.unwrap_or_default());
        event.job_id = text(args.job);
        event.job_name = text(args.name);
        event.worker_id = text(args.worker);
        event.schedule_id = text(args.schedule);
        event.queue = text(args.queue);
        event.attempt = args.attempt;
        event.duration = args.duration.map(|duration| duration.as_secs_f64());
        event.success = args.success;
        event.error = text(args.error);
        event.error_type = text(args.error_type);
        event.reason = text(args.reason);
        event.message = text(args.message);
        event.timestamp = args.timestamp;
        event.custom.extend(args.fields);
        event
    }
}

/// Fields that have an option, and those that only NDJSON can say.
const KNOWN: [(&str, Option<&str>); 19] = [
    ("type", Some("--type")),
    ("id", None),
    ("timestamp", Some("--timestamp")),
    ("service", None),
    ("service_version", None),
    ("job_id", Some("--job")),
    ("worker_id", Some("--worker")),
    ("queue", Some("--queue")),
    ("schedule_id", Some("--schedule")),
    ("job_name", Some("--name")),
    ("attempt", Some("--attempt")),
    ("duration", Some("--duration")),
    ("queue_wait", None),
    ("success", Some("--success")),
    ("error", Some("--error")),
    ("error_type", Some("--error-type")),
    ("reason", Some("--reason")),
    ("message", Some("--message")),
    ("traceparent", None),
];

/// Why a name can't be that of a field of one's own.
fn taken(name: &str) -> Option<String> {
    let (_, option) = KNOWN.iter().find(|(known, _)| *known == name)?;
    Some(match option {
        Some(option) => format!("{name} has an option of its own: {option}"),
        None => format!("{name} is a field of naq's own; NDJSON can say it: `naq log -`"),
    })
}

fn timestamp(text: &str) -> Result<Timestamp, String> {
    text.parse().map_err(|error: naq_core::Error| error.message().to_owned())
}

/// `name=value`.
fn field(text: &str) -> Result<(String, Value), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => {
            if let Some(why) = taken(name) {
                return Err(why);
            }
            let value = serde_json::from_str(value).unwrap_or_else(|_| Value::from(value));
            Ok((name.to_owned(), value))
        }
        _ => Err("must be NAME=VALUE, such as version=1.4.2".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_field_is_json_where_it_can_be_and_text_otherwise() {
        for (text, value) in [
            ("a=1", json!(1)),
            ("a=true", json!(true)),
            ("a=1.4.2", json!("1.4.2")),
            ("a=\"1\"", json!("1")),
            ("a={\"b\":[1]}", json!({"b": [1]})),
            ("a=", json!("")),
            ("a=b=c", json!("b=c")),
            ("a=null", json!(null)),
        ] {
            assert_eq!(field(text), Ok(("a".to_owned(), value)), "{text}");
        }
        assert!(field("a").is_err());
        assert!(field("job_id=7").unwrap_err().contains("--job"));
        assert!(field("id=7").unwrap_err().contains("NDJSON"));
        assert!(field("=1").is_err());
    }

    #[test]
    fn every_field_that_naq_knows_is_taken() {
        let whole = r#"{"type":"x","id":"1","timestamp":"2026-11-24T12:00:00Z","service":"s",
            "service_version":"1","job_id":"j","worker_id":"w","queue":"q","schedule_id":"s",
            "job_name":"n","attempt":1,"duration":1,"queue_wait":1,"success":true,"error":"e",
            "error_type":"t","reason":"r","message":"m","traceparent":"p"}"#;
        let event = naq_core::events::decode(whole.as_bytes()).unwrap();
        assert!(event.custom.is_empty(), "{:?}", event.custom);
        for name in serde_json::from_str::<serde_json::Map<_, _>>(whole).unwrap().keys() {
            assert!(taken(name).is_some(), "{name}");
        }
        assert_eq!(taken("smtp"), None);
    }

    #[test]
    fn a_time_is_rfc_3339() {
        assert!(timestamp("2026-11-24T12:00:00+01:00").is_ok());
        assert!(timestamp("noon").unwrap_err().contains("RFC 3339"));
    }
}
