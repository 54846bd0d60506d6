//! What a digest leaves out is read again where the log still has its block, whatever it lacks of
//! others.

use std::sync::Arc;

use naq_core::events::{Event, EventQuery, TopErrors, TopErrorsRequest};
use naq_core::jetstream::JetStream;
use naq_events::EventService;
use naq_tests::backend;
use naq_tests::behaviours::block_on;
use naq_tests::own_log::{Keeps, OwnLog, Payload};
use naq_tests::server::shared;

const BLOCK: u64 = 65_536;
/// So many errors of a block are told apart.
const TOLD: u64 = 1_000;
/// So many a block has here, each of which occurs once.
const ERRORS: u64 = TOLD + 100;

#[test]
fn a_block_that_is_whole_is_read_again_whatever_others_lack_in_memory() {
    block_on(holds(super::memory()));
}

#[test]
fn a_block_that_is_whole_is_read_again_whatever_others_lack_on_a_server() {
    block_on(async { holds(backend::connect(&shared().await.url()).await).await });
}

fn payload(event: &Event) -> Vec<u8> {
    serde_json::to_vec(event).unwrap()
}

/// Heartbeats and then errors, none of which is in another block.
fn block(number: u64, heartbeat: &'static str) -> Vec<Payload> {
    let digits = |n: u64| n.to_string().bytes().map(|it| char::from(it - b'0' + b'k')).collect();
    let mut messages = vec![(heartbeat, payload(&Event::new(heartbeat))); 3];
    messages.extend((0..ERRORS).map(|n| {
        let error: String = digits(number * ERRORS + n);
        ("job_failed", payload(&Event::job_failed("job", error, 1.0)))
    }));
    messages
}

/// The end of a block and the beginning of the next one, and a service that has
/// digested both.
async fn digested(js: &Arc<dyn JetStream>) -> (OwnLog, Arc<EventService>) {
    let own = OwnLog::new(Arc::clone(js), "worn");
    let blocks = [block(0, "first_heartbeat"), block(1, "second_heartbeat")];
    let stream = EventService::stream_config(&own.config).unwrap();
    let first_sequence = BLOCK + 1 - blocks[0].len() as u64;
    js.create_stream(stream.with_first_sequence(first_sequence)).await.unwrap();
    let service = own.service(Keeps::Digests).await;
    own.store(blocks.concat()).await;
    let answer = ask(&service).await;
    assert_eq!((answer.total, answer.unlisted), (2 * ERRORS, 0), "read, and not digested before");
    (own, service)
}

async fn ask(service: &EventService) -> TopErrors {
    service.top_errors(TopErrorsRequest::default()).await.unwrap()
}

async fn holds(js: Arc<dyn JetStream>) {
    // What both blocks come to is read again: their digests leave out a hundred errors each.
    let (_, service) = digested(&js).await;
    let answer = ask(&service).await;
    assert_eq!((answer.total, answer.unlisted), (2 * ERRORS, 0));
    assert_eq!(answer.basis.read, 2 * (ERRORS + 3));
    for worn in ["first_heartbeat", "second_heartbeat"] {
        let (own, service) = digested(&js).await;
        own.purge_type(worn).await;
        assert_eq!(own.info().await.state.num_deleted > 0, worn == "second_heartbeat");
        // Of the worn block it is seen at its first message that not all of it is there.
        for read in [1, 0] {
            let answer = ask(&service).await;
            assert_eq!((answer.total + answer.unlisted, answer.unlisted), (2 * ERRORS, 100));
            let read = if worn == "first_heartbeat" { 0 } else { read };
            assert_eq!(answer.basis.read, ERRORS + 3 + read, "{worn}");
            assert_eq!(
                answer.basis.holes,
                BLOCK - (ERRORS + 3),
                "those before the log's beginning"
            );
        }
        // Another process has the digest of the first block alone.
        let other = own.service(Keeps::Digests).await;
        let answer = ask(&other).await;
        let unlisted = if worn == "first_heartbeat" { 100 } else { 0 };
        assert_eq!((answer.total + answer.unlisted, answer.unlisted), (2 * ERRORS, unlisted));
    }
}
