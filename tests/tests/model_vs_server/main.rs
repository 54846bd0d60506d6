//! naq-memory's model against a real server: random operations, the same answers.
//!
//! Both get the same stream and the same sequence of operations; after each one
//! all that can be seen of the answer must be equal, moments in time apart. What
//! was found to differ is shrunk to the least that does.
//!
//! `NAQ_SEED` repeats a run (a failure prints its seed), `NAQ_CASES` sets how many
//! sequences are tried.
#![allow(clippy::panic, clippy::unwrap_used, reason = "a test fails by panicking")]

mod answer;
mod operation;
mod run;
mod setup;

use std::env;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use naq_core::jetstream::JetStream;
use naq_memory::MemoryJetStream;
use naq_tests::backend;
use naq_tests::names;
use naq_tests::server::NatsServer;
use proptest::collection::vec;
use proptest::prelude::{Strategy, TestCaseError};
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

use answer::Answer;
use operation::Operation;
use run::Run;
use setup::Setup;

/// Enough to find what the suite has not thought of, little enough for every run.
const CASES: u32 = 48;
const OPERATIONS: usize = 40;

#[test]
fn the_model_answers_as_the_server_does() {
    let seed = number("NAQ_SEED").unwrap_or_else(fresh_seed);
    let cases = number("NAQ_CASES").and_then(|cases| u32::try_from(cases).ok()).unwrap_or(CASES);
    let config =
        Config { cases, max_shrink_iters: 400, failure_persistence: None, ..Config::default() };
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &bytes);

    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let server = runtime.block_on(NatsServer::start());
    let on_server = runtime.block_on(backend::connect(&server.url()));
    let in_memory: Arc<dyn JetStream> = Arc::new(MemoryJetStream::new());

    let case = (setup::any(), vec(operation::any(), 1..OPERATIONS));
    let outcome = TestRunner::new_with_rng(config, rng)
        .run(&case.prop_map(|(setup, operations)| Case { setup, operations }), |case| {
            runtime.block_on(case.compare(&on_server, &in_memory))
        });
    if let Err(error) = outcome {
        panic!("{error}\nrepeat it with NAQ_SEED={seed}");
    }
}

/// A stream and what is done to it.
#[derive(Debug)]
struct Case {
    setup: Setup,
    operations: Vec<Operation>,
}

impl Case {
    async fn compare(
        &self,
        on_server: &Arc<dyn JetStream>,
        in_memory: &Arc<dyn JetStream>,
    ) -> Result<(), TestCaseError> {
        let name = names::unique("model");
        let mut server = Run::new(Arc::clone(on_server), &name);
        let mut memory = Run::new(Arc::clone(in_memory), &name);
        let config = self.setup.config(&name);
        equal("create", &server.create(config.clone()).await, &memory.create(config).await)?;
        for (step, operation) in self.operations.iter().enumerate() {
            let what = format!("step {step}, {operation:?}");
            equal(&what, &server.apply(operation).await, &memory.apply(operation).await)?;
        }
        for operation in Operation::inventory() {
            let what = format!("in the end, {operation:?}");
            equal(&what, &server.apply(&operation).await, &memory.apply(&operation).await)?;
        }
        server.remove().await;
        memory.remove().await;
        Ok(())
    }
}

fn equal(what: &str, server: &[Answer], memory: &[Answer]) -> Result<(), TestCaseError> {
    if server == memory {
        return Ok(());
    }
    let at = server.iter().zip(memory).take_while(|(s, m)| s == m).count();
    let line = |answers: &[Answer]| {
        answers.get(at).map_or_else(|| "nothing".to_owned(), ToString::to_string)
    };
    Err(TestCaseError::fail(format!(
        "{what}: answer {at} differs\n  server: {}\n  memory: {}",
        line(server),
        line(memory)
    )))
}

fn number(variable: &str) -> Option<u64> {
    let text = env::var(variable).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{variable} must be a number, not {text:?}")))
}

fn fresh_seed() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    u64::try_from(now.as_nanos() & u128::from(u64::MAX)).unwrap()
}
