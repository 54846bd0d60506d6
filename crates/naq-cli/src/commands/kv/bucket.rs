//! Making, listing, describing and deleting buckets.

use std::time::Duration;

use clap::ValueEnum;
use futures::TryStreamExt;
use naq_core::Timestamp;
use naq_core::config::{Size, format_duration};
use naq_core::jetstream::Storage;
use naq_core::kv::{BucketConfig, BucketStatus};
use serde::Serialize;

use crate::commands::confirm::confirm;
use crate::commands::{Context, Outcome};
use crate::connect::Session;
use crate::exit::Exit;
use crate::output::{Grid, View, human, sanitize};

/// Options of `naq kv create` and `naq kv ensure`.
#[derive(Debug, clap::Args)]
pub(crate) struct BucketArgs {
    /// The bucket: letters, digits, `-` and `_`
    bucket: String,
    /// How many revisions of each key are kept, 1 to 64
    #[arg(long, value_name = "REVISIONS")]
    history: Option<u64>,
    /// The age at which values go
    #[arg(long, value_name = "DURATION", value_parser = crate::cli::duration)]
    ttl: Option<Duration>,
    /// The most bytes in all, such as 64MiB
    #[arg(long, value_name = "SIZE")]
    max_bytes: Option<Size>,
    /// The largest value, such as 1MiB
    #[arg(long, value_name = "SIZE")]
    max_value_size: Option<Size>,
    /// Where it is kept
    #[arg(long, value_enum)]
    storage: Option<StorageArg>,
    /// How many servers of a cluster hold it
    #[arg(long)]
    replicas: Option<u32>,
    /// A text for people
    #[arg(long, value_name = "TEXT")]
    description: Option<String>,
    /// Allow a TTL per key, and leave a marker for so long where one aged away
    #[arg(long, value_name = "DURATION", value_parser = crate::cli::duration)]
    marker_ttl: Option<Duration>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum StorageArg {
    /// On disk
    File,
    /// In the server's memory: gone when it stops
    Memory,
}

/// Options of `naq kv drop`.
#[derive(Debug, clap::Args)]
pub(crate) struct DropArgs {
    /// The bucket
    bucket: String,
    /// Don't ask
    #[arg(long)]
    yes: bool,
}

/// A bucket that was deleted.
#[derive(Debug, Serialize)]
struct Deleted {
    bucket: String,
    deleted: bool,
}

impl BucketArgs {
    fn to_config(&self) -> BucketConfig {
        let mut config = BucketConfig::new(&self.bucket);
        config.history = self.history;
        config.max_age = self.ttl;
        config.max_bytes = self.max_bytes.map(Size::bytes);
        config.max_value_size = self.max_value_size.map(Size::bytes);
        config.storage = self.storage.map(|storage| match storage {
            StorageArg::File => Storage::File,
            StorageArg::Memory => Storage::Memory,
        });
        config.replicas = self.replicas;
        config.description.clone_from(&self.description);
        config.marker_ttl = self.marker_ttl;
        config
    }
}

/// A bucket as JSON; times are in seconds, 0 is no limit.
#[derive(Debug, Serialize)]
struct BucketShape {
    bucket: String,
    description: Option<String>,
    keys: u64,
    values: u64,
    bytes: u64,
    last_revision: u64,
    created: Timestamp,
    history: Option<u64>,
    ttl: Option<f64>,
    max_bytes: Option<u64>,
    max_value_size: Option<u64>,
    storage: Option<Storage>,
    replicas: Option<u32>,
    marker_ttl: Option<f64>,
    transactions: Option<bool>,
    stream: String,
}

impl BucketShape {
    fn of(status: &BucketStatus) -> Self {
        let config = &status.config;
        let seconds = |duration: Option<Duration>| duration.map(|d| d.as_secs_f64());
        Self {
            bucket: config.name.clone(),
            description: config.description.clone(),
            keys: status.keys,
            values: status.values,
            bytes: status.bytes,
            last_revision: status.last_revision,
            created: status.created,
            history: config.history,
            ttl: seconds(config.max_age),
            max_bytes: config.max_bytes,
            max_value_size: config.max_value_size,
            storage: config.storage,
            replicas: config.replicas,
            marker_ttl: seconds(config.marker_ttl),
            transactions: config.transactions,
            stream: status.stream.clone(),
        }
    }
}

/// `naq kv buckets`.
pub(super) async fn list(context: &mut Context) -> Outcome {
    let output = &mut context.output;
    Session::with(&context.globals, async |session| {
        let all: Vec<_> = session.kv()?.list_buckets().try_collect().await?;
        let shapes: Vec<_> = all.iter().map(BucketShape::of).collect();
        output.list(&shapes, table)?;
        Ok(Exit::Done)
    })
    .await
}

/// `naq kv create`.
pub(super) async fn create(context: &mut Context, args: BucketArgs) -> Outcome {
    let output = &mut context.output;
    Session::with(&context.globals, async |session| {
        let bucket = session.kv()?.create_bucket(args.to_config()).await?;
        output.answer(&BucketShape::of(&bucket.status().await?), facts)?;
        Ok(Exit::Done)
    })
    .await
}

/// `naq kv ensure`.
pub(super) async fn ensure(context: &mut Context, args: BucketArgs) -> Outcome {
    let output = &mut context.output;
    Session::with(&context.globals, async |session| {
        let bucket = session.kv()?.ensure_bucket(args.to_config()).await?;
        output.answer(&BucketShape::of(&bucket.status().await?), facts)?;
        Ok(Exit::Done)
    })
    .await
}

/// `naq kv drop`.
pub(super) async fn drop(context: &mut Context, args: DropArgs) -> Outcome {
    let output = &mut context.output;
    Session::with(&context.globals, async |session| {
        let store = session.kv()?;
        let status = store.bucket(&args.bucket)?.status().await?;
        if !args.yes {
            let (keys, url) = (human::counted(status.keys, "key"), session.url());
            confirm(&format!("delete the bucket {} with {keys} on {url}?", args.bucket))?;
        }
        store.delete_bucket(&args.bucket).await?;
        output.answer(&Deleted { bucket: args.bucket, deleted: true }, |deleted, _| {
            format!("deleted {}\n", sanitize(&deleted.bucket))
        })?;
        Ok(Exit::Done)
    })
    .await
}

/// `naq kv status`.
pub(super) async fn status(context: &mut Context, bucket: &str) -> Outcome {
    let output = &mut context.output;
    Session::with(&context.globals, async |session| {
        let status = session.kv()?.bucket(bucket)?.status().await?;
        output.answer(&BucketShape::of(&status), facts)?;
        Ok(Exit::Done)
    })
    .await
}

fn table(buckets: &[BucketShape], view: &View) -> String {
    let headings = ["Bucket", "Keys", "Values", "Size", "History", "Description"];
    let mut grid = Grid::new(view, &headings).right(&[1, 2, 3, 4]);
    for bucket in buckets {
        grid.row([
            bucket.bucket.as_str(),
            &human::count(bucket.keys),
            &human::count(bucket.values),
            &human::size(bucket.bytes),
            &bucket.history.map_or_else(|| "-".to_owned(), human::count),
            bucket.description.as_deref().unwrap_or_default(),
        ]);
    }
    if grid.is_empty() { "no buckets\n".to_owned() } else { grid.text() }
}

fn facts(bucket: &BucketShape, view: &View) -> String {
    let mut grid = Grid::new(view, &[]);
    let mut fact = |name: &str, value: Option<String>| {
        if let Some(value) = value {
            grid.row([name, &value]);
        }
    };
    let limit = |bytes: Option<u64>| {
        bytes.map(|bytes| if bytes == 0 { "none".to_owned() } else { human::size(bytes) })
    };
    let age = |seconds: Option<f64>, none: &str| {
        seconds.map(|seconds| match Duration::try_from_secs_f64(seconds) {
            Ok(age) if age.is_zero() => none.to_owned(),
            Ok(age) => format_duration(age),
            Err(_) => "?".to_owned(),
        })
    };
    fact("Bucket", Some(bucket.bucket.clone()));
    fact("Description", bucket.description.clone().filter(|text| !text.is_empty()));
    fact("Keys", Some(human::count(bucket.keys)));
    fact(
        "Values",
        Some(format!("{} in {}", human::count(bucket.values), human::size(bucket.bytes))),
    );
    fact("Last revision", Some(bucket.last_revision.to_string()));
    fact("Created", Some(view.zone.full(bucket.created)));
    fact("History", bucket.history.map(|count| human::counted(count, "revision")));
    fact("TTL", age(bucket.ttl, "none"));
    fact("Limit of size", limit(bucket.max_bytes));
    fact("Limit of a value", limit(bucket.max_value_size));
    fact(
        "Storage",
        bucket.storage.map(|s| if s == Storage::File { "file" } else { "memory" }.into()),
    );
    fact("Replicas", bucket.replicas.map(|count| count.to_string()));
    fact("TTL per key", age(bucket.marker_ttl, "off"));
    fact("Transactions", bucket.transactions.map(|on| if on { "on" } else { "off" }.into()));
    fact("Stream", Some(bucket.stream.clone()));
    grid.text()
}
