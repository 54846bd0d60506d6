//! Streams that are full, emptied, made anew or gone, and events that they don't take.

use async_nats::jetstream::stream::Config;
use futures::StreamExt;
use naq_core::ErrorKind;
use naq_core::events::{EventItem, EventQuery, EventSink, ReadEvents};
use naq_tests::faults::{Load, PATIENCE, Scene, quick, rounds};
use naq_tests::proxy::FaultProxy;
use naq_tests::server::NatsServer;
use naq_tests::wait;

use crate::words::Words;
use crate::{assuming, events, foreign, js, ms, secs};

/// How often the server gets an event within so long, stored or not.
async fn publishes_within(scene: &Scene, span: std::time::Duration) -> usize {
    let client = scene.server.client().await;
    let mut seen = client.subscribe("events.>").await.unwrap();
    client.flush().await.unwrap();
    let mut count = 0;
    let _ = tokio::time::timeout(span, async {
        while let Some(message) = seen.next().await {
            // The words about a batch have nothing to store.
            count += usize::from(!message.payload.is_empty());
        }
    })
    .await;
    count
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_stream_is_tried_seldom_and_takes_all_once_there_is_room() {
    rounds("stream full", async |mut round| {
        let scene = Scene::new().await;
        let takes_batches = round.random.bool();
        let max_bytes = round.random.i64(20_000..50_000);
        let full = Config { max_bytes, ..foreign(takes_batches) };
        js(&scene).await.create_stream(full).await.unwrap();
        let mut config = assuming(&scene.server.url());
        // As it is unless told otherwise: this is about the load on the server.
        config.events =
            config.events.with_retry_backoff_max(secs(5)).with_retry_backoff_min(ms(100));
        let (program, producer) = scene.program("p1", config).await;
        let mut load = Load::steady(round.seed).at_once().ending_after(100);
        load.jobs = 2;
        let logging = producer.load(&load);
        wait::until("the stream to be full", PATIENCE, async || {
            producer.events.counters().retried > 4
        })
        .await;
        let span = round.choose(secs(2), secs(4));
        let seen = publishes_within(&scene, span).await;
        // Two jobs: two that may stand at the head, each tried twice a second.
        let most = 2 * (2 * usize::try_from(span.as_secs()).unwrap() + 1);
        assert!(seen <= most, "{seen} publishes in {span:?}");
        js(&scene).await.update_stream(&foreign(takes_batches)).await.unwrap();
        logging.done().await;
        scene.ends_well(program, &producer).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn full_streams_and_accounts_end_events_with_their_own_kind() {
    rounds("stream and account full", async |mut round| {
        for account in [false, true] {
            let takes_batches = round.random.bool();
            let room = round.random.u64(50_000..300_000);
            let server = NatsServer::builder();
            let server = if account { server.jetstream_limits(1 << 20, room) } else { server };
            let scene = Scene::on(server).await;
            let js = js(&scene).await;
            let max_bytes = if account { -1 } else { room as i64 };
            js.create_stream(Config { max_bytes, ..foreign(takes_batches) }).await.unwrap();
            let config = events(assuming(&scene.server.url()), |events| {
                events.with_delivery_timeout(ms(1_500))
            });
            let (program, producer) = scene.program("p1", config).await;
            let mut n = 0;
            let error = loop {
                // Some by the batch, some beside it.
                producer.log("job0", n, round.random.usize(500..8_000)).await.unwrap();
                if let Err(error) = producer.log_acked("job1", n, 8_000).await {
                    break error;
                }
                n += 1;
                assert!(n * 8_000 < room, "there is room for more than there is");
            };
            assert_eq!(error.kind(), ErrorKind::LimitReached, "account: {account}");
            // Not before all is quiet: there may be room for the word of the loss, or none.
            program.services.stop_within(secs(5)).await.unwrap();
            producer.count();
            scene.judge().await;
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deleted_stream_is_told_to_writers_and_readers_and_never_made_anew() {
    rounds("stream deleted", async |mut round| {
        let scene = Scene::new().await;
        let config =
            events(quick(&scene.server.url()), |events| events.with_delivery_timeout(ms(1_500)));
        let (program, producer) = scene.program("p1", config).await;
        producer.log_acked("before", 0, 10).await.unwrap();
        let mut reading = program.events.read_events(ReadEvents::live());
        let logging = producer.load(&Load::steady(round.seed).all_told());
        round.sometime(ms(300)).await;
        let js = js(&scene).await;
        js.delete_stream("events").await.unwrap();
        scene.book.write(&naq_tests::ledger::Line::Emptied);
        let end = wait::within("the reading's end", secs(15), async {
            loop {
                match reading.next().await.unwrap() {
                    Ok(EventItem::Event(_) | EventItem::CaughtUp { .. }) => {}
                    Ok(EventItem::Resumed { .. } | EventItem::Gap { .. }) => {}
                    Ok(other) => panic!("{other:?}"),
                    Err(error) => return error,
                }
            }
        })
        .await;
        assert!(end.is(ErrorKind::NotFound), "{end:?}");
        logging.end().await;
        let error = producer.log_acked("after", 0, 10).await.unwrap_err();
        assert!(error.is(ErrorKind::NotFound), "{error:?}");
        assert!(js.get_stream("events").await.is_err(), "somebody made the stream anew");
        producer.count();
        scene.judge_without_stream();
        program.services.stop().await.unwrap();
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_made_anew_or_purged_under_a_producer_takes_what_follows() {
    rounds("stream made anew", async |mut round| {
        for anew in [true, false] {
            let scene = Scene::new().await;
            let (program, producer) = scene.program("p1", quick(&scene.server.url())).await;
            let logging = producer.load(&Load::steady(round.seed));
            round.sometime(ms(500)).await;
            let js = js(&scene).await;
            if anew {
                js.delete_stream("events").await.unwrap();
                round.sometime(ms(200)).await;
                js.create_stream(foreign(round.random.bool())).await.unwrap();
            } else {
                js.get_stream("events").await.unwrap().purge().await.unwrap();
            }
            scene.book.write(&naq_tests::ledger::Line::Emptied);
            round.sometime(ms(500)).await;
            logging.end().await;
            producer.log_acked("after", 0, 10).await.unwrap();
            scene.ends_well(program, &producer).await;
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sealed_stream_refuses_with_a_kind_and_the_rest_stands() {
    rounds("stream sealed", async |mut round| {
        let scene = Scene::new().await;
        let (program, producer) = scene.program("p1", quick(&scene.server.url())).await;
        let logging = producer.load(&Load::steady(round.seed).all_told());
        wait::until("events to be stored", PATIENCE, async || producer.events.counters().acked > 0)
            .await;
        round.sometime(ms(500)).await;
        let js = js(&scene).await;
        let mut config = js.get_stream("events").await.unwrap().cached_info().config.clone();
        config.sealed = true;
        js.update_stream(&config).await.unwrap();
        round.sometime(ms(200)).await;
        logging.end().await;
        let error = producer.log_acked("after", 0, 10).await.unwrap_err();
        assert!(error.is(ErrorKind::PermissionDenied), "{error:?}");
        producer.count();
        scene.judge().await;
        program.services.stop().await.unwrap();
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_event_over_the_servers_limit_fails_alone_and_the_connection_stays() {
    rounds("payloads at the limit", async |mut round| {
        let scene = Scene::on(NatsServer::builder().max_payload(20_000)).await;
        let proxy = FaultProxy::start(scene.server.address()).await;
        let (program, producer) = scene.program("p1", quick(&proxy.url())).await;
        let mut too_large = 0;
        // Across the limit byte by byte, and far beyond it; small ones between.
        let sizes = (19_300..20_000).step_by(7).chain([20_000, 20_001, 500_000]);
        let mut sizes: Vec<_> = sizes.flat_map(|pad| [pad, 10]).collect();
        round.random.shuffle(&mut sizes);
        for (n, pad) in (0..).zip(sizes) {
            match producer.log("job1", n, pad).await {
                Ok(()) => {}
                Err(error) => {
                    assert!(error.is(ErrorKind::TooLarge), "{error:?}");
                    assert!(pad > 10, "a small one was refused: {error:?}");
                    too_large += 1;
                }
            }
        }
        assert!((10..103).contains(&too_large), "{too_large} were too large");
        scene.ends_well(program, &producer).await;
        assert_eq!(proxy.accepted(), 1, "the connection broke");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn poison_in_the_middle_fails_alone_and_its_neighbours_are_stored() {
    rounds("poison", async |round| {
        let scene = Scene::new().await;
        let js = js(&scene).await;
        js.create_stream(Config {
            max_message_size: 2_000,
            ..foreign(round.seed.is_multiple_of(2))
        })
        .await
        .unwrap();
        let (program, producer) = scene.program("p1", assuming(&scene.server.url())).await;
        let mut load = Load::steady(round.seed).all_told().at_once().ending_after(150);
        // Most fit, some don't, and naq can't know which: it may not ask for the stream.
        load.pad = 2_000;
        producer.load(&load).done().await;
        producer.log_acked("after", 0, 10).await.unwrap();
        let counters = producer.events.counters();
        assert!(counters.failed > 0 && counters.acked > counters.failed, "{counters:?}");
        producer.count();
        let case = scene.judge().await;
        let kinds: Vec<_> = case
            .history
            .events
            .values()
            .flat_map(|fate| &fate.outcomes)
            .filter_map(|outcome| match outcome {
                naq_tests::ledger::Outcome::Failed(kind) => Some(kind.as_str()),
                _ => None,
            })
            .collect();
        assert!(kinds.iter().all(|kind| *kind == "too large"), "{kinds:?}");
        program.stop().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_producer_that_rests_goes_on_where_it_was() {
    rounds("idle", async |mut round| {
        let mut scene = Scene::new().await;
        let (program, producer) = scene.program("p1", quick(&scene.server.url())).await;
        let seed = round.seed;
        let burst = async |jobs: &str| {
            let mut load = Load::steady(seed).at_once().ending_after(50);
            load.job_prefix = jobs.to_owned();
            producer.load(&load).done().await;
        };
        burst("first").await;
        // Longer than a server remembers a batch, at full length.
        round.rest(ms(300), secs(11)).await;
        round.sometime(secs(1)).await;
        burst("second").await;
        scene.server.restart().await;
        burst("third").await;
        scene.ends_well(program, &producer).await;
    })
    .await;
}

/// Begins so many fast batches that nobody ends; each stores one message.
async fn occupy_batches(scene: &Scene, batches: usize) {
    let client = scene.server.client().await;
    for batch in 0..batches {
        let reply = format!("{}.other{batch}.10.fail.1.0.$FI", client.new_inbox());
        client.publish_with_reply("events.other", reply, "{}".into()).await.unwrap();
    }
    client.flush().await.unwrap();
    let js = js(scene).await;
    wait::until("the batches to have begun", PATIENCE, async || {
        let stream = js.get_stream("events").await.unwrap();
        stream.cached_info().state.messages >= batches as u64
    })
    .await;
    // Not the ledger's: they have done what they are for.
    let stream = js.get_stream("events").await.unwrap();
    stream.purge().filter("events.other").await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_others_have_all_the_batches_events_are_stored_all_the_same() {
    rounds("no batch left", async |round| {
        // It remembers them for longer than anybody here waits.
        let scene = Scene::on(NatsServer::builder().batch_timeout(10 * PATIENCE)).await;
        let config = quick(&scene.server.url());
        let (setup, _) = scene.program("p0", config.clone()).await;
        setup.stop().await;
        // As many as a server takes of one stream.
        occupy_batches(&scene, 1_000).await;
        let words = Words::listen(&scene).await;
        let (program, producer) = scene.program("p1", config).await;
        producer.load(&Load::steady(round.seed).ending_after(100)).done().await;
        scene.ends_well(program, &producer).await;
        assert!(words.told().refused > 0, "there was room for one more");
    })
    .await;
}
