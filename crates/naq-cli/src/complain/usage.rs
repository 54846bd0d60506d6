//! A command line that can't be understood: clap's errors in two lines.

use std::error::Error as _;
use std::ffi::OsString;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{ArgMatches, ColorChoice, Command};

use super::Failure;

/// What is wrong with a command line, and what to try; with when to use colour,
/// as far as the line says so.
pub(crate) fn not_understood(
    command: Command,
    line: impl IntoIterator<Item = OsString>,
    error: &clap::Error,
) -> (Failure, ColorChoice) {
    let understood = command.clone().ignore_errors(true).try_get_matches_from(line).ok();
    let color = understood.as_ref().and_then(|line| line.get_one::<ColorChoice>("color").copied());
    let place = Place::of(command, understood.as_ref());
    let failure = Failure::usage(what(error, &place), hint(error, &place));
    (failure, color.unwrap_or(ColorChoice::Auto))
}

/// How the help of the command that a line got to is asked for: `naq help kv put`.
pub(crate) fn help_of(command: Command, line: impl IntoIterator<Item = OsString>) -> String {
    let understood = command.clone().ignore_errors(true).try_get_matches_from(line).ok();
    Place::of(command, understood.as_ref()).help()
}

/// The command that the line got to.
struct Place {
    command: Command,
    path: String,
}

impl Place {
    fn of(mut command: Command, line: Option<&ArgMatches>) -> Self {
        let mut path = command.get_name().to_owned();
        let mut sub = line.and_then(ArgMatches::subcommand);
        while let Some((name, line)) = sub {
            let Some(below) = command.find_subcommand(name).cloned() else { break };
            command = below;
            path = format!("{path} {name}");
            sub = line.subcommand();
        }
        Self { command, path }
    }

    /// `naq help kv put`.
    fn help(&self) -> String {
        let (name, below) = self.path.split_once(' ').unwrap_or((&self.path, ""));
        format!("{name} help {below}").trim_end().to_owned()
    }

    /// `naq kv put [OPTIONS] <BUCKET> <KEY> <VALUE>`.
    fn usage(&self) -> String {
        let mut command = self.command.clone().bin_name(&self.path);
        let usage = command.render_usage().to_string();
        one_line(usage.trim_start_matches("Usage:"))
    }
}

fn what(error: &clap::Error, place: &Place) -> String {
    let text = |kind| text(error, kind);
    match error.kind() {
        ErrorKind::InvalidSubcommand => {
            format!("`{}` has no command {:?}", place.path, text(ContextKind::InvalidSubcommand))
        }
        ErrorKind::MissingSubcommand | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
            format!("`{}` needs a command behind it", place.path)
        }
        ErrorKind::MissingRequiredArgument => {
            let missing = list(error, ContextKind::InvalidArg).join(" and ");
            format!("`{}` needs {missing}", place.path)
        }
        ErrorKind::ArgumentConflict => {
            let others = list(error, ContextKind::PriorArg);
            let others = match &others[..] {
                [] => "others here".to_owned(),
                [one] => one.clone(),
                many => format!("any of {}", many.join(", ")),
            };
            format!("{} can't be used with {others}", text(ContextKind::InvalidArg))
        }
        ErrorKind::InvalidValue if text(ContextKind::InvalidValue).is_empty() => {
            format!("{} needs a value", text(ContextKind::InvalidArg))
        }
        ErrorKind::InvalidValue | ErrorKind::ValueValidation => {
            let value = text(ContextKind::InvalidValue);
            let option = text(ContextKind::InvalidArg);
            let rule = error.source().map_or_else(String::new, |rule| format!(": {rule}"));
            one_line(&format!("{value:?} is no value of {option}{rule}"))
        }
        ErrorKind::UnknownArgument => {
            format!("`{}` has no {}", place.path, text(ContextKind::InvalidArg))
        }
        _ => first_paragraph(error),
    }
}

fn hint(error: &clap::Error, place: &Place) -> String {
    let help = format!("`{}` shows what there is, with examples", place.help());
    let valid = list(error, ContextKind::ValidValue);
    match error.kind() {
        ErrorKind::InvalidSubcommand => {
            match list(error, ContextKind::SuggestedSubcommand).first() {
                Some(near) => format!("did you mean `{} {near}`? {help}", place.path),
                None => help,
            }
        }
        ErrorKind::MissingSubcommand | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
            let names = place.command.get_subcommands().map(Command::get_name);
            format!("one of {}; {help}", names.collect::<Vec<_>>().join(", "))
        }
        ErrorKind::MissingRequiredArgument => format!("`{}`; {help}", place.usage()),
        ErrorKind::UnknownArgument => match list(error, ContextKind::SuggestedArg).first() {
            Some(near) => format!("did you mean {near}? {help}"),
            None => help,
        },
        _ if !valid.is_empty() => format!("one of {}", valid.join(", ")),
        _ => help,
    }
}

/// What clap says before it goes on to usage and tips.
fn first_paragraph(error: &clap::Error) -> String {
    let text = error.render().to_string();
    let first = text.split("\n\n").next().unwrap_or_default();
    one_line(first.trim_start_matches("error:"))
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn text(error: &clap::Error, kind: ContextKind) -> String {
    list(error, kind).join(" ")
}

fn list(error: &clap::Error, kind: ContextKind) -> Vec<String> {
    match error.get(kind) {
        Some(ContextValue::String(one)) => vec![one.clone()],
        Some(ContextValue::Strings(many)) => many.clone(),
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;
    use crate::cli::Cli;
    use crate::output::Paint;

    fn told(line: &str) -> String {
        let line: Vec<OsString> = line.split(' ').map(OsString::from).collect();
        let error = Cli::command().try_get_matches_from(line.clone()).unwrap_err();
        let mut text = Vec::new();
        let (failure, _) = not_understood(Cli::command(), line, &error);
        failure.tell(&mut text, Paint::plain());
        String::from_utf8(text).unwrap()
    }

    #[test]
    fn every_error_is_two_lines_and_names_the_help_of_its_command() {
        for (line, what, try_this) in [
            ("naq stats --nonsense", "`naq stats` has no --nonsense", "`naq help stats`"),
            ("naq --nonsense stats", "`naq` has no --nonsense", "`naq help`"),
            ("naq tial", "`naq` has no command \"tial\"", "did you mean `naq tail`?"),
            ("naq kv gett", "`naq kv` has no command \"gett\"", "did you mean `naq kv get`?"),
            ("naq kv", "`naq kv` needs a command behind it", "one of buckets, create"),
            (
                "naq kv get",
                "`naq kv get` needs <BUCKET> and <KEY>",
                "`naq kv get [OPTIONS] <BUCKET",
            ),
            ("naq --output xml stats", "\"xml\" is no value of --output", "one of table, json"),
            ("naq stats --sinc 1h", "`naq stats` has no --sinc", "did you mean --since?"),
            ("naq stats --since", "--since <TIME> needs a value", "`naq help stats`"),
            (
                "naq --timeout 0s stats",
                "--timeout <DURATION>: must be from 10ms",
                "`naq help stats`",
            ),
            ("naq log x --type y", "[FILE] can't be used with any of --type", "`naq help log`"),
        ] {
            let told = told(line);
            assert_eq!(told.lines().count(), 2, "{told}");
            let (first, second) = told.split_once('\n').unwrap();
            assert!(first.contains(what), "{line}: {told}");
            assert!(second.contains(try_this), "{line}: {told}");
        }
    }

    #[test]
    fn the_help_is_that_of_the_command() {
        let help = |line: &str| help_of(Cli::command(), line.split(' ').map(OsString::from));
        assert_eq!(help("naq --utc kv put b k v --ttl 1ms"), "naq help kv put");
        assert_eq!(help("naq"), "naq help");
    }

    #[test]
    fn the_line_s_wish_for_colour_is_heard() {
        let line = ["naq", "--color", "always", "stats", "--nonsense"].map(OsString::from);
        let error = Cli::command().try_get_matches_from(line.clone()).unwrap_err();
        assert_eq!(not_understood(Cli::command(), line, &error).1, ColorChoice::Always);
    }
}
