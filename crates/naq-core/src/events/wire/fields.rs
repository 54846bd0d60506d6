//! The names of an event's fields on the wire, and the one order in which they are written.

use serde::Serialize;
use serde::ser::SerializeMap;
use serde_json::Value;

use crate::Timestamp;
use crate::events::model::id::ID_BYTES;
use crate::events::{Event, EventId};
use crate::time::Rfc3339;

macro_rules! fields {
    ($($variant:ident = $name:literal;)*) => {
        /// A field that naq knows.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(crate) enum Field {
            $($variant,)*
        }

        impl Field {
            pub(crate) const fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)*
                }
            }

            pub(crate) fn known(name: &str) -> Option<Self> {
                match name {
                    $($name => Some(Self::$variant),)*
                    _ => None,
                }
            }

            /// The name with the punctuation of JSON around it, behind another
            /// field, and the quote with which a text begins.
            const fn json_key(self) -> &'static [u8] {
                match self {
                    $(Self::$variant => concat!(",\"", $name, "\":\"").as_bytes(),)*
                }
            }
        }
    };
}

fields! {
    Type = "type";
    Id = "id";
    Timestamp = "timestamp";
    Service = "service";
    ServiceVersion = "service_version";
    JobId = "job_id";
    WorkerId = "worker_id";
    Queue = "queue";
    ScheduleId = "schedule_id";
    JobName = "job_name";
    Attempt = "attempt";
    Duration = "duration";
    QueueWait = "queue_wait";
    Success = "success";
    Error = "error";
    ErrorType = "error_type";
    Reason = "reason";
    Message = "message";
    Traceparent = "traceparent";
}

/// What is written in place of what an event leaves open.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Stamp<'a> {
    pub(crate) id: Option<&'a EventId>,
    pub(crate) timestamp: Option<Timestamp>,
    pub(crate) service: Option<&'a str>,
    pub(crate) service_version: Option<&'a str>,
}

/// Where the fields of an event go to, one after the other.
pub(crate) trait FieldWriter {
    type Error;

    fn field<T: Serialize + ?Sized>(&mut self, field: Field, value: &T) -> Result<(), Self::Error>;
    fn text(&mut self, field: Field, value: &str) -> Result<(), Self::Error>;
    fn timestamp(&mut self, value: Timestamp) -> Result<(), Self::Error>;
    fn custom(&mut self, name: &str, value: &Value) -> Result<(), Self::Error>;
}

/// Writes the fields that `event` has, or `stamp` for it, in wire order.
pub(crate) fn write<W: FieldWriter>(
    event: &Event,
    stamp: Stamp<'_>,
    out: &mut W,
) -> Result<(), W::Error> {
    // A macro, because the fields differ in type and each is left out when there is none.
    macro_rules! put {
        ($field:ident, $value:expr) => {
            if let Some(value) = $value {
                out.field(Field::$field, value)?;
            }
        };
    }
    macro_rules! put_text {
        ($field:ident, $value:expr) => {
            if let Some(value) = $value {
                out.text(Field::$field, value)?;
            }
        };
    }
    out.text(Field::Type, event.event_type.as_str())?;
    let mut room = [0; ID_BYTES];
    put_text!(Id, event.id.as_ref().or(stamp.id).map(|id| id.as_text(&mut room)));
    if let Some(timestamp) = event.timestamp.or(stamp.timestamp) {
        out.timestamp(timestamp)?;
    }
    put_text!(Service, event.service.as_deref().or(stamp.service));
    put_text!(ServiceVersion, event.service_version.as_deref().or(stamp.service_version));
    put_text!(JobId, event.job_id.as_deref());
    put_text!(WorkerId, event.worker_id.as_deref());
    put_text!(Queue, event.queue.as_deref());
    put_text!(ScheduleId, event.schedule_id.as_deref());
    put_text!(JobName, event.job_name.as_deref());
    put!(Attempt, event.attempt.as_ref());
    put!(Duration, event.duration.as_ref());
    put!(QueueWait, event.queue_wait.as_ref());
    put!(Success, event.success.as_ref());
    put_text!(Error, event.error.as_deref());
    put_text!(ErrorType, event.error_type.as_deref());
    put_text!(Reason, event.reason.as_deref());
    put_text!(Message, event.message.as_deref());
    put_text!(Traceparent, event.traceparent.as_deref());
    for (name, value) in &event.custom {
        out.custom(name, value)?;
    }
    Ok(())
}

/// Writes JSON into a buffer; the hot path.
pub(crate) struct JsonWriter<'a> {
    out: &'a mut Vec<u8>,
    times: &'a mut Rfc3339,
}

impl<'a> JsonWriter<'a> {
    /// Writes the event as one object without white space.
    pub(crate) fn object(
        event: &Event,
        stamp: Stamp<'_>,
        out: &'a mut Vec<u8>,
        times: &'a mut Rfc3339,
    ) -> serde_json::Result<()> {
        let start = out.len();
        let mut writer = Self { out, times };
        write(event, stamp, &mut writer)?;
        // The type is always there, and comes first: the comma before it is one too many.
        if let Some(comma) = writer.out.get_mut(start) {
            *comma = b'{';
        }
        writer.out.push(b'}');
        Ok(())
    }
}

impl FieldWriter for JsonWriter<'_> {
    type Error = serde_json::Error;

    fn field<T: Serialize + ?Sized>(&mut self, field: Field, value: &T) -> serde_json::Result<()> {
        let key = field.json_key();
        self.out.extend_from_slice(&key[..key.len() - 1]);
        serde_json::to_writer(&mut *self.out, value)
    }

    fn text(&mut self, field: Field, value: &str) -> serde_json::Result<()> {
        if has_escapes(value) {
            return self.field(field, value);
        }
        // Nearly every text stands as it is: it is copied whole.
        self.out.extend_from_slice(field.json_key());
        self.out.extend_from_slice(value.as_bytes());
        self.out.push(b'"');
        Ok(())
    }

    fn timestamp(&mut self, value: Timestamp) -> serde_json::Result<()> {
        self.out.extend_from_slice(Field::Timestamp.json_key());
        self.out.extend_from_slice(self.times.text(value));
        self.out.push(b'"');
        Ok(())
    }

    fn custom(&mut self, name: &str, value: &Value) -> serde_json::Result<()> {
        self.out.push(b',');
        serde_json::to_writer(&mut *self.out, name)?;
        self.out.push(b':');
        serde_json::to_writer(&mut *self.out, value)
    }
}

/// Whether JSON writes any byte of a text otherwise than as it is.
fn has_escapes(text: &str) -> bool {
    text.bytes().fold(false, |any, byte| any | (byte < b' ') | (byte == b'"') | (byte == b'\\'))
}

/// Writes into any serde format.
struct MapWriter<'a, M>(&'a mut M);

impl<M: SerializeMap> FieldWriter for MapWriter<'_, M> {
    type Error = M::Error;

    fn field<T: Serialize + ?Sized>(&mut self, field: Field, value: &T) -> Result<(), M::Error> {
        self.0.serialize_entry(field.name(), value)
    }

    fn text(&mut self, field: Field, value: &str) -> Result<(), M::Error> {
        self.0.serialize_entry(field.name(), value)
    }

    fn timestamp(&mut self, value: Timestamp) -> Result<(), M::Error> {
        self.0.serialize_entry(Field::Timestamp.name(), &value)
    }

    fn custom(&mut self, name: &str, value: &Value) -> Result<(), M::Error> {
        self.0.serialize_entry(name, value)
    }
}

/// Writes an event's fields as entries of a map that may hold others too.
pub(crate) fn write_map<M: SerializeMap>(event: &Event, map: &mut M) -> Result<(), M::Error> {
    write(event, Stamp::default(), &mut MapWriter(map))
}

impl Serialize for Event {
    /// The fields it has, in wire order; nothing is stamped.
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        write_map(self, &mut map)?;
        map.end()
    }
}
