//! x
use super::{Context, Outcome};
pub(crate) const TEMPLATE: &str = "{bar}";
/// x
#[derive(Debug, clap::Args)]
#[command(after_help = "naq demo ")]
pub(crate) struct Args {}
/// x
pub(crate) async fn run(_: &mut Context, _: Args) -> Outcome {
    Ok(crate::exit::Exit::Done)
}
