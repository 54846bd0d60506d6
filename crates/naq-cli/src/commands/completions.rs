//! `naq completions SHELL`.

use clap::CommandFactory;
use clap_complete::Shell;

use super::{Context, Outcome};
use crate::cli::Cli;
use crate::exit::Exit;

/// Options of `naq completions`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  naq completions bash > ~/.local/share/bash-completion/completions/naq
  naq completions zsh > ~/.zfunc/_naq
  naq completions fish > ~/.config/fish/completions/naq.fish")]
pub(crate) struct Args {
    /// The shell
    shell: Shell,
}

/// Writes the completions to standard output.
pub(crate) fn run(context: &mut Context, args: &Args) -> Outcome {
    // Into memory first: the generator panics when it can't write.
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "naq", &mut script);
    context.output.bytes(&script)?;
    Ok(Exit::Done)
}
