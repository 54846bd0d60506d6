//! x
use super::{Context, Outcome};
/// x
#[derive(Debug, clap::Args)]
#[command(after_help = "naq doctor ")]
pub(crate) struct Args {}
/// x
pub(crate) async fn run(_: &mut Context, _: Args) -> Outcome {
    Ok(crate::exit::Exit::Done)
}
