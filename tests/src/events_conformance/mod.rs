//! What every event log does, one behaviour a function.
//!
//! Built as [`conformance`](crate::conformance) is: each theme a file, each of
//! its public functions a behaviour in a log of its own, on nats-server first.
//!
//! [`for_each_events_behaviour!`](crate::for_each_events_behaviour) is the list;
//! a test holds that none is missing.
#![allow(missing_docs, reason = "a behaviour's name is its sentence")]

pub mod cleaning;
pub mod cursors;
pub mod figures;
pub mod filters;
pub mod histories;
pub mod logging;
pub mod newest_first;
pub mod reading;
pub mod retention;
mod support;

use std::sync::Arc;

use naq_core::jetstream::JetStream;

use crate::list_behaviours;

/// What a behaviour is shown on.
type On = Arc<dyn JetStream>;

crate::for_each_events_behaviour!(list_behaviours);

/// Hands all behaviours to a macro, as `theme { behaviour, … }`.
#[macro_export]
macro_rules! for_each_events_behaviour {
    ($with:ident) => {
        $with! {
            logging {
                dangerous_ids_are_one_token_and_read_back_unchanged,
                dangerous_types_are_one_token_and_read_back_unchanged,
                the_longest_id_and_type_are_stored,
                what_can_not_be_stored_is_refused_by_field_and_stops_nothing,
                too_large_is_refused_before_it_is_sent,
                a_batch_has_a_result_for_each,
                an_id_that_is_known_is_stored_once,
                each_job_keeps_its_order_whoever_else_logs,
                what_is_redacted_is_never_stored,
                unknown_types_and_fields_survive_the_way_round,
                a_log_keeps_the_subjects_that_it_was_stored_with,
                a_log_that_does_not_say_its_subjects_is_taken_and_says_them_then,
            }
            reading {
                a_reading_tells_the_log_in_stored_order_up_to_its_end,
                an_empty_log_is_caught_up_at_once,
                a_live_reading_goes_from_the_past_into_the_present,
                a_live_reading_is_told_only_what_passes_its_filter,
                a_reading_starts_where_it_is_told,
                a_reading_ends_behind_a_sequence_and_waits_for_it,
                a_reading_ends_before_a_time_that_has_passed,
                a_reading_waits_for_a_time_to_come,
                a_limit_counts_events_alone,
                what_is_no_event_is_told_with_its_place_and_reason,
                a_gap_is_told_where_it_is,
                a_reading_goes_on_behind_a_position_in_another_service,
                a_position_of_a_log_made_anew_is_a_conflict,
                a_position_beyond_the_log_s_end_is_a_conflict,
                a_log_that_is_not_there_can_not_be_asked,
                a_log_deleted_under_a_reading_is_not_found,
                a_log_made_anew_under_a_reading_is_a_conflict,
                a_question_sees_what_was_logged_before_it,
                a_dropped_reading_leaves_nothing_behind,
                wrong_readings_are_refused_before_anything_is_asked,
            }
            newest_first {
                a_log_of_many_windows_is_told_from_its_end_back,
                it_keeps_to_its_start_and_its_end,
                what_comes_meanwhile_is_left_out,
                the_newest_of_a_filter_that_finds_little_are_found,
            }
            filters {
                a_dictionary_finds_by_every_form,
                a_filter_for_a_wildcard_finds_that_id_alone,
                an_equality_on_type_or_job_reads_only_its_subjects,
                a_list_of_types_reads_only_their_subjects,
                since_and_until_go_by_the_time_of_storing,
                a_worker_is_found_in_the_events_of_its_jobs,
                a_subject_that_lies_about_its_event_changes_nothing,
                a_wrong_filter_is_refused_at_the_field_that_is_wrong,
                a_filter_lets_through_what_a_naive_evaluation_does,
                every_question_takes_a_filter,
                an_explanation_says_what_is_read_and_what_is_slow,
            }
            histories {
                a_history_tells_a_job_from_its_first_event_to_its_last,
                only_the_jobs_own_events_are_read,
                a_limit_keeps_the_oldest_or_the_newest,
                a_range_shows_a_part_and_sums_up_the_whole,
                an_event_that_is_stored_twice_is_shown_once,
                a_job_a_worker_and_a_schedule_of_one_name_are_told_apart,
                a_log_without_entities_in_its_subjects_has_the_mentions,
                an_id_of_which_there_is_no_event_has_an_empty_history,
                a_job_logger_stamps_what_it_knows,
                a_history_that_may_not_read_enough_says_where_it_stopped,
                a_wrong_history_is_refused_by_field,
            }
            figures {
                statistics_count_by_type_queue_and_job_name,
                a_range_is_by_the_events_timestamps_with_both_its_ends,
                an_event_without_a_timestamp_happened_when_it_was_stored,
                an_event_under_another_type_s_subject_is_no_event,
                figures_of_an_empty_log_are_none_and_not_zero,
                analytics_are_over_the_events_that_have_the_field,
                percentiles_are_within_one_percent_of_a_true_one,
                figures_are_those_of_a_naive_fold,
                figures_that_may_not_read_enough_say_where_they_stopped,
                wrong_questions_for_figures_are_refused_by_field,
            }
            cursors {
                a_reader_goes_on_where_another_process_saved,
                of_two_readers_of_a_cursor_one_saves,
                a_cursor_goes_back_only_where_it_is_set,
                a_cursor_is_set_by_place_and_time,
                a_cursor_says_how_far_it_is_behind_and_what_is_gone,
                a_cursor_of_a_log_made_anew_is_a_conflict,
                a_cursor_that_can_t_be_read_is_in_nobody_s_way,
                cursors_of_other_logs_and_names_are_others,
                wrong_cursors_are_refused_by_field,
            }
            cleaning {
                what_is_older_goes_and_nothing_younger,
                a_young_log_is_left_alone,
                a_first_event_that_is_old_goes_alone,
                a_cleanup_by_type_leaves_the_others,
                a_log_that_is_old_altogether_is_emptied_and_goes_on,
                holes_and_foreign_messages_are_counted_as_they_are,
                a_log_that_may_not_be_purged_says_so,
                a_wrong_cleanup_is_refused_by_field,
            }
            retention {
                what_is_too_old_by_its_type_goes_and_stays_counted,
                a_plan_says_what_goes_to_the_byte_and_removes_nothing,
                a_job_s_end_goes_after_what_came_before_it,
                two_that_remove_at_once_do_no_harm,
                who_asks_now_and_then_misses_nothing_that_was_removed_between,
                who_has_counted_more_than_is_kept_goes_on_from_that,
                the_newest_that_were_counted_stay_counted,
                nothing_has_an_age_unless_it_is_given_one,
                a_clock_that_is_ahead_of_the_server_s_removes_nothing_early,
                a_log_that_may_not_be_purged_keeps_everything,
                the_room_of_each_type_is_the_server_s_own_count,
            }
        }
    };
}
