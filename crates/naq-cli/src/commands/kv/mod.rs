//! `naq kv`: works with key-value buckets.
//!
//! - `bucket`: making, listing, describing and deleting buckets
//! - `key`: one key's value, its history, writing and removing
//! - `watch`: changes as they come
//! - `show`: how entries look

mod bucket;
mod key;
mod show;
mod watch;

use super::{Context, Outcome};

/// `naq kv …`.
#[derive(Debug, clap::Subcommand)]
#[command(after_help = "\
Examples:
  naq kv create settings --history 5
  naq kv put settings workers.max 8
  naq kv get settings workers.max")]
pub(crate) enum Command {
    /// List the buckets
    #[command(after_help = "\
Examples:
  naq kv buckets
  naq kv buckets --output jsonl | jq -r .bucket")]
    Buckets,
    /// Create a bucket
    #[command(after_help = "\
Examples:
  naq kv create settings
  naq kv create sessions --ttl 30m --storage memory
  naq kv create settings --history 10 --max-bytes 64MiB --description \"what workers read\"

Creating an equal bucket again changes nothing; one that differs is refused, and
`naq kv ensure` changes it.")]
    Create(bucket::BucketArgs),
    /// Make a bucket be as wanted: create it, leave it, or change it
    #[command(after_help = "\
Examples:
  naq kv ensure settings --history 20
  naq kv ensure sessions --marker-ttl 1h    allows a TTL per key

What isn't said is left as it is. What would lose values, such as a shorter
history, is refused, and then nothing is changed.")]
    Ensure(bucket::BucketArgs),
    /// Delete a bucket with all its keys
    #[command(after_help = "\
Examples:
  naq kv drop settings
  naq kv drop settings --yes

It asks before.")]
    Drop(bucket::DropArgs),
    /// Show how a bucket is and what it holds
    #[command(after_help = "\
Examples:
  naq kv status settings")]
    Status {
        /// The bucket
        bucket: String,
    },
    /// List the keys that have a value
    #[command(after_help = "\
Examples:
  naq kv ls settings
  naq kv ls settings --prefix workers.")]
    Ls {
        /// The bucket
        bucket: String,
        /// Only keys that begin so
        #[arg(long)]
        prefix: Option<String>,
    },
    /// Write the value of a key to standard output, byte for byte
    #[command(after_help = "\
Examples:
  naq kv get settings workers.max
  naq kv get settings logo > logo.png
  naq kv get settings workers.max --revision 3
  naq kv get settings workers.max --output json | jq .revision

With --output json or jsonl it is the entry with its revision and time: a value
that is text stands in `value`, any other in `value_base64`.")]
    Get(key::GetArgs),
    /// Give a key a value
    #[command(after_help = "\
Examples:
  naq kv put settings workers.max 8
  naq kv put settings logo - < logo.png
  naq kv put settings leader me --create
  naq kv put settings workers.max 9 --if-revision 3")]
    Put(key::PutArgs),
    /// Remove a key
    #[command(after_help = "\
Examples:
  naq kv rm settings workers.max
  naq kv rm settings workers.max --purge    with its older revisions

A key that has no value is not found: exit code 3. `naq kv drop` deletes a whole
bucket.")]
    Rm(key::RemoveArgs),
    /// Show the revisions of a key that the bucket holds
    #[command(after_help = "\
Examples:
  naq kv history settings workers.max")]
    History {
        /// The bucket
        bucket: String,
        /// The key
        key: String,
    },
    /// Show the values, and then the changes as they come
    Watch(watch::Args),
}

/// Does what is asked.
pub(crate) async fn run(context: &mut Context, command: Command) -> Outcome {
    match command {
        Command::Buckets => bucket::list(context).await,
        Command::Create(args) => bucket::create(context, args).await,
        Command::Ensure(args) => bucket::ensure(context, args).await,
        Command::Drop(args) => bucket::drop(context, args).await,
        Command::Status { bucket } => bucket::status(context, &bucket).await,
        Command::Ls { bucket, prefix } => key::list(context, &bucket, prefix).await,
        Command::Get(args) => key::get(context, &args).await,
        Command::Put(args) => key::put(context, args).await,
        Command::Rm(args) => key::remove(context, args).await,
        Command::History { bucket, key } => key::history(context, &bucket, &key).await,
        Command::Watch(args) => watch::run(context, args).await,
    }
}
