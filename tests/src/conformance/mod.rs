//! What every [`JetStream`] does, one behaviour a function.
//!
//! Each theme is a file, each of its public functions a behaviour: it takes any
//! JetStream, makes streams of its own, and asserts exact forms (sequences,
//! flags, kinds of error and what they name), not round trips alone. The suite
//! runs on nats-server first, and naq-memory follows. Where servers differ, a
//! behaviour asserts both sides by [`Capabilities`]: with the capability what it
//! does, without it `Unsupported`.
//!
//! [`for_each_behaviour!`](crate::for_each_behaviour) is the list; a test holds
//! that none is missing.
//!
//! [`Capabilities`]: naq_core::jetstream::Capabilities
#![allow(missing_docs, reason = "a behaviour's name is its sentence")]
#![allow(clippy::needless_pass_by_value, reason = "a behaviour owns its JetStream: it is spawned")]

pub mod acks;
pub mod atomic;
pub mod consumers;
pub mod deduplication;
pub mod expected;
pub mod fast_batch;
pub mod get;
pub mod get_many;
pub mod limits;
pub mod publish;
pub mod publish_many;
pub mod purge;
pub mod read_bounds;
pub mod read_filters;
pub mod read_recovery;
pub mod server;
pub mod streams;
mod support;
pub mod ttl;
pub mod update;

use std::sync::Arc;

use naq_core::jetstream::JetStream;

use crate::list_behaviours;

/// What a behaviour is shown on.
type On = Arc<dyn JetStream>;

crate::for_each_behaviour!(list_behaviours);

/// Hands all behaviours to a macro, as `theme { behaviour, … }`.
#[macro_export]
macro_rules! for_each_behaviour {
    ($with:ident) => {
        $with! {
            server {
                the_server_tells_who_it_is,
                capabilities_are_those_of_the_version,
            }
            publish {
                sequences_count_up_from_one,
                what_is_published_is_what_is_stored,
                an_empty_payload_is_stored,
                a_message_without_headers_is_stored_without_any,
                all_values_of_a_header_are_kept_in_order,
                header_names_keep_their_case_and_are_told_apart_by_it,
                a_message_id_is_stored_as_a_header,
                headers_that_would_break_the_protocol_are_refused,
                subjects_that_no_message_can_have_are_refused,
                a_subject_that_no_stream_takes_is_not_found,
                a_payload_of_the_servers_limit_is_stored_and_one_byte_more_is_too_large,
                headers_count_towards_the_servers_limit,
                a_star_inside_a_token_is_no_wildcard,
            }
            publish_many {
                answers_come_in_the_order_of_the_messages,
                no_messages_give_no_answers,
                a_failure_does_not_stop_the_rest,
                a_message_id_that_comes_twice_is_stored_once,
                messages_for_several_streams_go_each_to_its_own,
                messages_are_taken_only_as_answers_make_room,
            }
            fast_batch {
                a_fast_batch_is_stored_in_order_and_answered_whole,
                few_messages_of_a_fast_batch_are_answered_while_more_may_come,
                a_fast_batch_of_nothing_has_no_answers,
                a_refused_message_ends_a_fast_batch_before_it,
                a_refused_first_message_stores_nothing_of_a_fast_batch,
                a_full_stream_ends_a_fast_batch,
                a_message_id_that_is_known_is_skipped_in_a_fast_batch,
                the_first_message_of_a_confirmed_fast_batch_alone_has_its_id,
                a_closed_fast_batch_tells_what_is_stored_and_takes_no_more,
                a_fast_batch_whose_answers_nobody_wants_can_be_closed,
                a_fast_batch_that_nobody_knows_can_not_be_closed,
                what_is_no_id_of_a_fast_batch_is_refused,
                a_stream_that_does_not_allow_fast_batches_takes_none,
                fast_batches_on_one_stream_go_side_by_side,
            }
            deduplication {
                a_duplicate_message_id_answers_the_first_sequence,
                a_message_id_counts_for_the_whole_stream,
                message_ids_compare_byte_for_byte,
                a_message_id_is_free_again_after_the_window,
                a_message_id_outlives_its_message,
                a_refused_message_leaves_its_id_free,
                a_purge_forgets_no_message_id,
                the_window_is_two_minutes_or_the_maximum_age,
                a_window_longer_than_the_maximum_age_is_refused,
            }
            expected {
                the_last_sequence_is_compared,
                an_empty_stream_has_the_last_sequence_zero,
                the_last_sequence_of_the_subject_is_compared,
                a_subject_without_messages_has_the_last_sequence_zero,
                the_last_message_id_is_compared,
                the_stream_that_takes_the_message_is_compared,
                several_expectations_must_all_hold,
                a_repeated_compare_and_set_is_told_that_it_won,
                a_conflict_tells_the_stream_and_what_to_do,
            }
            atomic {
                an_atomic_batch_is_stored_in_a_row,
                an_atomic_batch_may_be_a_single_message,
                an_atomic_batch_keeps_headers_and_ids,
                a_failed_expectation_stores_nothing_of_an_atomic_batch,
                the_first_message_of_an_atomic_batch_may_expect_the_last_sequence,
                a_message_id_twice_in_an_atomic_batch_is_a_conflict,
                a_message_id_that_is_known_refuses_the_atomic_batch,
                one_bad_message_stores_nothing_of_an_atomic_batch,
                an_atomic_batch_obeys_the_streams_message_size,
                a_thousand_messages_are_an_atomic_batch_and_one_more_is_too_many,
                an_atomic_batch_of_nothing_is_refused,
                a_stream_that_does_not_allow_atomic_batches_takes_none,
                an_atomic_batch_is_for_one_stream,
            }
            ttl {
                a_message_goes_when_its_ttl_has_passed,
                a_message_that_never_expires_outlives_the_maximum_age,
                the_maximum_age_wins_over_a_longer_ttl,
                a_ttl_that_is_no_whole_number_of_seconds_is_refused,
                a_stream_that_does_not_allow_ttls_takes_no_message_with_one,
                a_marker_stands_where_the_last_message_of_a_subject_aged_away,
            }
            limits {
                a_full_stream_lets_the_oldest_messages_go,
                a_full_subject_lets_its_oldest_message_go,
                a_stream_full_of_bytes_lets_the_oldest_messages_go,
                old_messages_go_by_age,
                a_full_stream_that_discards_new_messages_refuses_them,
                a_stream_full_of_bytes_that_discards_new_messages_refuses_them,
                discarding_new_messages_leaves_a_full_subject_rolling,
                a_full_subject_can_refuse_too,
                a_message_over_the_streams_size_is_too_large,
                more_consumers_than_the_stream_allows_are_refused,
                a_rollup_replaces_the_messages_of_its_subject,
                a_rollup_of_all_replaces_the_whole_stream,
                a_stream_that_does_not_allow_rollups_refuses_them,
            }
            streams {
                an_unset_field_takes_the_servers_default,
                every_field_that_is_set_is_told_again,
                fast_ingest_is_allowed_where_the_server_can,
                a_stream_is_told_with_the_server_s_time,
                creating_an_equal_stream_again_changes_nothing,
                creating_a_stream_that_differs_is_refused,
                subjects_that_another_stream_takes_are_a_conflict,
                subjects_of_one_stream_that_overlap_are_refused,
                a_stream_without_subjects_takes_its_name,
                names_and_subjects_that_no_stream_can_have_are_refused,
                a_stream_that_is_not_there_is_not_found,
                a_deleted_stream_is_gone_with_messages_and_consumers,
                a_new_stream_is_empty,
                the_state_counts_what_is_there,
                bytes_count_subject_headers_and_payload,
                a_stream_can_begin_at_a_sequence,
                streams_are_listed_by_name_and_by_subject,
                a_listing_of_streams_has_more_than_one_page,
                a_stream_that_denies_them_refuses_purges_and_deletes,
            }
            update {
                an_update_keeps_what_it_does_not_set,
                an_update_that_sets_nothing_changes_nothing,
                an_update_takes_limits_away,
                an_update_replaces_the_subjects,
                an_update_merges_metadata,
                a_lower_limit_lets_the_oldest_messages_go,
                a_lower_limit_per_subject_lets_the_oldest_messages_go,
                what_can_not_be_changed_is_refused,
                an_update_to_subjects_of_another_stream_is_a_conflict,
                a_sealed_stream_is_read_only,
            }
            purge {
                a_purge_of_all_leaves_an_empty_stream_that_counts_on,
                a_purge_by_subject_leaves_the_others,
                a_purge_of_the_heads_subject_moves_the_first_sequence,
                a_purge_keeps_the_newest,
                a_purge_by_subject_keeps_the_newest_of_it,
                keeping_the_newest_none_purges_all,
                a_purge_goes_up_to_a_sequence,
                a_purge_by_subject_goes_up_to_a_sequence,
                a_purge_up_to_the_first_sequence_removes_nothing,
                a_purge_up_to_a_sequence_behind_the_last_removes_all,
                a_purge_by_something_that_is_no_filter_is_refused,
                a_deleted_message_leaves_a_hole,
                the_first_message_deleted_moves_the_first_sequence,
                the_last_message_deleted_leaves_the_last_sequence,
                a_message_that_is_not_there_can_not_be_deleted,
            }
            get {
                a_message_is_found_by_its_sequence,
                the_last_message_of_a_subject_is_found,
                the_next_message_of_a_subject_is_found,
                a_message_that_is_not_there_is_not_found,
                a_message_of_a_stream_that_is_not_there_is_not_found,
                who_answers_makes_no_difference_on_one_server,
                a_get_by_something_that_is_no_filter_is_refused,
                subjects_are_counted,
                a_stream_without_messages_has_no_subjects,
                subject_counts_come_in_pages,
            }
            get_many {
                sequences_are_answered_as_they_were_asked,
                many_sequences_are_answered,
                the_last_of_each_subject_is_answered_as_it_was_asked,
                the_last_of_more_subjects_than_one_request_can_name,
                the_first_ones_from_a_sequence_on,
                more_from_a_sequence_on_than_one_request_gives,
                an_empty_stream_has_nothing_from_any_sequence,
                who_answers_for_many_makes_no_difference_on_one_server,
                a_request_for_many_that_makes_no_sense_is_refused,
                many_messages_of_a_stream_that_is_not_there_are_not_found,
            }
            read_bounds {
                a_read_to_the_head_gives_all_and_ends,
                a_read_of_an_empty_stream_to_the_head_ends_at_once,
                the_head_is_where_it_stood_when_the_read_opened,
                a_read_to_the_head_ends_where_the_head_does_not_match,
                a_read_goes_on_live,
                a_read_of_an_empty_stream_is_caught_up_and_waits,
                a_read_starts_at_a_sequence,
                a_read_starts_at_a_sequence_in_the_future,
                a_read_starts_at_a_time,
                the_earliest_and_the_latest_time_are_times,
                a_read_of_what_is_new_leaves_the_past_away,
                a_read_of_the_last_per_subject_goes_on_live,
                the_last_per_subject_of_many_subjects,
                a_read_ends_behind_a_sequence,
                a_read_waits_for_the_sequence_that_ends_it,
                a_read_ends_behind_a_sequence_that_does_not_match,
                a_limit_ends_a_read,
                a_live_read_ends_at_its_limit,
                a_long_stream_is_read_in_order_without_gap_or_repeat,
                a_read_goes_from_the_past_into_the_present_without_a_seam,
            }
            read_filters {
                a_read_gives_what_matches_its_filter,
                several_filters_give_one_order,
                a_filter_and_what_lies_below_it_give_all_of_both,
                several_filters_go_from_the_past_into_the_present,
                several_filters_begin_and_end_where_one_does,
                many_messages_of_several_filters_come_in_one_order,
                filters_that_overlap_are_refused,
                what_is_no_filter_is_refused,
                a_filter_that_no_subject_of_the_stream_matches_gives_nothing,
                a_live_read_gives_what_matches_its_filters,
                a_read_of_headers_alone_leaves_the_payloads_away,
                a_read_gives_messages_whole,
                a_limit_of_none_gives_nothing,
            }
            read_recovery {
                what_the_stream_let_go_before_a_sequence_was_read_is_a_gap,
                a_read_from_the_beginning_has_no_gap,
                what_a_limit_let_go_is_a_gap,
                a_stream_purged_whole_is_a_gap_up_to_its_last_sequence,
                holes_behind_the_first_sequence_are_no_gaps,
                a_purge_of_the_heads_subject_is_a_gap,
                a_reader_that_the_stream_passes_is_told_the_gap,
                what_was_examined_is_no_gap_when_it_goes,
                a_reader_that_never_rests_is_caught_up_once,
                a_stream_that_is_not_there_can_not_be_read,
                a_stream_deleted_under_a_reader_is_not_found,
                a_stream_made_anew_under_a_reader_is_a_conflict,
                a_read_of_a_stream_made_anew_is_a_conflict,
                a_dropped_read_leaves_nothing_on_the_server,
                readers_do_not_take_messages_from_one_another,
            }
            consumers {
                a_new_consumer_has_everything_before_it,
                a_consumer_tells_its_configuration,
                creating_an_equal_consumer_again_changes_nothing,
                creating_a_consumer_that_differs_is_refused,
                a_consumer_that_is_not_there_is_not_found,
                a_deleted_consumer_is_gone,
                consumers_are_listed_by_name,
                names_that_no_consumer_can_have_are_refused,
                a_consumer_begins_where_it_was_told,
                a_consumer_gives_what_matches_its_filters,
                a_consumer_that_nobody_uses_goes,
            }
            acks {
                messages_are_fetched_in_order_and_counted,
                a_fetch_of_nothing_is_empty,
                a_fetch_waits_for_the_first_message,
                a_fetch_is_bounded_in_bytes,
                a_fetch_of_no_messages_is_refused,
                what_is_done_does_not_come_again,
                a_confirmed_ack_is_there_when_it_returns,
                what_is_not_answered_comes_again,
                a_retry_at_once_comes_at_once,
                a_retry_with_a_delay_comes_after_it,
                what_is_terminated_never_comes_again,
                work_in_progress_is_not_delivered_again,
                a_message_comes_at_most_so_often,
                no_more_than_so_many_are_out_at_once,
                redeliveries_wait_as_the_backoff_says,
                an_answer_given_twice_does_no_harm,
                a_token_that_no_delivery_gave_is_refused,
                a_work_queue_lets_what_is_done_go,
                a_stream_by_interest_keeps_what_somebody_waits_for,
            }
        }
    };
}
