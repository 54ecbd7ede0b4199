"""The kit proves itself: each of these broken storages fails the test that is to find its fault."""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

import pytest
from tests.conformance.broken_storage import FAULTS

from identity.adapters.memory import MemoryStorage
from identity.domain.errors import IdentityError
from identity.domain.events import Event
from identity.testing import storage as kit

CAUGHT_BY: Mapping[str, str] = {
    "nothing is rolled back": ("Transactions.test_an_exception_rolls_everything_back_and_is_let_through"),
    "a cancelled unit of work is committed": (
        "Transactions.test_a_cancelled_unit_of_work_is_rolled_back_and_the_next_one_works"
    ),
    "a terminated unit of work is committed": (
        "Transactions.test_an_exception_of_any_kind_rolls_everything_back"
    ),
    "exceptions are swallowed": "Transactions.test_an_exception_rolls_everything_back_and_is_let_through",
    "what is not committed is read": "Transactions.test_others_see_only_what_is_committed",
    "a nested unit of work joins the outer one": (
        "Transactions.test_a_unit_of_work_inside_another_is_refused_and_the_outer_one_goes_on"
    ),
    "a unit of work is read beside": (
        "Transactions.test_reading_beside_a_unit_of_work_from_inside_is_refused_and_it_goes_on"
    ),
    "a reader writes": "Transactions.test_every_write_in_a_unit_of_work_that_only_reads_is_refused",
    "a reader sees a snapshot": "Transactions.test_each_single_read_sees_what_was_committed_before_it",
    "a refused unit of work goes on": ("Transactions.test_a_unit_of_work_is_over_once_it_was_refused_a_name"),
    "a failed unit of work keeps its connection": (
        "Transactions.test_many_units_of_work_one_after_the_other_do_not_use_up_the_storage"
    ),
    "there are no transactions": (
        "Concurrency.test_two_that_need_the_same_accounts_in_opposite_order_leave_nothing_half_done"
    ),
    "logins do not wait": "Concurrency.test_logins_of_one_account_wait_for_each_other",
    "a save ignores the version": (
        "UsersBehaviour.test_a_save_of_an_old_copy_is_a_conflict_and_changes_nothing"
    ),
    "a save compares the version first": "Concurrency.test_the_version_counts_the_saves_that_succeeded",
    "a save notes a login": "UsersBehaviour.test_a_save_does_not_note_a_login",
    "a login is answered with None": ("UsersBehaviour.test_a_login_is_noted_and_leaves_the_version_alone"),
    "a login of a disabled account is noted": (
        "UsersBehaviour.test_a_login_of_a_disabled_account_is_not_noted"
    ),
    "a name is looked up before it is inserted": (
        "Concurrency.test_one_of_eight_registrations_of_a_username_wins"
    ),
    "an id is given again": "UsersBehaviour.test_the_id_of_an_account_is_never_given_to_another",
    "the constraint is guessed from the message": (
        "UsersBehaviour.test_a_name_that_quotes_the_other_constraint_does_not_confuse_them"
    ),
    "keys are compared without case": "TextBehaviour.test_keys_are_compared_exactly",
    "keys are compared without trailing space": (
        "TextBehaviour.test_a_key_that_only_resembles_one_finds_nothing"
    ),
    "a long name is cut": ("TextBehaviour.test_a_name_of_300_characters_is_refused_or_kept_but_never_cut"),
    "a name is cut at a NUL": ("TextBehaviour.test_a_nul_in_a_name_is_refused_or_kept_but_never_cuts_it"),
    "half a surrogate pair is replaced": (
        "TextBehaviour.test_half_a_surrogate_pair_in_a_name_is_refused_or_kept"
    ),
    "times come back without a zone": "TimeBehaviour.test_times_are_read_back_aware_and_in_utc",
    "times come back in another zone": "TimeBehaviour.test_times_are_read_back_aware_and_in_utc",
    "the zone of a time is ignored": (
        "TimeBehaviour.test_a_time_in_another_zone_is_read_back_as_the_same_instant_in_utc"
    ),
    "a time without a zone is taken": (
        "TimeBehaviour.test_a_time_without_a_zone_is_refused_and_nothing_stored"
    ),
    "times are cut to seconds": "TimeBehaviour.test_the_year_2100_is_kept_to_the_microsecond",
    "an account is added with a reserved name": (
        "ReservationsBehaviour.test_no_account_is_added_with_a_name_that_is_held"
    ),
    "a former address finds nobody": (
        "ReservationsBehaviour.test_the_account_for_which_an_address_is_held_is_found"
    ),
    "a found address hides a taken username": (
        "ReservationsBehaviour.test_a_username_is_refused_whether_or_not_the_address_is_found"
    ),
    "a found account's own name is refused": (
        "ReservationsBehaviour.test_the_account_whose_username_is_its_address_is_found_by_both"
    ),
    "sessions and mail outlive their account": (
        "ReservationsBehaviour.test_an_account_is_erased_with_all_that_is_its_own"
    ),
    "an account that was changed is erased": (
        "ReservationsBehaviour.test_an_account_that_was_changed_or_logged_in_to_is_not_erased"
    ),
    "whoever comes later holds a name": (
        "ReservationsBehaviour.test_a_name_that_is_held_is_refused_to_everybody_else"
    ),
    "a name is looked for before it is held": (
        "ReservationsBehaviour.test_one_of_eight_who_want_to_hold_a_name_gets_it"
    ),
    "a name is held from its holder": (
        "ReservationsBehaviour.test_a_name_is_not_held_from_the_account_that_it_is_held_for"
    ),
    "a name is released by anybody": (
        "ReservationsBehaviour.test_a_name_is_held_by_its_key_until_it_is_released"
    ),
    "a name is released by itself": (
        "ReservationsBehaviour.test_a_name_is_released_with_those_of_its_kind_that_are_held_as_long_or_longer"
    ),
    "a name is released with those that end earlier": (
        "ReservationsBehaviour.test_a_name_is_released_with_those_of_its_kind_that_are_held_as_long_or_longer"
    ),
    "a name is held no longer than at first": (
        "ReservationsBehaviour.test_an_account_that_holds_a_name_may_hold_it_longer"
    ),
    "names are purged too early": (
        "ReservationsBehaviour.test_names_that_ended_before_the_limit_are_held_until_they_are_purged"
    ),
    "names are purged without limit": (
        "ReservationsBehaviour.test_no_more_names_are_purged_at_once_than_was_said"
    ),
    "a rotation ignores what it replaces": (
        "SessionsBehaviour.test_a_rotation_of_an_old_copy_changes_nothing"
    ),
    "a rotation compares first": "Concurrency.test_one_of_eight_rotations_of_a_session_wins",
    "a session is revoked twice": "SessionsBehaviour.test_a_session_is_revoked_once",
    "a session is revoked for anybody": (
        "SessionsBehaviour.test_a_session_is_revoked_for_its_own_account_only"
    ),
    "a rotation forgets since when": "SessionsBehaviour.test_a_rotation_stores_what_it_was_given",
    "revoked sessions are listed": (
        "SessionsBehaviour.test_the_sessions_of_an_account_that_were_not_revoked_are_listed_last_used_first"
    ),
    "sessions are listed oldest first": (
        "SessionsBehaviour.test_the_sessions_of_an_account_that_were_not_revoked_are_listed_last_used_first"
    ),
    "sessions are listed in no order": (
        "SessionsBehaviour.test_sessions_used_at_the_same_time_are_listed_in_the_same_order_each_time"
    ),
    "every use is noted": ("SessionsBehaviour.test_a_use_is_noted_unless_one_was_noted_later_than_the_limit"),
    "a use is compared first": "Concurrency.test_one_of_eight_uses_of_a_session_is_noted",
    "a use undoes a rotation": "Concurrency.test_a_use_that_is_noted_meanwhile_does_not_undo_a_rotation",
    "no session is spared": "SessionsBehaviour.test_all_sessions_of_an_account_end_besides_one",
    "sessions that were over are counted": (
        "SessionsBehaviour.test_all_sessions_of_an_account_end_besides_one"
    ),
    "one session too many is kept": (
        "SessionsBehaviour.test_the_oldest_sessions_end_when_there_are_too_many"
    ),
    "the surplus is judged before others log in": (
        "Concurrency.test_eight_logins_at_once_leave_no_more_sessions_than_are_kept"
    ),
    "sessions are purged too early": (
        "SessionsBehaviour.test_only_sessions_that_ended_before_the_limit_are_purged"
    ),
    "sessions are purged without limit": (
        "SessionsBehaviour.test_no_more_sessions_are_purged_at_once_than_was_said"
    ),
    "devices are known for ever": (
        "DevicesBehaviour.test_a_device_is_known_while_it_was_seen_later_than_the_limit"
    ),
    "a device is known when it is first seen": ("DevicesBehaviour.test_a_device_is_known_once_it_was_seen"),
    "devices are shared by accounts": "DevicesBehaviour.test_a_device_is_that_of_one_account",
    "a device is turned back": (
        "DevicesBehaviour.test_a_clock_that_is_behind_does_not_make_a_device_less_known"
    ),
    "devices of nobody are noted": "DevicesBehaviour.test_a_device_of_nobody_is_not_noted",
    "a device is looked up before it is noted": (
        "Concurrency.test_one_of_eight_logins_from_a_device_is_the_first"
    ),
    "the newest devices are forgotten": (
        "DevicesBehaviour.test_the_devices_seen_longest_ago_are_forgotten_when_there_are_too_many"
    ),
    "devices are purged too early": (
        "DevicesBehaviour.test_only_devices_last_seen_before_the_limit_are_purged"
    ),
    "devices are purged without limit": (
        "DevicesBehaviour.test_no_more_devices_are_purged_at_once_than_was_said"
    ),
    "a token is spent twice": "OneTimeTokensBehaviour.test_a_token_is_found_until_it_is_spent",
    "a token is looked up before it is spent": ("Concurrency.test_one_of_eight_spenders_of_a_token_wins"),
    "a token outlives its end": ("OneTimeTokensBehaviour.test_a_token_is_good_until_the_moment_it_expires"),
    "an undo is voided": "OneTimeTokensBehaviour.test_voiding_spares_what_undoes_a_change",
    "an intent counts itself": (
        "OneTimeTokensBehaviour"
        ".test_intents_whose_mail_left_are_counted_once_each_and_spent_or_void_tokens_too"
    ),
    "counts do not wait": "Concurrency.test_counts_of_one_account_wait_for_each_other",
    "a code is spent twice": "LoginCodesBehaviour.test_a_code_is_spent_once_and_all_is_over_then",
    "a code is looked up before it is spent": (
        "LoginCodesBehaviour.test_one_of_eight_spenders_of_a_code_wins"
    ),
    "tries are looked up before they are counted": (
        "LoginCodesBehaviour.test_of_eight_tries_at_once_no_more_are_counted_than_may_be"
    ),
    "tries are not counted for nobody": (
        "LoginCodesBehaviour.test_tries_are_counted_until_there_were_as_many_as_may_be"
    ),
    "any code will do": "LoginCodesBehaviour.test_only_the_right_digest_spends_a_code",
    "the first code is the one that counts": (
        "LoginCodesBehaviour.test_the_latest_digest_is_the_one_that_counts"
    ),
    "a new code has its tries anew": "LoginCodesBehaviour.test_a_new_digest_brings_no_new_tries",
    "a code outlives its end": "LoginCodesBehaviour.test_a_code_is_good_until_the_moment_it_expires",
    "codes outlive their account": (
        "LoginCodesBehaviour.test_codes_are_erased_with_the_account_that_has_their_address"
    ),
    "codes are purged too early": (
        "LoginCodesBehaviour.test_only_codes_that_expired_before_the_limit_are_purged"
    ),
    "codes are purged without limit": (
        "LoginCodesBehaviour.test_no_more_codes_are_purged_at_once_than_was_said"
    ),
    "intents are not coalesced": ("OutboxBehaviour.test_unclaimed_intents_of_one_kind_and_reader_become_one"),
    "a lease is ignored by other workers": (
        "OutboxBehaviour.test_a_claimed_intent_is_due_again_when_its_lease_lapses"
    ),
    "a lost lease is as good as any": (
        "OutboxBehaviour.test_one_whose_lease_was_taken_over_can_do_nothing_any_more"
    ),
    "a lease is settled as a whole": (
        "OutboxBehaviour.test_settling_one_intent_spares_the_others_of_the_same_lease"
    ),
    "a released attempt is counted": (
        "OutboxBehaviour.test_a_released_intent_is_due_at_once_and_the_attempt_not_counted"
    ),
    "attempts are not counted": "OutboxBehaviour.test_a_postponed_intent_is_due_at_its_new_time",
    "all that waits is in one queue": "OutboxBehaviour.test_a_queue_is_not_aware_of_the_others",
    "nothing but mail is told of the backlog": "OutboxBehaviour.test_how_much_there_is_in_each_queue_is_told",
    "dead letters are counted among those that wait": (
        "OutboxBehaviour.test_how_much_there_is_in_each_queue_is_told"
    ),
    "webhooks of a kind are coalesced": "OutboxBehaviour.test_webhooks_of_one_kind_stay_apart",
    "mail that waits for long is purged": "OutboxBehaviour.test_only_dead_letters_are_purged",
    "webhooks of forgotten endpoints are kept": (
        "OutboxBehaviour.test_webhooks_that_nobody_takes_any_more_are_purged"
    ),
    "webhooks are erased with the account": (
        "OutboxBehaviour.test_an_erased_account_leaves_its_webhooks_to_be_sent"
    ),
    "dead letters are purged without limit": (
        "OutboxBehaviour.test_no_more_dead_letters_are_purged_at_once_than_was_said"
    ),
    "events are not kept": (
        "AuditLogBehaviour.test_an_event_is_kept_whole_even_of_an_account_that_is_not_there"
    ),
    "an event is logged once only": "AuditLogBehaviour.test_the_same_thing_may_happen_twice",
    "events do not say whose doing they are": (
        "AuditLogBehaviour.test_an_event_is_kept_whole_even_of_an_account_that_is_not_there"
    ),
    "events do not say by which request they came about": (
        "AuditLogBehaviour.test_an_event_says_by_which_request_it_came_about"
    ),
    "salts outlive the clients": (
        "AuditSealsBehaviour.test_a_client_that_is_forgotten_takes_its_salt_along_and_leaves_its_digest"
    ),
    "events are sealed again": "AuditSealsBehaviour.test_what_is_sealed_is_not_sealed_again",
    "events that are gone are sealed": "AuditSealsBehaviour.test_what_is_sealed_is_not_sealed_again",
    "a day that has changed is gone on with": (
        "AuditSealsBehaviour.test_a_day_is_not_gone_on_with_unless_it_is_as_it_was"
    ),
    "days are read by their names": (
        "AuditSealsBehaviour.test_days_are_read_by_the_last_entry_that_was_sealed_on_them"
    ),
    "a day is purged twice": "AuditSealsBehaviour.test_a_day_is_marked_as_purged_once",
    "later events are purged": (
        "AuditSealsBehaviour.test_the_first_entries_are_purged_and_no_more_at_once_than_was_said"
    ),
    "events are purged without limit": (
        "AuditSealsBehaviour.test_the_first_entries_are_purged_and_no_more_at_once_than_was_said"
    ),
    "a history has no revoked sessions": (
        "MyDataBehaviour.test_the_history_of_sessions_has_those_that_are_over_and_the_newest_first"
    ),
    "a history has no limit": (
        "MyDataBehaviour.test_the_history_of_sessions_has_those_that_are_over_and_the_newest_first"
    ),
    "devices are listed in any order": (
        "MyDataBehaviour.test_the_devices_of_an_account_are_listed_as_they_were_seen_last"
    ),
    "names of nobody are listed as one's own": (
        "MyDataBehaviour.test_the_names_that_are_held_for_an_account_are_listed_as_they_end"
    ),
    "events are read as they were noted": (
        "MyDataBehaviour.test_the_events_of_an_account_are_read_from_the_latest_on"
    ),
    "events of others are read as one's own": (
        "MyDataBehaviour.test_the_events_of_an_account_are_read_from_the_latest_on"
    ),
    "clients of all accounts are forgotten": (
        "MyDataBehaviour.test_events_are_forgotten_to_have_come_from_anywhere_of_one_account_only"
    ),
    "clients are not forgotten": (
        "MyDataBehaviour.test_events_are_forgotten_to_have_come_from_anywhere_of_one_account_only"
    ),
    "an account is erased too early": (
        "MyDataBehaviour.test_accounts_are_due_for_erasure_at_their_time_the_longest_due_first"
    ),
    "accounts are due without limit": (
        "MyDataBehaviour.test_accounts_are_due_for_erasure_at_their_time_the_longest_due_first"
    ),
    "a superuser who is leaving counts": ("MyDataBehaviour.test_superusers_are_open_who_are_not_closed"),
    "superusers do not wait for each other": (
        "MyDataBehaviour.test_of_superusers_who_all_want_to_go_at_once_one_stays"
    ),
    "a search ends with its first page": (
        "AdministrationBehaviour.test_pages_of_any_length_have_every_account_once_and_in_order"
    ),
    "a search begins anew": (
        "AdministrationBehaviour.test_pages_of_any_length_have_every_account_once_and_in_order"
    ),
    "a search has no limit": (
        "AdministrationBehaviour.test_pages_of_any_length_have_every_account_once_and_in_order"
    ),
    "addresses are not searched": (
        "AdministrationBehaviour.test_accounts_are_found_by_the_beginning_of_a_key_and_no_other_way"
    ),
    "an account is shown under each name": (
        "AdministrationBehaviour.test_an_account_is_shown_at_the_lesser_of_two_keys_whichever_page_the_other_is_on"
    ),
    "the log is read from its beginning": (
        "AdministrationBehaviour.test_the_audit_log_is_read_by_all_that_is_asked_for_the_latest_noted_first"
    ),
    "the log is read as it happened": (
        "AdministrationBehaviour.test_the_audit_log_is_read_by_all_that_is_asked_for_the_latest_noted_first"
    ),
    "the log is read whatever the kind": (
        "AdministrationBehaviour.test_the_audit_log_is_read_by_all_that_is_asked_for_the_latest_noted_first"
    ),
    "the log is read beyond its end": (
        "AdministrationBehaviour.test_the_audit_log_is_read_by_all_that_is_asked_for_the_latest_noted_first"
    ),
    "dead letters are listed among those that wait": (
        "AdministrationBehaviour.test_letters_are_listed_as_they_wait_or_died_and_of_each_only_its_envelope"
    ),
    "one letter is listed of each moment": (
        "AdministrationBehaviour.test_pages_of_letters_go_on_where_the_one_before_ended"
    ),
    "a letter that waits is retried": ("AdministrationBehaviour.test_only_a_dead_letter_is_retried"),
    "a letter is retried only once": (
        "AdministrationBehaviour.test_a_dead_letter_that_is_retried_is_as_one_that_was_never_tried"
    ),
    "a letter is looked at before it is retried": (
        "AdministrationBehaviour.test_one_of_eight_who_retry_a_letter_does"
    ),
    "a second key is taken for the first": (
        "SigningKeysBehaviour.test_a_key_that_is_not_the_first_is_not_stored"
    ),
    "keys are looked for before the first is added": (
        "Concurrency.test_one_of_eight_first_signing_keys_is_stored"
    ),
    "a key has several successors": "SigningKeysBehaviour.test_a_key_has_one_successor_at_most",
    "a retired successor does not count": (
        "SigningKeysBehaviour.test_a_key_whose_successor_is_retired_gets_no_other"
    ),
    "a successor is looked for before one is added": (
        "Concurrency.test_one_of_eight_successors_of_a_signing_key_is_stored"
    ),
    "keys are read in the order in which they sign": (
        "SigningKeysBehaviour.test_keys_are_read_from_the_oldest_to_the_newest_whenever_they_sign"
    ),
    "a key signs from the moment it was made": (
        "SigningKeysBehaviour.test_a_next_signing_key_is_read_back_as_it_was_added"
    ),
    "a key is retired twice": ("SigningKeysBehaviour.test_a_key_is_retired_once_and_the_others_are_spared"),
    "a key is looked at before it is retired": (
        "Concurrency.test_one_of_eight_retirements_of_a_signing_key_wins"
    ),
    "all keys are retired": ("SigningKeysBehaviour.test_a_key_is_retired_once_and_the_others_are_spared"),
    "a key with a similar id is retired": (
        "SigningKeysBehaviour.test_a_key_that_is_not_there_is_neither_retired_nor_sealed_anew"
    ),
    "a new seal replaces the whole key": (
        "SigningKeysBehaviour.test_a_new_seal_replaces_the_old_one_and_nothing_else"
    ),
    "a key that is not there is sealed": (
        "SigningKeysBehaviour.test_a_key_that_is_not_there_is_neither_retired_nor_sealed_anew"
    ),
    "bytes are cut at a zero": "TextBehaviour.test_a_sealed_key_may_hold_any_bytes",
}
"""For each fault, the test of the kit that finds it."""

# By a refusal too: one that nobody asked for, of a storage that takes two things for the same.
FAILURES = (AssertionError, pytest.fail.Exception, IdentityError)


class _ReadsEvents:
    async def events_of(self, storage: Any) -> Sequence[Event]:
        return storage.events


def of_the_kit(name: str) -> Callable[[Any], Awaitable[None]]:
    class_name, _, test = name.partition(".")
    bound = type(class_name, (_ReadsEvents, getattr(kit, class_name)), {})
    return getattr(bound(), test)


def names_of_tests_in(kit_class: type) -> list[str]:
    return [name for name in vars(kit_class) if name.startswith("test_")]


@pytest.mark.parametrize("fault", CAUGHT_BY)
async def test_a_planted_fault_is_found(fault: str) -> None:
    ask = of_the_kit(CAUGHT_BY[fault])
    await ask(MemoryStorage())
    with pytest.raises(FAILURES):
        await ask(FAULTS[fault]())


def test_every_planted_fault_is_looked_for() -> None:
    assert set(CAUGHT_BY) == set(FAULTS)


def test_every_class_of_the_kit_finds_a_fault() -> None:
    finders = {name.partition(".")[0] for name in CAUGHT_BY.values()}
    assert finders == {kit_class.__name__ for kit_class in kit.StorageConformance.__bases__}


def test_no_test_of_the_kit_hides_another_of_the_same_name() -> None:
    names = Counter(
        name for kit_class in kit.StorageConformance.__bases__ for name in names_of_tests_in(kit_class)
    )
    assert [name for name, count in names.items() if count > 1] == []
