//! An event that can be told among all, whole or damaged.

use naq_core::events::Event;
use serde_json::Value;

/// The type of the ledger's events.
const EVENT_TYPE: &str = "job_progress";

/// One event of a series: what one producer tells of one job, numbered from 0.
///
/// Its id is `<producer>-<job>-<n>`, and the producer's name is new in each run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stamp {
    /// Who logs it; without `-`.
    pub producer: String,
    /// The job it is about; without `-`.
    pub job: String,
    /// Its place in the series.
    pub n: u64,
    /// What makes it as large as the test wants.
    pub pad: String,
}

impl Stamp {
    /// An event with this many bytes of padding.
    pub fn new(producer: &str, job: &str, n: u64, pad: usize) -> Self {
        // Not all the same, so that bytes in the wrong place are seen.
        let pad = (0..pad).map(|at| char::from(b'a' + ((at as u64 + n) % 26) as u8)).collect();
        Self { producer: producer.to_owned(), job: job.to_owned(), n, pad }
    }

    /// The event's id.
    pub fn id(&self) -> String {
        format!("{}-{}-{}", self.producer, self.job, self.n)
    }

    /// What its order is promised within.
    pub fn series(&self) -> String {
        format!("{}-{}", self.producer, self.job)
    }

    /// The checksum over all that it says.
    pub fn checksum(&self) -> u32 {
        crc32c::crc32c(format!("{}|{}", self.id(), self.pad).as_bytes())
    }

    /// The event to log.
    pub fn event(&self) -> Event {
        Event::new(EVENT_TYPE)
            .with_id(self.id())
            .with_job_id(self.job.as_str())
            .with_field("producer", self.producer.as_str())
            .with_field("n", self.n)
            .with_field("pad", self.pad.as_str())
            .with_field("checksum", self.checksum())
    }

    /// The stamp of a stored payload, with the checksum that the event carries;
    /// `None` for what isn't the ledger's.
    pub fn of(payload: &[u8]) -> Option<(Self, u32)> {
        let event: Value = serde_json::from_slice(payload).ok()?;
        let text = |field: &str| event[field].as_str().map(str::to_owned);
        let stamp = Self {
            producer: text("producer")?,
            job: text("job_id")?,
            n: event["n"].as_u64()?,
            pad: text("pad")?,
        };
        let checksum = u32::try_from(event["checksum"].as_u64()?).ok()?;
        (event["id"].as_str() == Some(&stamp.id())).then_some((stamp, checksum))
    }
}
