//! One key: its value, its history, writing and removing.

use std::io::{self, Read};

use futures::TryStreamExt;
use naq_core::jetstream::Consistency;
use naq_core::kv::{
    GetOptions, KeySelection, KvEntry, KvOperation, PutMode, PutOptions, RemoveMode, RemoveOptions,
};
use serde::Serialize;

use super::show::{self, EntryShape};
use crate::commands::{Context, Outcome};
use crate::complain::Failure;
use crate::connect::Session;
use crate::exit::Exit;
use crate::output::{Format, human, sanitize};

/// How many keys are kept in memory to be sorted, at most.
const SORTED: usize = 10_000;
/// No server takes a larger message.
const LARGEST: u64 = 64 << 20;

/// Options of `naq kv get`.
#[derive(Debug, clap::Args)]
pub(crate) struct GetArgs {
    /// The bucket
    bucket: String,
    /// The key
    key: String,
    /// A revision of it, if the bucket still has it; the latest otherwise
    #[arg(long, value_name = "NUMBER")]
    revision: Option<u64>,
}

/// Options of `naq kv put`.
#[derive(Debug, clap::Args)]
pub(crate) struct PutArgs {
    /// The bucket
    bucket: String,
    /// The key
    key: String,
    /// The value; `-` reads it from standard input
    value: String,
    /// Only if the key has no value
    #[arg(long, conflicts_with = "if_revision")]
    create: bool,
    /// Only if this is the key's latest revision
    #[arg(long, value_name = "NUMBER")]
    if_revision: Option<u64>,
    /// Let the value go after so long, in whole seconds; the bucket must allow it
    #[arg(long, value_name = "DURATION", value_parser = crate::cli::duration)]
    ttl: Option<std::time::Duration>,
}

/// Options of `naq kv rm`.
#[derive(Debug, clap::Args)]
pub(crate) struct RemoveArgs {
    /// The bucket
    bucket: String,
    /// The key
    key: String,
    /// Remove its older revisions too
    #[arg(long)]
    purge: bool,
    /// Only if this is the key's latest revision
    #[arg(long, value_name = "NUMBER")]
    if_revision: Option<u64>,
}

/// What a change came to.
#[derive(Debug, Serialize)]
struct Changed {
    bucket: String,
    key: String,
    revision: u64,
    #[serde(skip)]
    verb: &'static str,
}

/// A key of a list.
#[derive(Debug, Serialize)]
struct Key {
    key: String,
}

/// `naq kv ls`.
pub(super) async fn list(context: &mut Context, bucket: &str, prefix: Option<String>) -> Outcome {
    let (output, notes) = (&mut context.output, context.notes);
    let selection = prefix.map_or(KeySelection::All, KeySelection::Prefix);
    Session::with(&context.globals, async |session| {
        let bucket = session.kv()?.bucket(bucket)?;
        let mut keys = bucket.keys(selection);
        let mut first = Vec::new();
        while first.len() <= SORTED
            && let Some(key) = keys.try_next().await?
        {
            first.push(key);
        }
        if first.len() > SORTED {
            let most = human::count(SORTED as u64);
            notes.line(&format!("more than {most} keys: in the order of their latest values"));
        } else {
            first.sort_unstable();
        }
        let mut list = output.begin_list();
        let mut write = |key| list.item(&Key { key }, |key| format!("{}\n", sanitize(&key.key)));
        first.into_iter().try_for_each(&mut write)?;
        while let Some(key) = keys.try_next().await? {
            write(key)?;
        }
        list.end()?;
        Ok(Exit::Done)
    })
    .await
}

/// `naq kv get`.
pub(super) async fn get(context: &mut Context, args: &GetArgs) -> Outcome {
    let as_json = context.globals.output.filter(|format| *format != Format::Table);
    let output = &mut context.output;
    let options = match args.revision {
        Some(revision) => GetOptions::at(revision),
        None => GetOptions::default().with_consistency(Consistency::Leader),
    };
    Session::with(&context.globals, async |session| {
        let entry = session.kv()?.bucket(&args.bucket)?.get_opts(&args.key, options).await?;
        match entry {
            Some(entry) if entry.is_live() => {
                match as_json {
                    Some(_) => output.answer(&EntryShape::of(&entry), |_, _| String::new())?,
                    None if output.is_terminal() => output.text(&show::value(&entry.value))?,
                    None => output.bytes(&entry.value)?,
                }
                Ok(Exit::Done)
            }
            Some(entry) => Err(absent(&args.bucket, &args.key, &removed(&entry))),
            None if args.revision.is_some() => {
                Err(absent(&args.bucket, &args.key, "has no such revision"))
            }
            None => Err(absent(&args.bucket, &args.key, "has no value")),
        }
    })
    .await
}

fn removed(entry: &KvEntry) -> String {
    match entry.operation {
        KvOperation::Expire => "aged away".to_owned(),
        operation => format!("was removed ({operation})"),
    }
}

fn absent(bucket: &str, key: &str, how: &str) -> Failure {
    Failure::complaint(
        Exit::NotFound,
        format!("the key {key} of the bucket {bucket} {how}"),
        format!(
            "`naq kv ls {bucket}` lists the keys, `naq kv history {bucket} {key}` the revisions"
        ),
    )
}

/// `naq kv put`.
pub(super) async fn put(context: &mut Context, args: PutArgs) -> Outcome {
    let output = &mut context.output;
    let value = if args.value == "-" { stdin()? } else { args.value.into_bytes() };
    let mut options = PutOptions::default().with_mode(match args.if_revision {
        Some(revision) => PutMode::Update(revision),
        None if args.create => PutMode::Create,
        None => PutMode::Overwrite,
    });
    options.ttl = args.ttl;
    Session::with(&context.globals, async |session| {
        let bucket = session.kv()?.bucket(&args.bucket)?;
        let revision = bucket.put_opts(&args.key, value.into(), options).await?;
        let changed = Changed { bucket: args.bucket, key: args.key, revision, verb: "put" };
        output.answer(&changed, |changed, _| told(changed))?;
        Ok(Exit::Done)
    })
    .await
}

fn stdin() -> Result<Vec<u8>, Failure> {
    let mut value = Vec::new();
    let read = io::stdin().lock().take(LARGEST + 1).read_to_end(&mut value);
    let read = read.map_err(|error| Failure::file("read", "standard input", &error))?;
    if read as u64 > LARGEST {
        return Err(Failure::usage(
            format!("the value is larger than {}, which no server takes", human::size(LARGEST)),
            "store it somewhere else, and put where it is",
        ));
    }
    Ok(value)
}

/// `naq kv rm`.
pub(super) async fn remove(context: &mut Context, args: RemoveArgs) -> Outcome {
    let output = &mut context.output;
    Session::with(&context.globals, async |session| {
        let RemoveArgs { bucket: name, key, .. } = args;
        let bucket = session.kv()?.bucket(&name)?;
        let latest = GetOptions::default().with_consistency(Consistency::Leader);
        match bucket.get_opts(&key, latest).await? {
            Some(entry) if entry.is_live() => {}
            // What is left of a removed key can be purged still.
            Some(entry) if args.purge && entry.operation != KvOperation::Purge => {}
            Some(entry) => return Err(absent(&name, &key, &removed(&entry))),
            None => return Err(absent(&name, &key, "has no value")),
        }
        let mode = if args.purge { RemoveMode::Purge } else { RemoveMode::Delete };
        let mut options = RemoveOptions::default().with_mode(mode);
        options.expected = args.if_revision;
        let revision = bucket.remove(&key, options).await?;
        let verb = if args.purge { "purged" } else { "removed" };
        output.answer(&Changed { bucket: name, key, revision, verb }, |c, _| told(c))?;
        Ok(Exit::Done)
    })
    .await
}

fn told(changed: &Changed) -> String {
    format!("{} {} at revision {}\n", changed.verb, sanitize(&changed.key), changed.revision)
}

/// `naq kv history`.
pub(super) async fn history(context: &mut Context, bucket: &str, key: &str) -> Outcome {
    let output = &mut context.output;
    Session::with(&context.globals, async |session| {
        let entries = session.kv()?.bucket(bucket)?.history(key).await?;
        if entries.is_empty() {
            return Err(Failure::complaint(
                Exit::NotFound,
                format!("the bucket {bucket} holds no revision of the key {key}"),
                format!("`naq kv ls {bucket}` lists the keys"),
            ));
        }
        let shapes: Vec<_> = entries.iter().map(EntryShape::of).collect();
        output.list(&shapes, show::history)?;
        Ok(Exit::Done)
    })
    .await
}
