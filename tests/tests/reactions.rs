//! Reactions: each behaviour in memory and on nats-server, and what only
//! processes and breaks can show.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

#[path = "reactions/command.rs"]
mod command;
#[path = "reactions/dead_letters.rs"]
mod dead_letters;
#[allow(dead_code, reason = "a test needs no `main`")]
#[path = "../../crates/naq-events/examples/react.rs"]
mod example;
#[path = "reactions/groups.rs"]
mod groups;
#[path = "reactions/handling.rs"]
mod handling;
#[path = "reactions/ledger.rs"]
mod ledger;
#[path = "reactions/once.rs"]
mod once;
#[path = "reactions/processes.rs"]
mod processes;
#[path = "reactions/rights.rs"]
mod rights;
#[path = "reactions/support.rs"]
mod support;
#[path = "reactions/trouble.rs"]
mod trouble;

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use naq_core::jetstream::JetStream;
use naq_memory::MemoryJetStream;
use naq_tests::server::{NatsServer, Version, shared};
use naq_tests::{backend, wait};

/// What no behaviour needs.
const DEADLINE: Duration = Duration::from_secs(90);

/// Each behaviour as a test in memory, on the newest server and on the oldest.
macro_rules! behaviours {
    ($($theme:ident { $($name:ident),* $(,)? })*) => {
        mod memory {
            $($(#[test] fn $name() {
                let js: super::Arc<dyn super::JetStream> = super::Arc::new(super::MemoryJetStream::new());
                super::run(super::$theme::$name(js));
            })*)*
        }
        mod server_2_15 {
            $($(#[test] fn $name() {
                super::run(async {
                    let js = super::backend::connect(&super::shared().await.url()).await;
                    super::$theme::$name(js).await;
                });
            })*)*
        }
        #[test]
        fn server_2_10_holds_every_behaviour() {
            run(async {
                let server = NatsServer::builder().version(Version::V2_10).start().await;
                $($(
                    let js = backend::connect(&server.url()).await;
                    wait::within(stringify!($name), DEADLINE, $theme::$name(js)).await;
                )*)*
            });
        }
    };
}

behaviours! {
    handling {
        every_event_that_the_filter_means_is_handled_once,
        a_group_goes_on_where_it_stood,
        a_group_starts_where_it_is_told,
        two_members_share_the_events,
        two_groups_get_every_event_each,
        a_retry_comes_again_with_its_tries_counted,
        a_try_past_its_deadline_has_failed,
        a_panic_fails_one_try_alone,
        long_work_is_not_given_to_another_member,
        events_of_one_entity_are_handled_in_order_through_retries,
        a_stop_finishes_what_is_under_way_and_gives_back_the_rest,
        what_a_member_was_given_and_did_not_begin_is_handled_all_the_same,
        an_event_whose_member_dies_each_time_is_dead_after_its_tries,
        wrong_groups_filters_and_options_are_refused_by_field,
    }
    dead_letters {
        a_rejected_event_is_kept_byte_for_byte,
        an_event_that_fails_as_often_as_allowed_is_dead,
        what_is_no_event_is_dead_by_default,
        a_handler_may_take_what_is_no_event,
        a_replay_goes_to_its_group_alone,
        a_replay_that_nobody_would_be_handed_is_refused,
        what_leaves_no_room_for_its_cause_stays_in_the_log,
        replays_of_a_group_in_order_come_one_at_a_time,
        a_dropped_letter_is_gone,
        a_letter_that_was_dropped_is_kept_anew_when_its_event_comes_again,
        letters_are_selected_by_group_type_cause_and_time,
        no_letters_are_an_empty_answer,
    }
    groups {
        a_group_tells_how_it_stands,
        a_paused_group_handles_nothing_until_it_is_resumed,
        a_pause_holds_for_members_that_are_waiting_for_events,
        a_group_is_moved_and_a_dry_run_moves_nothing,
        another_filter_or_order_is_a_conflict,
        a_removed_group_ends_its_members,
        a_group_that_is_not_there_is_not_found,
        a_member_may_use_a_consumer_that_an_operator_made,
        a_consumer_that_would_lose_events_is_refused,
        a_consumer_that_hands_out_few_at_a_time_keeps_its_members_at_work,
        many_members_of_a_consumer_that_hands_out_few_do_not_wait_for_one_another,
    }
    once {
        work_that_is_done_is_not_done_again,
        work_that_failed_is_done_again,
        doubt_is_left_or_repeated,
    }
    trouble {
        a_log_made_anew_ends_the_member_with_a_conflict,
        a_consumer_deleted_under_a_member_ends_it,
        a_dead_letter_that_can_not_be_stored_keeps_its_event,
    }
}

#[test]
fn the_example_calls_the_receiver_once_for_each_failure_that_it_takes() {
    run(async {
        let lines = example::run().await.unwrap();
        assert_eq!(
            lines,
            [
                r#""job-1" failed: "no route to host" -> 503 Service Unavailable"#,
                r#""job-1" failed: "no route to host" -> 200 OK"#,
                r#""job-3" failed: "disk full" -> 200 OK"#,
                "2 done, 1 tried again, 0 given back",
            ]
        );
    });
}

fn run(behaviour: impl Future<Output = ()>) {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    runtime.unwrap().block_on(wait::within("the behaviour", DEADLINE * 8, behaviour));
}
