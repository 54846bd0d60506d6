//! What can be typed.

use std::ffi::OsString;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use clap::builder::Resettable;
use clap::parser::ValueSource;
use clap::{Arg, ArgAction, Args, ColorChoice, CommandFactory, FromArgMatches, Parser, Subcommand};
use naq_core::config::parse_duration;

use crate::commands::{
    analytics, cleanup, completions, cursors, dead, demo, doctor, errors, explain, export, groups,
    history, index, keeper, kv, log, query, react, retention, sizes, spool, stats, streams, tail,
};
use crate::complain::Failure;
use crate::output::Format;

/// See what your background jobs are doing.
///
/// naq keeps a log of events (of jobs, workers and schedules) in a NATS
/// JetStream. This command writes to it, watches it live, tells what happened
/// to one job, and answers with statistics.
#[derive(Debug, Parser)]
#[command(
    name = "naq",
    version,
    propagate_version = true,
    after_help = EXAMPLES,
    max_term_width = 100,
    subcommand_required = true
)]
pub(crate) struct Cli {
    /// What holds for every command.
    #[command(flatten)]
    pub(crate) globals: Globals,
    /// What to do.
    #[command(subcommand)]
    pub(crate) command: Command,
}

impl Cli {
    /// What was typed; a variable with an empty value is as one that isn't set.
    ///
    /// # Errors
    /// clap's.
    pub(crate) fn understand(
        line: impl IntoIterator<Item = OsString>,
    ) -> Result<Self, clap::Error> {
        let is_empty = |arg: &Arg| {
            arg.get_env().and_then(std::env::var_os).is_some_and(|value| value.is_empty())
        };
        let command = Self::command()
            .mut_args(|arg| if is_empty(&arg) { arg.env(Resettable::Reset) } else { arg });
        let matches = command.try_get_matches_from(line)?;
        let mut cli = Self::from_arg_matches(&matches)?;
        let source = matches.value_source("output");
        cli.globals.is_output_usual = source == Some(ValueSource::EnvVariable);
        Ok(cli)
    }
}

const EXAMPLES: &str = "\
Examples:
  naq demo                                  begin here: a small real queue
  naq log --type job_failed --job job-7 --error \"connection reset\"
  naq tail --type job_failed                failures as they happen
  naq history job-7                         what happened to it
  naq stats --since 24h
  naq --server nats://queue.example:4222 --creds reader.creds doctor

Exit codes:
  0 done, 1 failed, 2 wrong usage, 3 not found, 4 unavailable, 5 partly done";

/// Options of every command, before it or behind it.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Global options")]
pub(crate) struct Globals {
    /// Where the server is [default: nats://127.0.0.1:4222]
    ///
    /// `nats://host:4222` or `tls://host:4222`, several with commas. Goes
    /// before what the configuration says.
    #[arg(long, global = true, value_name = "URL", env = "NAQ_NATS_URL", hide_env_values = true)]
    pub(crate) server: Option<String>,

    /// A TOML file with the configuration; variables and options go before it
    #[arg(long, global = true, value_name = "FILE", env = "NAQ_CONFIG", hide_env_values = true)]
    pub(crate) config: Option<PathBuf>,

    /// A credentials file as `nsc` writes it
    #[arg(long, global = true, value_name = "FILE", env = "NAQ_CREDS", hide_env_values = true)]
    pub(crate) creds: Option<PathBuf>,

    /// The form of the output [default: table on a terminal, jsonl elsewhere]
    #[arg(long, global = true, value_enum, env = "NAQ_OUTPUT", hide_env_values = true)]
    pub(crate) output: Option<Format>,

    /// Whether that form was set by a variable, for all commands, and not asked of this one
    #[arg(skip)]
    pub(crate) is_output_usual: bool,

    /// When to use colour; `auto` respects NO_COLOR
    #[arg(
        long,
        global = true,
        value_enum,
        value_name = "WHEN",
        default_value_t = ColorChoice::Auto,
        env = "NAQ_COLOR",
        hide_env_values = true
    )]
    pub(crate) color: ColorChoice,

    /// How long one call to the server may take [default: 5s to connect, 10s to answer]
    #[arg(
        long,
        global = true,
        value_name = "DURATION",
        value_parser = timeout,
        env = "NAQ_TIMEOUT",
        hide_env_values = true
    )]
    pub(crate) timeout: Option<Duration>,

    /// Show times in UTC, and read those without a zone so; local time otherwise
    #[arg(long, global = true)]
    pub(crate) utc: bool,

    /// Tell on standard error what happens underneath; -vv tells more
    #[arg(short, long, global = true, action = ArgAction::Count)]
    pub(crate) verbose: u8,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run a small real queue in this process and watch it
    Demo(demo::Args),
    /// Write events to the log
    Log(log::Args),
    /// Watch events as they come
    Tail(tail::Args),
    /// Tell what happened to one job, worker or schedule
    History(history::Args),
    /// Count events by type, queue and kind of job
    Stats(stats::Args),
    /// Show how runs go: success rate and durations of one type of event
    Analytics(analytics::Args),
    /// Show what is failing, since when, and whether it is getting worse
    Errors(errors::Args),
    /// Measure events by group and stretch of time
    Query(query::Args),
    /// Remove old events
    Cleanup(cleanup::Args),
    /// Write events as NDJSON that `log` takes back
    Export(export::Args),
    /// Tell what an expression means, and what it costs to read
    Explain(explain::Args),
    /// Look after indexes: which fields of events can be looked up
    #[command(subcommand)]
    Index(index::Command),
    /// Look after named cursors: how far readers have come
    #[command(subcommand)]
    Cursors(cursors::Command),
    /// Run a command for every event that is meant, as a member of a group
    React(react::Args),
    /// Look after the groups that react to events
    #[command(subcommand)]
    Groups(groups::Command),
    /// Look at what groups could not handle; have it handled again, or drop it
    #[command(subcommand)]
    Dead(dead::Command),
    /// Keep the log: digest what comes, and remove what is too old
    Keeper(keeper::Args),
    /// Look after how long events of each type are kept
    #[command(subcommand)]
    Retention(retention::Command),
    /// Show how much room each type of event takes
    Sizes(sizes::Args),
    /// Look after streams
    #[command(subcommand)]
    Streams(streams::Command),
    /// Work with key-value buckets
    #[command(subcommand)]
    Kv(kv::Command),
    /// Look after what programs keep on disk until a server takes it
    #[command(subcommand)]
    Spool(spool::Command),
    /// Check the server, the rights, the stream and its room
    Doctor(doctor::Args),
    /// Write the completions of a shell
    Completions(completions::Args),
}

impl Command {
    /// Refuses rows for a spreadsheet where the answer isn't made of any.
    ///
    /// # Errors
    /// Usage.
    pub(crate) fn check(&self, is_csv: bool) -> Result<(), Failure> {
        match self {
            Self::Query(_) | Self::Errors(_) | Self::Sizes(_) => Ok(()),
            _ if is_csv => Err(Failure::usage(
                "--output csv is of rows of figures: `query`, `errors` and `sizes` have them",
                "`naq query --group-by type,queue --output csv`, or another --output: table, json, \
                 jsonl",
            )),
            _ => Ok(()),
        }
    }
}

/// A duration as the configuration writes it.
pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    parse_duration(text).map_err(|error| error.message().to_owned())
}

/// A count from 1.
pub(crate) fn positive<T: FromStr + PartialOrd + From<u8>>(text: &str) -> Result<T, String> {
    text.parse()
        .ok()
        .filter(|number| *number >= T::from(1))
        .ok_or_else(|| "must be a whole number from 1".to_owned())
}

fn timeout(text: &str) -> Result<Duration, String> {
    let timeout = duration(text)?;
    if (Duration::from_millis(10)..=Duration::from_secs(3_600)).contains(&timeout) {
        Ok(timeout)
    } else {
        Err("must be from 10ms to 1h".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn global_options_stand_before_and_behind_the_command() {
        for line in ["naq --output json --utc stats", "naq stats --utc --output json"] {
            let cli = Cli::try_parse_from(line.split(' ')).unwrap();
            assert_eq!(cli.globals.output, Some(Format::Json), "{line}");
            assert!(cli.globals.utc, "{line}");
        }
    }

    #[test]
    fn every_command_shows_worked_examples() {
        fn check(command: &clap::Command, path: &str) {
            for sub in command.get_subcommands().filter(|sub| sub.get_name() != "help") {
                let path = format!("{path} {}", sub.get_name());
                let help = sub.get_after_help().map(ToString::to_string).unwrap_or_default();
                assert!(
                    help.contains(&format!("{path} ")) || help.contains(&format!("{path}\n")),
                    "{path} shows no example"
                );
                check(sub, &path);
            }
        }
        check(&Cli::command(), "naq");
    }

    #[test]
    fn a_count_begins_at_1() {
        assert_eq!(positive("7"), Ok(7_u64));
        for text in ["0", "-1", "x", "4294967296"] {
            assert!(positive::<u32>(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_timeout_has_a_range() {
        assert_eq!(timeout("250ms"), Ok(Duration::from_millis(250)));
        assert!(timeout("1ms").unwrap_err().contains("10ms"));
        assert!(timeout("soon").unwrap_err().contains("duration"));
    }
}
