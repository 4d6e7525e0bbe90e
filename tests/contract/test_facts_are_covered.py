"""Which test holds which fact of the two fact sheets; the list cannot rot.

Each fact that was measured (CiviCRM) or has grade A or B (Mailchimp) and concerns a tool like
this stands here with tests that fail if the adapter, or the simulator standing in for the
service, behaved otherwise. A fact that does not concern the tool carries its reason.
"""

import ast
from functools import cache
from pathlib import Path

import pytest
from test_civicrm_simulator_sessions import NAMES, NOT_REPLAYED, SESSIONS

TESTS = Path(__file__).parent.parent

CA = "contract/test_civicrm_adapter.py::"
CR = "contract/test_civicrm_adapter_recorded.py::"
CT = "contract/test_civicrm_adapter_troubles.py::"
CS = "contract/test_civicrm_simulator.py::"
CU = "contract/test_civicrm_setup.py::"
CV = "contract/test_civicrm_adapter_sight.py::"
CY = "contract/test_civicrm_simulator_sites.py::"
CX = "contract/test_civicrm_simulator_access.py::"
CC = "contract/test_civicrm_simulator_contacts.py::"
CF = "contract/test_civicrm_simulator_facts.py::"
CP = "contract/test_civicrm_simulator_permissions.py::"
REPLAY = "contract/test_civicrm_simulator_replay.py::test_the_simulator_answers_as_recorded"
FC = "contract/test_facts_civicrm.py::"
MA = "contract/test_mailchimp_adapter.py::"
MR = "contract/test_mailchimp_adapter_recorded.py::"
MT = "contract/test_mailchimp_adapter_troubles.py::"
MU = "contract/test_mailchimp_setup.py::"
MS = "contract/test_mailchimp_simulator.py::"
MB = "contract/test_mailchimp_simulator_batches.py::"
MF = "contract/test_mailchimp_simulator_fields.py::"
MM = "contract/test_mailchimp_simulator_members.py::"
MX = "contract/test_mailchimp_simulator_recorded.py::"
MQ = "contract/test_mailchimp_simulator_troubles.py::"
MW = "contract/test_mailchimp_simulator_webhooks.py::"
FM = "contract/test_facts_mailchimp.py::"
HTTP = "unit/test_http.py::"
ARCHIVE = "unit/test_batch_archive.py::"
CONFIG = "unit/test_config.py::"
ST = "scenario/test_troubles.py::"
SM = "scenario/test_troubles_more.py::"
SB = "scenario/test_batch_results.py::"
SP = "scenario/test_people_who_change.py::"
OUTBOX = "cache/test_outbox.py::"

CIVICRM: dict[str, tuple[str, ...]] = {
    # --- the ten facts
    "1 HTTP 200 is not success": (
        f"{CR}test_errors",
        f"{CT}test_trouble_that_stays_is_never_an_empty_list",
        f"{CS}test_what_does_not_exist",
    ),
    "1 Standalone answers 500 for the same": (
        f"{FC}test_an_error_of_a_standalone_site_is_json_with_500_and_no_empty_list",
    ),
    "2 error messages are hidden, the Error ID is shown": (
        f"{CR}test_errors",
        f"{CS}test_errors_are_hidden_from_ordinary_users",
        f"{CT}test_one_bad_contact_fails_alone_in_civicrms_words",
    ),
    "3 a missing permission reads as emptiness": (
        f"{CA}test_a_missing_permission_is_an_error_and_never_an_empty_list",
        f"{CP}test_a_missing_permission_reads_as_emptiness",
        f"{ST}test_in_trouble_nothing_is_written_and_the_next_healthy_run_puts_all_right",
    ),
    "4 without access deleted contacts their rows vanish": (
        f"{FC}test_without_sight_of_the_trash_its_rows_are_gone_from_everything",
        f"{CP}test_rows_of_trashed_contacts_vanish_without_permission",
        f"{SM}test_a_held_member_stays_subscribed_when_the_trash_goes_out_of_sight",
    ),
    "5 a method of more than 8 characters loses the history row": (
        f"{FC}test_method_and_tracking_stand_beside_the_records",
        f"{CF}test_a_long_method_loses_the_history_row",
    ),
    "5 tracking is cut to 255": (f"{CF}test_tracking_is_cut",),
    "6 every write adds history, also when nothing changed": (
        f"{SM}test_a_run_without_news_writes_no_history",
        f"{CF}test_every_write_adds_history_even_without_change",
    ),
    "7 save is not atomic and stops at the first bad record": (
        f"{CT}test_one_bad_contact_fails_alone_in_civicrms_words",
        f"{CT}test_one_bad_record_fails_alone_and_nobody_is_created_twice",
        f"{FC}test_fewer_rows_saved_than_sent_is_no_success",
        f"{CF}test_save_stops_at_the_first_bad_record",
    ),
    "8 dates have no zone and use today's offset": (
        f"{CA}test_dates_of_the_other_half_of_the_year_are_read_with_the_present_offset",
        f"{CF}test_now_and_timestamps_follow_todays_offset",
    ),
    "9 unknown fields in select are ignored": (
        f"{FC}test_every_field_that_is_asked_for_exists",
        f"{FC}test_the_fields_that_are_asked_for_were_there_in_a_real_site",
        f"{CF}test_selecting",
    ),
    "9 unknown fields in values are ignored": (f"{CC}test_unknown_values_are_ignored",),
    "9 unknown fields in where are a 500": (f"{CR}test_errors", f"{CS}test_what_is_refused"),
    "10 a JSON body is ignored": (
        f"{FC}test_every_call_is_a_form_in_a_post",
        f"{CS}test_a_json_body_is_ignored",
    ),
    "10 delete and update without where are refused": (f"{CS}test_what_is_refused",),
    # --- endpoint
    "clean URLs and the query forms": (
        f"{CA}test_every_form_works_on_the_site",
        f"{CA}test_every_form_of_address",
        f"{CS}test_wordpress_has_many_doors",
    ),
    "without clean URLs: fall back to ?civiwp= and say so": (
        f"{CT}test_without_clean_urls_the_query_form_is_found_and_named_once",
        f"{CT}test_a_page_in_the_place_of_civicrm_names_the_other_form",
        f"{CS}test_without_permalinks_only_the_query_form_works",
    ),
    "wp-admin is a redirect to the login page": (
        f"{CT}test_the_page_for_old_wordpress_admin_urls_is_a_redirect",
        f"{CS}test_wp_admin_leads_to_the_login_page",
        f"{CR}test_errors",
    ),
    "redirects are not followed": (
        f"{CT}test_a_redirect_means_a_wrong_url_and_is_not_followed",
        f"{HTTP}test_redirects_are_not_followed",
    ),
    "Standalone has no query form": (
        f"{FC}test_standalone_has_no_query_form",
        f"{CS}test_standalone_redirects_the_query_form",
    ),
    "Standalone: an unknown path is 200 text/html": (
        f"{CR}test_a_page_that_is_not_civicrm_makes_us_try_the_other_form_of_address",
        f"{CT}test_a_page_in_the_place_of_civicrm_names_the_other_form",
    ),
    "Standalone works otherwise": (f"{FC}test_standalone_is_read_and_written_like_any_other",),
    # --- request
    "POST, form-encoded; GET for reading only, 405 and 414": (
        f"{FC}test_every_call_is_a_form_in_a_post",
        f"{CS}test_reading_by_get_and_writing_by_post",
        f"{CS}test_a_long_url_is_refused",
    ),
    "X-Civi-Auth: Bearer, case-sensitive": (
        f"{FC}test_the_key_is_in_one_header_and_nowhere_else",
        f"{CS}test_who_gets_in",
    ),
    "_authx as a form field gets logged": (
        f"{FC}test_the_key_is_in_one_header_and_nowhere_else",
        f"{CS}test_the_key_may_come_as_a_form_field",
    ),
    "the guard: permission or site key": (
        f"{CA}test_a_user_who_may_not_log_in_by_key_needs_the_site_key",
        f"{CS}test_the_guard_wants_the_permission_or_the_site_key",
    ),
    "a contact without a CMS user": (
        f"{FC}test_a_contact_without_a_user_account_is_refused",
        f"{CS}test_a_contact_without_cms_user_may_nothing",
    ),
    "authx/id says who we are": (
        f"{CA}test_a_snapshot_costs_two_requests",
        f"{CS}test_whoami",
    ),
    "cookies are ignored, connections are kept": (
        f"{CT}test_cookies_are_not_sent_back",
        f"{CS}test_keep_alive_and_a_cookie_on_each_answer",
        f"{HTTP}test_connections_are_kept",
    ),
    "query parameters are read by 6.x only": (f"{FC}test_every_call_is_a_form_in_a_post",),
    "several calls: look into each element": (
        f"{CT}test_one_failed_element_of_a_snapshot_fails_it",
        f"{CT}test_one_failed_element_of_a_page_of_contacts_fails_it",
        f"{CS}test_several_calls_in_one_request",
    ),
    "several calls: 500 only if all fail": (
        f"{CR}test_all_of_several_calls_failed",
        f"{CT}test_when_all_names_are_bad_each_is_told",
    ),
    "several calls: no transaction": (
        f"{CT}test_a_bad_name_fails_alone",
        f"{CS}test_a_failing_call_does_not_undo_the_others",
    ),
    # --- response
    "values must be there": (f"{CT}test_json_without_values_is_a_protocol_error",),
    "writes answer with a partial echo": (
        f"{CC}test_reload_gives_the_stored_row_and_not_the_echo",
        f"{CA}test_new_contacts",
    ),
    "401 text/plain": (
        f"{CA}test_a_wrong_key_is_refused_in_civicrms_words",
        f"{CS}test_refused_keys_are_told_in_plain_text",
        f"{FC}test_a_wrong_key_at_standalone_is_refused_too",
    ),
    "400 and 403 without credential or X-Requested-With": (
        f"{FC}test_the_key_is_in_one_header_and_nowhere_else",
        f"{CS}test_who_gets_in",
    ),
    "403 JSON for an action that is not permitted": (
        f"{CR}test_a_permission_denied",
        f"{CA}test_a_write_without_permission_names_it",
    ),
    "500 JSON, generic": (f"{CR}test_errors", f"{CT}test_a_clear_error_is_followed_by_one_by_one"),
    "maintenance mode: 503 with other keys": (
        f"{CT}test_maintenance_mode_is_said",
        f"{CS}test_maintenance_and_a_lost_database",
    ),
    "database down: 500 text/html": (
        f"{CT}test_a_broken_database_is_unavailable",
        f"{CS}test_maintenance_and_a_lost_database",
    ),
    "413 over the web server's limit": (
        f"{CT}test_requests_too_large_are_halved",
        f"{CT}test_a_site_that_takes_nothing_is_a_protocol_error",
        f"{CS}test_a_body_over_the_web_servers_limit",
    ),
    # --- reading
    "no default limit; paging by id": (
        f"{FC}test_pages_are_never_asked_for_by_offset_and_always_in_order",
        f"{CA}test_history_goes_on_after_the_cursor",
        f"{CF}test_paging_by_id_sees_every_row_once",
    ),
    "implicit joins": (
        f"{CA}test_owners_are_compared_exactly_but_for_case_and_blanks",
        f"{CF}test_joins",
    ),
    "a missing email is null": (
        f"{CA}test_an_address_row_without_an_address_is_left_out",
        f"{CC}test_the_primary_address_is_edited_in_place",
    ),
    "aggregates": (
        f"{CA}test_a_snapshot_tells_clock_groups_counts_and_history",
        f"{CF}test_aggregates",
    ),
    "operators; IN [] is no rows": (f"{FC}test_no_ids_are_no_rows", f"{CF}test_operators"),
    "IN lists of 1,000 to 5,000 are safe": (
        f"{FC}test_chunks_and_pages_are_of_the_measured_sizes",
        f"{CA}test_owners_of_many_addresses_come_in_chunks",
    ),
    "addresses match loosely: case, accents, trailing spaces": (
        f"{CA}test_owners_are_compared_exactly_but_for_case_and_blanks",
        f"{CR}test_what_only_the_loose_search_finds_is_no_owner",
        f"{CF}test_addresses_are_found_by_collation",
        f"{SM}test_whom_only_the_loose_search_finds_is_left_alone_and_nobody_is_created_twice",
    ),
    "addresses are stored in lower case, not trimmed, not validated, cut": (
        f"{CC}test_addresses_are_lower_cased_and_no_more",
        f"{CA}test_new_contacts",
    ),
    "names come back decoded": (
        f"{CA}test_contacts_with_flags_and_all_addresses",
        f"{CC}test_names",
        f"{FC}test_whoever_was_created_is_known_by_any_name_and_not_created_twice",
    ),
    "Domain.get is 403: the version cannot be relied on": (
        f"{FC}test_nothing_is_asked_that_only_an_administrator_may",
        f"{CP}test_what_only_an_administrator_may",
    ),
    # --- time
    "TIMESTAMPs are converted, DATETIMEs never": (
        f"{FC}test_dates_that_are_never_converted_are_never_read",
        f"{CF}test_hold_dates_are_never_converted",
    ),
    "the text of a date changes at each switch": (
        f"{SM}test_the_text_of_every_date_changes_with_the_clocks_and_nobody_changes",
        f"{ST}test_a_site_that_went_from_summer_to_winter_changes_nobody",
    ),
    "current offset from NOW() and the Date header": (
        f"{CA}test_the_offset_is_measured_to_the_quarter_of_an_hour",
        f"{CR}test_a_snapshot",
    ),
    "where on dates: only naive local text is exact": (
        f"{CA}test_changes_are_asked_for_in_the_sites_own_time",
        f"{CA}test_changed_contacts_are_right_after_the_clocks_changed",
        f"{CF}test_only_naive_local_dates_are_exact",
    ),
    "a garbage date matches everything": (
        f"{CA}test_changed_contacts",
        f"{CF}test_odd_dates",
    ),
    "history cannot be back-dated": (f"{CF}test_history_cannot_be_back_dated",),
    # --- groups
    "Group.get: active, smart, mailing": (
        f"{CA}test_a_snapshot_tells_clock_groups_counts_and_history",
        f"{CR}test_a_snapshot",
    ),
    "GroupContact has the static rows only": (
        f"{FC}test_static_rows_of_a_smart_group_are_not_its_members",
        f"{CF}test_smart_groups_are_resolved_from_a_stale_cache",
    ),
    "the cache of a smart group is stale until refresh": (
        f"{CA}test_a_smart_group_is_refreshed_first",
        f"{CR}test_a_smart_group",
    ),
    "bad statuses are stored as they are": (
        f"{FC}test_a_bad_status_is_handed_on_as_it_is",
        f"{SM}test_a_status_that_is_neither_added_nor_removed_signs_nobody_up",
        f"{CF}test_odd_statuses_are_stored",
    ),
    "save with match; the same pair twice is refused": (
        f"{CA}test_our_writes_leave_history_that_is_known_as_ours",
        f"{CA}test_group_contacts_are_added_and_removed",
        f"{CF}test_a_pair_has_one_row",
    ),
    "update that matches nobody: values [] and 200": (
        f"{FC}test_an_update_that_matches_nobody_is_no_success",
        f"{CF}test_update_by_where_changes_many_or_none",
    ),
    "method and tracking stand beside the records": (
        f"{FC}test_method_and_tracking_stand_beside_the_records",
        f"{CF}test_method_and_tracking_are_no_fields_of_the_record",
    ),
    "prefer Removed to delete": (
        f"{FC}test_nobody_is_ever_deleted",
        f"{CF}test_deleting_a_membership_says_deleted",
    ),
    "history may have gaps, the row is the truth": (
        f"{SM}test_a_membership_changed_without_history_is_noticed_by_the_counts",
        f"{SM}test_two_changes_without_history_that_leave_the_counts_are_noticed_by_the_daily_compare",
        f"{CF}test_direct_sql_leaves_no_history",
    ),
    "our own history is known by tracking": (
        f"{CA}test_our_writes_leave_history_that_is_known_as_ours",
    ),
    "modified_date follows emails and not groups": (
        f"{FC}test_a_change_of_group_shows_in_history_and_one_of_address_in_the_contact",
        f"{CF}test_modified_date_follows_emails_but_not_groups",
    ),
    # --- contacts
    "contact and email in one call": (
        f"{CA}test_new_contacts",
        f"{CR}test_creating_contacts",
        f"{CC}test_contact_and_email_in_one_call",
    ),
    "no check for duplicates on create": (
        f"{CT}test_contacts_created_behind_a_lost_answer_are_found",
        f"{CT}test_while_it_may_still_be_creating_nothing_is_tried_again",
        f"{CC}test_nobody_checks_for_duplicates_unless_asked",
    ),
    "contact_type is not validated": (f"{CA}test_new_contacts",),
    "an extra address is not primary": (
        f"{FC}test_a_bulk_address_added_to_others_stays_not_primary",
        f"{CC}test_the_first_address_is_primary_and_the_flag_moves",
        f"{CC}test_bulk_mail_goes_to_one_address",
    ),
    "several contacts may share an address": (
        f"{CA}test_owners_are_compared_exactly_but_for_case_and_blanks",
        f"{CC}test_several_contacts_may_share_an_address",
    ),
    "on_hold 0, 1, 2": (
        f"{CA}test_addresses_are_put_on_hold",
        f"{CA}test_contacts_with_flags_and_all_addresses",
        f"{CC}test_holding_and_releasing",
    ),
    "Contact.get hides the trash unless asked": (
        f"{CA}test_contacts_with_flags_and_all_addresses",
        f"{CA}test_changed_contacts",
        f"{CC}test_trashed_contacts_are_hidden_unless_named",
    ),
    "memberships of the trashed stay Added": (
        f"{CA}test_group_contacts_of_every_status_trashed_ones_too",
        f"{CC}test_trash_keeps_memberships_and_comes_back",
    ),
    "a permanent delete leaves no trace": (
        f"{FC}test_a_purge_leaves_no_trace_but_absence",
        f"{CC}test_purging_leaves_no_trace",
        f"{SP}test_a_purged_contact_is_noticed_by_the_daily_compare",
    ),
    "merge: rows move with their old ids": (
        f"{FC}test_a_merge_moves_old_history_rows_behind_the_cursor",
        f"{CC}test_merge_moves_memberships_and_history_with_their_ids",
        f"{SP}test_a_merged_contacts_row_moves_to_the_survivor_without_any_write",
    ),
    "getMergedTo tells the winner": (
        f"{CA}test_merged_contacts_lead_to_the_last_survivor",
        f"{CR}test_merged_contacts",
    ),
    "is_opt_out and do_not_email": (f"{CA}test_contacts_with_flags_and_all_addresses",),
    # --- permissions
    "authenticate with api key": (
        f"{CA}test_a_user_who_may_not_log_in_by_key_needs_the_site_key",
        f"{SM}test_a_permission_lost_between_two_runs_stops_the_run_at_its_start",
    ),
    "access CiviCRM": (
        f"{FC}test_without_access_to_civicrm_groups_are_refused_and_not_missing",
        f"{SM}test_a_permission_lost_between_two_runs_stops_the_run_at_its_start",
    ),
    "view all contacts, implied by edit all contacts": (
        f"{FC}test_to_edit_all_implies_to_view_all",
        f"{CA}test_a_permission_lost_between_two_runs_is_noticed_by_the_next_snapshot",
    ),
    "edit all contacts": (
        f"{FC}test_to_change_anybody_takes_the_permission_to_edit_all",
        f"{SM}test_a_permission_to_write_lost_between_two_runs_is_named_and_made_up_for",
    ),
    "add contacts": (
        f"{CA}test_a_write_without_permission_names_it",
        f"{SM}test_a_permission_to_write_lost_between_two_runs_is_named_and_made_up_for",
    ),
    # --- speed
    "pages of 5,000 to 10,000; 200 memberships, 50 contacts": (
        f"{FC}test_chunks_and_pages_are_of_the_measured_sizes",
        f"{CA}test_group_contacts_are_added_and_removed",
        f"{CA}test_new_contacts",
    ),
    "two workers, no gain at four": (f"{FC}test_two_requests_at_once_and_no_more_to_read",),
    "a time-out does not mean that nothing was written": (
        f"{FC}test_a_time_out_of_a_write_does_not_mean_that_nothing_was_written",
        f"{CT}test_a_lost_answer_is_found_to_be_written",
    ),
    # --- seen later
    "create refuses reload, GroupContact.delete tracking": (
        f"{FC}test_what_is_created_takes_no_reload",
        f"{CS}test_what_is_refused",
    ),
    "merge can put people back": (
        f"{SM}test_a_merge_that_puts_somebody_back_is_noticed",
        f"{CC}test_merge_can_put_people_back",
        f"{CC}test_merge_can_lose_history",
    ),
    "save matches all before it writes any": (
        f"{CA}test_our_writes_leave_history_that_is_known_as_ours",
        f"{CF}test_a_pair_has_one_row",
    ),
    "with offset the counts are wrong": (
        f"{FC}test_pages_are_never_asked_for_by_offset_and_always_in_order",
        f"{CF}test_with_an_offset_the_counts_are_wrong",
    ),
    "without orderBy rows come in index order": (
        f"{FC}test_pages_are_never_asked_for_by_offset_and_always_in_order",
        f"{CF}test_without_order_rows_come_by_an_index",
    ),
    "failed inserts use up ids": (
        f"{FC}test_ids_with_gaps_are_paged_to_their_end",
        f"{CF}test_failed_inserts_use_up_ids",
    ),
    "a value of the wrong type is an HTML page": (
        f"{FC}test_a_page_instead_of_an_answer_to_a_write_is_read_again",
        f"{CS}test_a_value_of_the_wrong_type_is_a_page",
        f"{CS}test_params_that_are_no_object",
    ),
    "over-long text is cut with ...": (
        f"{FC}test_whoever_was_created_is_known_by_any_name_and_not_created_twice",
    ),
    "an empty address leaves a row with null": (
        f"{CA}test_an_address_row_without_an_address_is_left_out",
    ),
    "getMergedTo of who was never merged is [[]]": (
        f"{CA}test_merged_contacts_lead_to_the_last_survivor",
        f"{CC}test_who_the_loser_became",
    ),
    # --- measured later
    "groups are empty without view all contacts": (
        f"{CU}test_a_list_of_some_groups_or_none_is_a_missing_permission",
        f"{CX}test_without_sight_of_contacts_there_are_no_groups_and_no_error",
    ),
    "a user limited by ACLs sees what the ACL gives; contact 1 proves more": (
        f"{CV}test_a_user_limited_by_an_acl_is_refused_whatever_is_read",
        f"{CV}test_an_acl_between_two_runs_is_noticed_by_the_next_snapshot",
        f"{CX}test_an_acl_shows_its_group_and_our_own_contact",
        f"{CX}test_aggregates_count_only_what_an_acl_shows",
        f"{CX}test_who_leaves_the_group_becomes_invisible_at_once",
    ),
    "reload tells of none that are not seen, the plain echo does": (
        f"{CV}test_created_contacts_are_known_though_they_are_not_seen",
        f"{CV}test_whom_an_answer_leaves_out_is_neither_known_nor_tried_again",
        f"{CV}test_what_is_not_seen_after_an_error_is_not_created_again",
        f"{CX}test_contacts_created_under_an_acl_are_not_read_back",
    ),
    "GroupContact.save for an unseen contact is 403": (
        f"{CV}test_the_group_contacts_of_the_unseen_are_refused",
        f"{CX}test_the_memberships_of_the_unseen_cannot_be_saved",
    ),
    "created_date is a TIMESTAMP": (
        f"{CA}test_contacts_tell_when_they_were_created",
        f"{CA}test_a_change_of_the_clocks_makes_nobody_another_person",
        f"{CY}test_created_date_is_a_timestamp_in_todays_offset",
    ),
    "checkAccess: create follows add contacts, update edit all contacts": (
        f"{CU}test_a_missing_permission_to_write_is_named",
        f"{CX}test_check_access_follows_add_contacts_and_edit_all_contacts",
        f"{CX}test_our_own_contact_proves_nothing",
        f"{CX}test_saving_a_contact_without_an_id_is_said_to_be_denied",
        f"{CX}test_get_actions_lists_create_and_save_only_with_add_contacts",
    ),
}

CIVICRM_NOT_OURS = {
    "index=0, index=name": "the adapter reads lists only",
    "delete returns ids as strings": "the tool deletes nothing in CiviCRM",
    "row_count, countMatched, count": "the adapter counts rows itself",
    "a failing chain keeps the contact": "no chain is used; the address is part of the contact",
    "api_key is left out of select": "the tool never asks for keys",
    "Entity.get, getFields, getActions": "the tool does not look around",
    "zone by host (Joomla, Drupal)": "source only; the offset is measured, whatever its origin",
    "/wp-json/ tells timezone_string": "the offset is measured, see above",
    "zones in where are converted by PHP": "only naive local text is sent, see above",
    'where date > "2020" is 20:20 today': "only whole dates are sent, see above",
    "names of new groups; titles are unique": "the tool makes no groups",
    "external_identifier": "not written by the tool",
    "getDuplicates is 403": "not used",
    "update of email_primary.email": "the tool adds a bulk address instead, see above",
    "tags": "the tool writes no tags in CiviCRM",
    "edit groups, delete contacts": "the tool edits no groups and deletes no contacts",
    "access AJAX API, manage tags made no difference": "nothing follows from it",
    "display_name of a contact without names": "not read",
    "Basic auth is off by default": "keys are sent as Bearer only, see above",
    "1,000 gets in one request: 1.0 s, no limit": "chunks are far smaller, see above",
    "ids are assigned before commit": "general knowledge, not measured; cache/test_mirror has it",
}

MAILCHIMP: dict[str, tuple[str, ...]] = {
    # --- 1
    "1 base address by the key's suffix": (f"{CONFIG}test_account",),
    "1 one host for every account; override": (
        f"{FM}test_another_host_for_every_account_may_be_given",
        f"{CONFIG}test_account",
    ),
    "1 Basic auth": (
        f"{FM}test_the_key_is_the_password_of_basic_auth",
        f"{MS}test_basic_auth_takes_any_user_name_and_the_key_as_password",
        f"{MS}test_a_bearer_key_is_accepted_too",
    ),
    "1 GET / tells the account and the key's role": (
        f"{MU}test_the_account_its_role_and_its_clock",
        f"{MA}test_the_account_behind_a_key",
        f"{MS}test_another_key_opens_the_same_account",
    ),
    "1 plain HTTP is 426": (
        f"{FM}test_what_nobody_can_mend_is_told_once",
        f"{CONFIG}test_plain_http_earns_a_warning",
    ),
    "1 response headers as seen": (
        f"{MS}test_answers_carry_the_headers_that_were_recorded",
        f"{MS}test_errors_are_problem_documents_whose_instance_is_the_request_id",
    ),
    "1 204 calls itself JSON and is empty": (
        f"{MR}test_tags",
        f"{MR}test_archiving",
        f"{MS}test_a_204_has_a_json_content_type_and_no_body",
    ),
    "1 status and title decide, never type": (
        f"{FM}test_an_error_is_known_by_status_and_title_whatever_its_type",
        f"{ARCHIVE}test_a_refusal_is_known_by_status_and_title",
    ),
    "1 400 Invalid Resource with errors": (
        f"{MR}test_a_merge_field_of_the_wrong_kind",
        f"{FM}test_a_required_field_that_is_missing_is_named",
        f"{ARCHIVE}test_field_errors_are_told",
    ),
    "1 400 please provide a valid address": (
        f"{ARCHIVE}test_a_refusal_is_known_by_status_and_title",
        f"{MM}test_a_bad_address_is_refused",
    ),
    "1 400 looks fake or invalid": (
        f"{MA}test_a_fake_and_a_busy_address",
        f"{FM}test_a_refused_address_is_told_apart_in_a_batch_too",
    ),
    "1 400 signed up to a lot of lists": (
        f"{MA}test_a_fake_and_a_busy_address",
        f"{FM}test_a_refused_address_is_told_apart_in_a_batch_too",
    ),
    "1 400 Member Exists": (
        f"{MA}test_a_new_address_that_is_a_member_already",
        f"{FM}test_a_stale_hash_is_no_safe_repetition",
        f"{MM}test_post_of_a_member_is_member_exists_without_type",
    ),
    "1 400 Member In Compliance State": (
        f"{MA}test_somebody_who_left_cannot_be_subscribed_but_asked",
        f"{MM}test_who_left_alone_is_in_compliance_state_and_only_pending_is_taken",
    ),
    "1 400 Forgotten Email Not Subscribed": (
        f"{FM}test_pending_is_no_way_around_a_permanent_deletion",
        f"{MA}test_somebody_deleted_for_good_is_forgotten",
    ),
    "1 400 JSON Parse Exception, Bad Request": (
        f"{FM}test_what_nobody_can_mend_is_told_once",
        f"{MS}test_bad_json_is_a_json_parse_exception",
    ),
    "1 401 API Key Invalid, Missing": (
        f"{MA}test_a_wrong_key_is_refused_with_a_hint",
        f"{MS}test_a_wrong_key_is_401_api_key_invalid",
        f"{MS}test_no_key_is_401_api_key_missing",
    ),
    "1 403 Forbidden, User Disabled": (
        f"{MT}test_a_refusal_is_not_tried_again",
        f"{MT}test_a_refused_key_is_no_outcome_of_a_change",
    ),
    "1 403 as HTML": (
        f"{MT}test_trouble_in_mid_paging_passes",
        f"{SM}test_a_batch_refused_for_good_touches_nobody_without_news",
    ),
    "1 404 Resource Not Found": (
        f"{MA}test_an_unknown_list_is_refused_with_a_hint_about_its_id",
        f"{FM}test_a_list_of_another_account_is_refused_and_not_empty",
        f"{MR}test_nobody",
    ),
    "1 405 cannot archive": (
        f"{FM}test_only_subscribed_and_unsubscribed_members_can_be_archived",
        f"{MR}test_archiving_somebody_archived_already_is_done",
        f"{MM}test_delete_of_others_is_405_with_allow",
    ),
    "1 414, 422": (
        f"{FM}test_what_nobody_can_mend_is_told_once",
        f"{MS}test_a_body_nested_too_deep_is_414",
    ),
    "1 429 may come without JSON": (
        f"{FM}test_the_eleventh_request_at_once_comes_again",
        f"{HTTP}test_a_repeatable_call_is_tried_again",
        f"{MS}test_the_eleventh_simultaneous_request_is_429",
    ),
    "1 500 Internal Server Error": (f"{MT}test_trouble_in_mid_paging_passes",),
    "1 502 HTML is a time-out": (
        f"{MT}test_pages_are_halved_until_they_come",
        f"{MT}test_submitting_is_never_repeated",
    ),
    "1 503 and 504 of the CDN": (
        f"{MT}test_trouble_that_stays_ends_the_fetch",
        f"{MT}test_halving_in_mid_paging_loses_nobody",
    ),
    # --- 2
    "2 ten connections per user": (
        f"{FM}test_one_account_has_at_most_six_connections",
        f"{HTTP}test_no_more_calls_at_once_than_allowed",
        f"{MS}test_another_account_has_its_own_connections",
    ),
    "2 a time-out may still run: not at once": (
        f"{FM}test_an_answer_that_took_too_long_is_not_asked_for_again_at_once",
        f"{HTTP}test_a_time_out_comes_back_at_once_to_who_can_ask_for_less",
    ),
    "2 120 s server-side": (f"{FM}test_we_wait_longer_than_mailchimp_itself",),
    "2 backoff with jitter, capped retries": (
        f"{HTTP}test_waits_grow_and_are_random",
        f"{HTTP}test_after_five_retries_it_gives_up_and_names_the_host",
    ),
    "2 Retry-After: honour it, never need it": (
        f"{MT}test_retry_after_is_obeyed_three_times",
        f"{HTTP}test_an_unreadable_retry_after_is_ignored",
        f"{ST}test_three_429_with_retry_after_are_waited_for",
    ),
    "2 count 10 by default, at most 1000": (
        f"{MA}test_interests_of_all_categories_beyond_the_default_page",
        f"{MA}test_all_batches_beyond_the_default_page",
        f"{MS}test_count_is_10_by_default_and_capped_at_1000",
    ),
    "2 count=1000 can give 504": (f"{MT}test_pages_are_halved_until_they_come",),
    "2 an offset past the end": (
        f"{FM}test_an_offset_past_the_end_is_an_empty_page_and_no_end_of_the_world",
        f"{MS}test_an_offset_past_the_end_is_an_empty_page_with_the_full_total",
    ),
    "2 500 pending batches or events": (
        f"{FM}test_too_many_batches_waiting_is_trouble_that_passes",
        f"{MT}test_a_batch_that_was_not_accepted_is_submitted_again",
        f"{MQ}test_batches_may_be_refused_with_429",
        f"{MB}test_501_pending_batches_are_429",
        f"{MB}test_500_events_nobody_takes_stop_new_batches",
    ),
    "2 a thousand operations in a batch": (
        f"{FM}test_a_batch_holds_as_many_operations_as_the_guide_uses",
        f"{OUTBOX}test_a_batch_takes_no_more_than_its_limit_the_oldest_first",
    ),
    "2 text is cut to 255 bytes": (f"{MF}test_text_is_cut_to_255_bytes",),
    # --- 3
    "3 parameters of the listing": (
        f"{MA}test_pages_are_asked_for_in_order_of_change_with_only_the_needed_fields",
        f"{MA}test_the_description_notices_a_wrong_request",
        f"{MS}test_an_unknown_status_or_sort_field_is_refused",
    ),
    "3 one status per request": (f"{MA}test_members_of_every_status_come",),
    "3 fields are dotted from the top": (
        f"{MA}test_pages_are_asked_for_in_order_of_change_with_only_the_needed_fields",
        f"{MS}test_fields_are_dotted_from_the_top",
        f"{MS}test_a_bad_name_in_fields_is_an_error",
        f"{MS}test_fields_and_exclude_fields_exclude_each_other",
    ),
    "3 total_items counts what matches": (
        f"{MT}test_fewer_members_than_counted_is_an_error",
        f"{MR}test_four_of_ten_members_are_not_taken_for_all",
        f"{MS}test_total_items_is_zero_when_the_window_excludes_all",
    ),
    "3 archived members are left out by default": (
        f"{MA}test_many_members_come_once_each_and_are_counted",
        f"{MA}test_members_of_every_status_come",
        f"{MS}test_without_status_archived_members_are_left_out",
    ),
    "3 permanently deleted contacts never appear": (
        f"{FM}test_a_member_deleted_for_good_is_as_one_who_never_was",
        f"{SP}test_a_member_deleted_for_good_is_noticed_by_a_full_fetch",
    ),
    "3 an archived member alone is 200": (f"{MR}test_an_archived_member",),
    "3 times are UTC; unknown ones are empty": (
        f"{FM}test_an_unknown_time_is_an_empty_string_and_long_ago",
        f"{FM}test_a_time_that_is_none_is_not_guessed",
        f"{MR}test_members",
        f"{MA}test_a_batch_as_it_stands",
    ),
    "3 interests absent or null; empty values": (
        f"{FM}test_interests_are_absent_without_groups_and_empty_fields_are_blank",
        f"{FM}test_null_instead_of_a_map_is_an_empty_one",
        f"{MS}test_interests_are_absent_when_the_audience_has_none",
    ),
    "3 unsubscribe_reason": (
        f"{FM}test_the_reason_tells_whether_somebody_left_alone",
        f"{MA}test_why_somebody_left",
        f"{MM}test_who_was_unsubscribed_may_still_leave_by_an_old_mail",
    ),
    "3 offsets in since_last_changed are ignored": (
        f"{MA}test_only_what_changed_since_comes_whatever_zone_the_time_is_in",
        f"{MS}test_offsets_in_since_last_changed_are_ignored",
    ),
    "3 +0000 fails": (
        f"{FM}test_the_lower_bound_of_a_window_is_never_a_zone_that_fails",
        f"{MS}test_a_zone_without_colon_or_with_an_unencoded_plus_fails",
    ),
    "3 when last_changed moves and when not": (
        f"{MM}test_last_changed_moves_on_every_real_change",
        f"{MM}test_last_changed_stays_when_nothing_changes",
        f"{FM}test_archiving_keeps_everything_and_moves_last_changed",
    ),
    "3 many members share a second": (
        f"{FM}test_members_of_one_second_come_once_each",
        f"{MX}test_recorded_listings_by_last_changed",
    ),
    "3 rows move while we page (C, D)": (
        f"{MT}test_members_who_change_while_we_read_are_not_lost",
        f"{SM}test_a_member_who_changes_between_two_pages_of_a_full_fetch_takes_nobody_along",
    ),
    # --- 4
    "4 the hash is MD5 of the lower-cased address": (
        f"{MA}test_a_new_member_is_put_with_both_statuses",
        f"{MM}test_the_id_is_the_md5_of_the_lower_cased_address",
        f"{MM}test_a_member_is_found_by_hash_address_and_contact_id",
    ),
    "4 the same id in every audience": (
        f"{FM}test_one_address_in_two_audiences_has_one_id_and_is_two_members",
        "cache/test_looks.py::test_the_same_address_in_two_audiences_is_two_members",
    ),
    "4 contact_id survives a change of address": (
        f"{MA}test_a_new_address_goes_to_the_old_id",
        f"{MM}test_an_address_change_gives_a_new_id_and_keeps_tags_and_contact_id",
    ),
    "4 ids of mixed-case addresses": (
        f"{MA}test_a_member_by_the_id_that_mailchimp_gave_it",
        f"{MM}test_an_old_id_may_be_the_hash_of_another_spelling",
        f"{MA}test_an_old_member_whose_id_is_no_lower_case_hash",
        f"{MM}test_old_members_have_ids_of_mixed_case_addresses",
    ),
    "4 a hash without lower-casing fails": (
        f"{FM}test_an_address_typed_in_capitals_is_written_under_its_lower_case_hash",
        f"{MM}test_a_hash_that_was_not_lower_cased_makes_put_fail_and_get_404",
    ),
    "4 plus-addresses are distinct": (
        f"{FM}test_plus_addresses_are_distinct_people",
        f"{MM}test_plus_addresses_are_other_members",
    ),
    "4 bodies are UTF-8": (
        f"{FM}test_addresses_are_sent_as_utf_8",
        f"{MS}test_a_latin_1_body_is_refused_as_null",
    ),
    # --- 5
    "5 POST un-archives and keeps tags": (
        f"{MX}test_a_story_of_an_archived_contact_that_is_posted_again",
        f"{MM}test_post_needs_address_and_status_and_takes_tags",
    ),
    "5 PUT: address and status_if_new always": (
        f"{MA}test_a_new_member_is_put_with_both_statuses",
        f"{MM}test_put_works_on_an_existing_member_without_address",
    ),
    "5 status overwrites: omit it on data updates": (
        f"{MA}test_a_change_without_status_leaves_the_status",
        f"{MM}test_status_if_new_acts_only_on_creation",
    ),
    "5 PUT follows the body": (
        f"{FM}test_a_stale_hash_is_no_safe_repetition",
        f"{MM}test_put_follows_the_body_when_the_path_is_unknown",
    ),
    "5 PATCH only updates; statuses it takes": (
        f"{FM}test_a_change_of_somebody_else_than_subscribed_never_creates_anybody",
        f"{MA}test_what_is_no_single_request_is_a_mistake_of_the_caller",
        f"{MM}test_patch_and_put_have_different_statuses",
    ),
    "5 absent properties stay untouched": (
        f"{FM}test_absent_properties_stay_untouched",
        f"{MM}test_put_leaves_alone_what_it_does_not_name",
    ),
    "5 a change of address goes to the old hash": (
        f"{MA}test_a_new_address_goes_to_the_old_id",
        f"{FM}test_the_address_of_somebody_not_subscribed_stays",
        f"{MT}test_a_new_address_whose_answer_is_lost_counts_as_done",
    ),
    "5 unsubscribed by the API may come back": (
        f"{FM}test_an_unsubscribe_of_ours_can_be_undone_and_one_of_theirs_cannot",
        f"{MR}test_subscribing_somebody_whom_the_api_unsubscribed",
        f"{MM}test_an_unsubscribe_by_api_has_a_reason_and_can_be_undone",
    ),
    "5 who left alone may only be asked": (
        f"{MA}test_somebody_who_left_cannot_be_subscribed_but_asked",
    ),
    "5 pending mails once": (
        f"{MT}test_asking_to_confirm_is_never_repeated",
        f"{MM}test_pending_sends_one_mail_however_often_it_is_repeated",
    ),
    "5 subscribed by the API skips double opt-in": (
        f"{MM}test_subscribed_by_api_skips_double_optin_and_a_form_does_not",
        f"{MA}test_a_double_optin_audience",
    ),
    "5 merge fields of the unsubscribed can be edited": (
        f"{MA}test_a_change_without_status_leaves_the_status",
        f"{MM}test_merge_fields_of_an_unsubscribed_member_can_be_edited",
    ),
    "5 DELETE archives and keeps everything": (
        f"{FM}test_archiving_keeps_everything_and_moves_last_changed",
        f"{MR}test_archiving",
    ),
    "5 un-archive by an explicit status": (
        f"{FM}test_an_archived_member_comes_back_only_by_an_explicit_status",
        f"{MM}test_put_without_status_leaves_archived",
    ),
    "5 delete-permanent: never; no ip": (
        f"{FM}test_nothing_that_we_send_erases_anybody_or_tells_an_address_of_the_internet",
        f"{MM}test_ip_addresses_must_be_valid",
    ),
    "5 interests: a map, only sent ids change": (
        f"{FM}test_absent_properties_stay_untouched",
        f"{MF}test_interests_are_a_map_of_which_only_sent_ids_change",
    ),
    "5 interests and categories are paged by ten": (
        f"{MA}test_interests_of_all_categories_beyond_the_default_page",
        f"{MS}test_interest_categories_and_interests_are_paged_by_ten",
    ),
    "5 unknown tags ignored, a blank clears": (
        f"{FM}test_an_unknown_field_is_silently_ignored",
        f"{FM}test_a_blank_clears_a_field_of_any_type",
        f"{MF}test_unknown_merge_tags_are_ignored_and_a_blank_clears",
    ),
    "5 required fields, addresses, dates": (
        f"{FM}test_a_required_field_that_is_missing_is_named",
        f"{MF}test_merge_fields_are_validated_unless_that_is_skipped",
        f"{MF}test_a_required_field_is_demanded_unless_validation_is_skipped",
        f"{MA}test_an_address_field_is_left_out",
    ),
    "5 merge fields are read first": (
        f"{MA}test_merge_fields_with_their_kind",
        f"{MR}test_merge_fields",
    ),
    "5 tags: wrapped, 204, 404 of nobody": (
        f"{FM}test_tags_are_wrapped_and_only_the_named_ones_change",
        f"{MA}test_tags_are_put_on_and_taken_off",
        f"{MR}test_tags_of_nobody",
        f"{MF}test_a_tag_that_is_not_wrapped_does_nothing",
    ),
    # --- 6
    "6 operations: path, body as a string, no params": (
        f"{FM}test_operations_are_as_documented",
        f"{MB}test_a_nested_body_is_taken_and_fails_alone",
        f"{MB}test_a_malformed_operation_refuses_the_whole_batch",
    ),
    "6 a fresh batch counts nothing": (
        f"{MA}test_a_batch_as_it_stands",
        f"{MB}test_a_fresh_batch_is_pending_and_counts_nothing",
    ),
    "6 the order of statuses": (
        f"{FM}test_only_the_last_of_five_statuses_is_the_end",
        f"{MB}test_the_statuses_come_in_their_order",
    ),
    "6 finished is not success": (
        f"{FM}test_finished_is_not_success",
        f"{MB}test_finished_counts_failures_too",
    ),
    "6 no order within a batch or between batches": (
        f"{OUTBOX}test_never_two_operations_of_one_member_in_one_batch",
        f"{OUTBOX}test_never_two_operations_of_one_member_under_way",
        f"{MB}test_operations_do_not_run_in_order",
    ),
    "6 response_body_url: ten minutes, fresh each time": (
        f"{MA}test_an_expired_address_of_results_is_asked_for_again_once",
        f"{SB}test_an_address_of_results_that_expires_is_asked_for_again",
        f"{MB}test_each_get_issues_a_new_address_that_expires_after_10_minutes",
    ),
    "6 no credentials to it; the host is not pinned": (
        f"{MA}test_results_are_fetched_without_credentials",
        f"{FM}test_results_may_lie_at_any_host",
        f"{HTTP}test_a_download_carries_no_credentials",
    ),
    "6 archive: gzip tar, ./ first, one or several per file": (
        f"{ARCHIVE}test_one_file_per_operation",
        f"{ARCHIVE}test_several_operations_in_a_file",
        f"{MB}test_the_archive_is_a_gzipped_tar_that_begins_with_its_directory",
    ),
    "6 null operation ids": (
        f"{MA}test_odd_results",
        f"{ARCHIVE}test_nameless_results_are_left_out",
    ),
    "6 empty files and []": (
        f"{ARCHIVE}test_empty_files_and_empty_lists_are_normal",
        f"{MB}test_files_hold_several_results_and_some_are_empty",
    ),
    "6 response is parsed twice; 204 is empty or null": (
        f"{ARCHIVE}test_an_answer_without_a_body_is_a_success_without_a_member",
        f"{ARCHIVE}test_the_member_is_read_from_the_answer",
        f"{MB}test_results_are_found_by_operation_id_and_parsed_twice",
    ),
    "6 results are unordered": (
        f"{FM}test_results_are_told_by_their_operation_in_whatever_order",
        f"{OUTBOX}test_an_operation_id_tells_its_update",
    ),
    "6 GET /batches: seven days, paged": (
        f"{FM}test_a_batch_of_more_than_seven_days_is_unknown",
        f"{MA}test_all_batches_beyond_the_default_page",
        f"{SB}test_a_batch_older_than_seven_days_is_settled_by_reading",
    ),
    "6 DELETE /batches": (
        f"{MA}test_a_stopped_batch_is_gone",
        f"{SB}test_a_batch_deleted_at_mailchimp_is_settled_by_reading",
        f"{MB}test_delete_stops_a_batch_and_its_results_are_gone",
    ),
    "6 no idempotency (C)": (
        f"{FM}test_two_submissions_are_two_batches",
        f"{SB}test_a_lost_batch_with_odd_results_is_not_sent_again",
    ),
    "6 a bulk incident is no data": (
        f"{SB}test_an_incident_that_answers_404_to_everything_removes_nobody",
        f"{MB}test_a_bulk_incident_fails_every_operation_the_same_way",
    ),
    "6 poll from 5 s, doubling, with a deadline": (
        f"{SM}test_a_batch_is_asked_about_ever_more_seldom_and_not_for_ever",
    ),
    "6 retry 429 and 5xx, never 400, 404, 422": (
        f"{FM}test_an_operation_that_failed_for_a_while_is_told_from_one_that_failed_for_good",
        f"{ARCHIVE}test_a_refusal_is_known_by_status_and_title",
    ),
    "6 batch webhook: its shape": (
        f"{MB}test_a_batch_webhook_tells_the_whole_batch",
        f"{MB}test_batch_webhooks_can_be_read_changed_disabled_and_deleted",
        f"{MU}test_batch_webhooks_are_made_read_changed_and_deleted",
        f"{MU}test_the_twenty_first_batch_webhook_is_refused",
    ),
    # --- 7: webhooks; for their payloads the simulator stands in
    "7 creating a webhook": (
        f"{MU}test_a_webhook_is_made_with_every_event_and_source_said",
        f"{MU}test_foreign_webhooks_and_newer_events_are_seen",
        f"{MW}test_a_webhook_can_be_made_read_changed_and_deleted",
        f"{MW}test_sources_decide_whose_changes_are_told",
        f"{MW}test_newer_events_are_accepted",
    ),
    "7 the URL is tried with a GET": (
        f"{MU}test_a_url_that_does_not_answer_is_refused_in_mailchimps_words",
        f"{MU}test_our_own_address_is_asked_as_mailchimp_asks_it",
        f"{MW}test_the_url_is_tried_with_a_get_when_that_is_switched_on",
    ),
    "7 delivery: form, encoded, ten seconds, 75 minutes": (
        f"{MW}test_brackets_are_percent_encoded",
        f"{MW}test_what_is_not_taken_is_tried_again_for_75_minutes",
    ),
    "7 410 disables for good": (f"{MW}test_410_disables_a_webhook_for_good",),
    "7 URLs that differ only in the query are duplicates": (
        f"{MU}test_urls_that_differ_only_in_the_query_are_refused",
    ),
    "7 the signature": (
        f"{MU}test_the_signing_secret_comes_with_the_creation_only",
        f"{MU}test_an_unsigned_webhook_has_no_secret",
        f"{MW}test_the_signature_covers_time_and_raw_body",
        f"{MW}test_the_signing_secret_is_shown_once",
        f"{MW}test_older_webhooks_are_not_signed",
    ),
    "7 payloads of subscribe, unsubscribe, profile, upemail, cleaned": (
        f"{MW}test_subscribe_payload",
        f"{MW}test_unsubscribe_payload",
        f"{MW}test_profile_payload",
        f"{MW}test_an_address_change_fires_upemail_and_profile",
        f"{MW}test_cleaned_payload",
    ),
    "7 api writes echo when asked for": (f"{MW}test_api_writes_echo_when_asked_for",),
}

MAILCHIMP_NOT_OURS = {
    "1 GET /ping": "GET / tells more, and proves the key as well",
    "1 X-HTTP-Method-Override": "not used; the simulator has it",
    "1 X-Trigger-Error": "for live tests only; the simulator has it",
    "2 POST /lists/{id} with 500 members": "never made: test_bulk_list_requests_are_never_made",
    "2 a member shows 50 tags at most": "tags are written and never read",
    "3 batch GET of members walks all pages": "members are read directly; the simulator has it",
    "5 tags on POST /lists/{id}": "not used; the simulator has it",
    "6 where skip_merge_validation goes": "not used",
    "7 campaign": "sending campaigns is no business of the tool; the simulator has it",
}

FACTS = {"civicrm": CIVICRM, "mailchimp": MAILCHIMP}
NOT_OURS = {"civicrm": CIVICRM_NOT_OURS, "mailchimp": MAILCHIMP_NOT_OURS}
COVERED = [
    pytest.param(node, id=f"{sheet}-{fact}-{number}")
    for sheet, facts in FACTS.items()
    for fact, nodes in facts.items()
    for number, node in enumerate(nodes)
]


@cache
def names_of_tests(module: str) -> frozenset[str]:
    """The names of a module's tests, by reading it."""
    tree = ast.parse((TESTS / module).read_text("utf-8"))
    return frozenset(
        node.name
        for node in tree.body
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")
    )


@pytest.mark.parametrize("node", COVERED)
def test_every_named_test_exists(node: str) -> None:
    module, _, name = node.partition("::")
    assert (TESTS / module).is_file(), f"no module {module}"
    assert name in names_of_tests(module), f"no {name} in {module}"


@pytest.mark.parametrize("sheet", FACTS)
def test_every_fact_has_a_test_or_a_reason(sheet: str) -> None:
    assert all(FACTS[sheet].values())
    assert all(NOT_OURS[sheet].values())
    assert not FACTS[sheet].keys() & NOT_OURS[sheet].keys()


def test_every_recorded_exchange_is_played_again() -> None:
    """What was measured as an exchange of its own is asked of the simulator, word for word."""
    played = {name for session in SESSIONS for name in session.names}
    assert played | NOT_REPLAYED.keys() == set(NAMES)
    module, _, name = REPLAY.partition("::")
    assert name in names_of_tests(module)


@pytest.mark.parametrize(
    "sheet", ["contract/test_facts_civicrm.py", "contract/test_facts_mailchimp.py"]
)
def test_no_test_of_a_fact_is_forgotten_here(sheet: str) -> None:
    """Each test that was written for a fact stands in the list, or in a reason."""
    prefix = f"{sheet}::"
    named = {
        node.removeprefix(prefix)
        for facts in FACTS.values()
        for nodes in facts.values()
        for node in nodes
        if node.startswith(prefix)
    }
    reasons = " ".join(reason for facts in NOT_OURS.values() for reason in facts.values())
    assert {name for name in names_of_tests(sheet) - named if name not in reasons} == set()
