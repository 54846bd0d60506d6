//! What every key-value store does, one behaviour a function.
//!
//! Built as [`conformance`](crate::conformance) is: each theme a file, each of
//! its public functions a behaviour in a bucket of its own, on nats-server
//! first. Where servers differ, a behaviour asserts both sides.
//!
//! [`for_each_kv_behaviour!`](crate::for_each_kv_behaviour) is the list; a test
//! holds that none is missing.
#![allow(missing_docs, reason = "a behaviour's name is its sentence")]
#![allow(clippy::needless_pass_by_value, reason = "a behaviour owns its store: it is spawned")]

pub mod buckets;
pub mod many;
mod support;
pub mod values;
pub mod watching;
pub mod wire;

pub use support::Subject;

use crate::list_behaviours;

/// What a behaviour is shown on.
type On = Subject;

crate::for_each_kv_behaviour!(list_behaviours);

/// Hands all behaviours to a macro, as `theme { behaviour, … }`.
#[macro_export]
macro_rules! for_each_kv_behaviour {
    ($with:ident) => {
        $with! {
            buckets {
                a_new_bucket_is_the_stream_that_nats_has_for_it,
                a_bucket_keeps_one_revision_unless_told_otherwise,
                creating_an_equal_bucket_again_changes_nothing,
                creating_a_bucket_that_differs_already_exists,
                a_status_tells_what_was_set,
                an_ensured_bucket_is_created_kept_and_updated,
                an_ensured_bucket_that_would_lose_values_is_a_conflict,
                an_ensured_bucket_of_another_storage_is_a_conflict,
                an_older_bucket_is_given_transactions_and_ttls_where_the_server_can,
                a_deleted_bucket_is_gone,
                a_bucket_that_is_not_there_is_not_found_and_never_empty,
                buckets_are_listed_by_name,
                a_full_bucket_refuses_and_keeps_what_it_has,
                a_value_over_the_buckets_size_is_too_large,
                values_go_by_the_buckets_age,
                a_store_works_by_the_names_of_buckets,
            }
            values {
                revisions_rise_across_keys,
                a_value_is_read_with_revision_time_and_operation,
                any_bytes_are_a_value_and_none_are_too,
                a_key_that_never_was_has_no_value,
                keys_of_every_allowed_form_are_kept_apart,
                keys_outside_the_rules_are_refused_and_nothing_is_stored,
                a_create_needs_a_key_without_a_value,
                an_update_needs_the_latest_revision,
                only_one_of_many_updates_of_one_revision_wins,
                a_delete_leaves_a_marker_and_the_history,
                a_purge_leaves_a_marker_alone,
                a_key_that_never_was_can_be_removed,
                a_removal_can_expect_a_revision,
                an_erased_key_leaves_nothing,
                an_erasure_leaves_what_was_put_since,
                a_revision_is_read_as_long_as_it_is_kept,
                history_is_what_the_bucket_keeps_oldest_first,
                a_history_of_64_is_kept_whole,
                json_is_written_and_read_by_type,
                changes_by_many_are_all_counted,
                a_change_can_create_delete_and_keep,
                a_key_goes_when_its_ttl_has_passed_where_the_server_can,
                a_purges_marker_goes_when_its_ttl_has_passed,
                a_ttl_in_a_bucket_without_markers_is_unsupported,
            }
            many {
                many_keys_are_put_and_read_in_their_order,
                a_bulk_read_tells_what_has_no_value_and_what_is_no_key,
                a_write_that_fails_among_many_fails_alone,
                many_keys_are_deleted_and_created_again,
                a_transaction_is_stored_in_a_row,
                a_transaction_whose_condition_fails_stores_nothing,
                a_transaction_creates_over_markers,
                only_one_of_many_transactions_on_one_revision_wins,
                a_transaction_takes_a_thousand_writes_of_different_keys,
                a_bucket_that_others_made_may_lack_transactions,
            }
            watching {
                keys_are_those_that_have_a_value,
                keys_by_prefix_begin_with_it_at_a_dot_or_not,
                no_key_is_missed_while_all_are_written_anew,
                no_key_is_missed_while_others_are_erased,
                a_watch_from_now_has_the_latest_then_every_change,
                a_watch_with_history_has_all_that_is_kept,
                a_watch_of_updates_has_what_comes_after_it_opened,
                a_watch_of_an_empty_bucket_is_caught_up,
                a_watch_of_some_keys_has_no_others,
                a_watch_of_something_that_is_no_key_is_refused,
                a_watch_can_leave_removals_and_values_away,
                a_watch_under_load_has_every_keys_latest_in_order,
                a_watch_tells_what_aged_away_where_the_server_can,
                a_watch_ends_where_the_bucket_is_deleted,
                a_watch_ends_where_the_bucket_is_made_anew,
                a_dropped_watch_leaves_nothing_on_the_server,
            }
            wire {
                a_put_is_a_bare_message_on_the_keys_subject,
                a_write_with_a_condition_carries_the_revision_and_an_id,
                removals_are_empty_messages_with_their_operation,
                a_ttl_is_a_header_in_seconds,
                messages_that_others_wrote_are_read_as_their_headers_say,
            }
        }
    };
}
