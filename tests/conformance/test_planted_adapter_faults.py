"""The conformance kit proves itself: adapters with a fault fail the test that is there to notice it."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from typing import Any

import pytest
from tests.conformance import broken_adapters as broken
from tests.conformance import broken_lanes as lanes
from tests.conformance import broken_senders as senders
from tests.conformance.broken_adapters import CarefulMailer, RefusedMailer, ScryptHasher, UnreachableMailer
from tests.conformance.test_webhook_senders import received_by

from identity.adapters.mail.jinja import JinjaRenderer
from identity.adapters.memory import FixedClock, MemoryTokens, SeededRandomness, WordList
from identity.adapters.system import SystemClock
from identity.domain.errors import IdentityError
from identity.testing.clock import ClockConformance
from identity.testing.common_passwords import CommonPasswordsConformance
from identity.testing.hasher import HasherConformance
from identity.testing.hashing_lane import HashingLaneConformance
from identity.testing.mailer import Delivered, MailerConformance
from identity.testing.randomness import RandomnessConformance
from identity.testing.renderer import RendererConformance
from identity.testing.tokens import TokensConformance
from identity.testing.webhooks import WebhookSenderConformance

CAUGHT_BY: Mapping[type, str] = {
    # hashers
    broken.HasherThatEncodes: "HasherConformance.test_a_hash_does_not_show_the_password",
    broken.HasherThatReturnsNothing: (
        "HasherConformance.test_a_hash_is_one_printable_line_that_a_storage_can_keep"
    ),
    broken.HasherThatMakesLongHashes: (
        "HasherConformance.test_a_hash_is_one_printable_line_that_a_storage_can_keep"
    ),
    broken.HasherWithoutSalt: "HasherConformance.test_two_hashes_of_one_password_differ",
    broken.HasherThatTakesNoPassword: "HasherConformance.test_a_password_matches_its_own_hash",
    broken.HasherThatTakesEveryPassword: "HasherConformance.test_no_other_password_matches",
    broken.HasherThatIgnoresCase: "HasherConformance.test_no_other_password_matches",
    broken.HasherThatStrips: "HasherConformance.test_no_other_password_matches",
    broken.HasherThatNormalises: "HasherConformance.test_no_other_password_matches",
    broken.HasherThatStopsAtANul: "HasherConformance.test_every_character_of_a_long_password_counts",
    broken.HasherThatChokesOnSurrogates: "HasherConformance.test_any_text_can_be_a_password",
    broken.HasherThatReadsOnly72Bytes: "HasherConformance.test_every_character_of_a_long_password_counts",
    broken.HasherThatReplacesSurrogates: "HasherConformance.test_every_character_of_a_long_password_counts",
    broken.HasherThatTakesNobody: "HasherConformance.test_nobody_has_a_password_that_matches",
    broken.HasherThatChokesOnForeignHashes: "HasherConformance.test_what_is_no_hash_matches_nothing",
    broken.HasherThatTakesCutHashes: "HasherConformance.test_what_is_no_hash_matches_nothing",
    broken.HasherThatChokesBeyondAscii: "HasherConformance.test_a_hash_beyond_ascii_matches_nothing",
    broken.HasherThatBlocks: "HasherConformance.test_the_event_loop_goes_on_meanwhile",
    broken.HasherThatMixesThemUp: "HasherConformance.test_passwords_that_are_hashed_at_once_are_kept_apart",
    broken.HasherThatIsNeverContent: "HasherConformance.test_a_fresh_hash_is_up_to_date",
    broken.HasherThatIsAlwaysContent: "HasherConformance.test_a_hash_of_other_parameters_is_out_of_date",
    broken.HasherThatForgetsOldParameters: (
        "HasherConformance.test_a_hash_of_other_parameters_still_matches_its_password"
    ),
    # tokens
    broken.TokensWithoutASession: "TokensConformance.test_a_token_says_what_it_was_given",
    broken.TokensThatMixThemUp: "TokensConformance.test_each_claim_is_told_apart_from_another_s",
    broken.TokensThatCanBeReadOnce: "TokensConformance.test_reading_a_token_does_not_use_it_up",
    broken.TokensThatRoundUp: "TokensConformance.test_a_fraction_of_a_second_never_lengthens_a_life",
    broken.TokensOfSeveralLines: "TokensConformance.test_a_token_fits_into_a_header",
    broken.TokensOfAnyKind: "TokensConformance.test_a_token_of_the_other_kind_is_refused",
    broken.TokensThatExpectAccess: "TokensConformance.test_either_kind_is_read_where_none_is_expected",
    broken.TokensThatEndEarly: "TokensConformance.test_a_token_is_good_until_its_end",
    broken.TokensThatEndLate: "TokensConformance.test_a_refresh_token_is_expired_from_its_end_on",
    broken.TokensThatNeverEnd: "TokensConformance.test_an_access_token_is_expired_a_little_after_its_end",
    broken.TokensOfEverybodysKey: "TokensConformance.test_a_token_of_another_key_is_invalid",
    broken.TokensWithoutASignature: "TokensConformance.test_a_token_that_was_changed_anywhere_is_invalid",
    broken.TokensThatMayBeCut: "TokensConformance.test_a_token_that_was_cut_anywhere_is_invalid",
    broken.TokensSignedByTheirLength: "TokensConformance.test_the_parts_of_two_tokens_do_not_make_a_third",
    broken.TokensInAnyWrapping: "TokensConformance.test_a_token_with_something_around_it_is_invalid",
    broken.TokensThatChokeOnNonsense: "TokensConformance.test_what_is_no_token_is_invalid",
    broken.TokensThatJudgeTheKindFirst: ("TokensConformance.test_of_several_faults_the_first_is_the_reason"),
    # renderers
    broken.RendererWithoutText: "RendererConformance.test_every_mail_gets_a_subject_a_text_and_a_page",
    broken.RendererOfOneLanguage: "RendererConformance.test_every_language_has_words_of_its_own",
    broken.RendererThatTakesALocaleToTheLetter: (
        "RendererConformance.test_a_locale_that_is_not_there_is_made_up_for_by_its_language"
    ),
    broken.RendererThatStumblesOverALanguage: (
        "RendererConformance.test_a_language_that_is_not_there_is_made_up_for_by_the_deployment_s"
    ),
    broken.RendererOfLongSubjects: "RendererConformance.test_the_subject_is_one_line",
    broken.RendererThatLowersAddresses: (
        "RendererConformance.test_a_mail_keeps_its_recipient_and_the_id_and_date_it_is_given"
    ),
    broken.RendererOfItsOwnIds: (
        "RendererConformance.test_a_mail_keeps_its_recipient_and_the_id_and_date_it_is_given"
    ),
    broken.RendererThatLosesTheLink: (
        "RendererConformance.test_the_text_has_the_link_once_and_free_of_everything_else"
    ),
    broken.RendererThatBreaksLines: (
        "RendererConformance.test_the_text_has_the_link_once_and_free_of_everything_else"
    ),
    broken.RendererThatEndsASentenceWithTheLink: (
        "RendererConformance.test_the_text_has_the_link_once_and_free_of_everything_else"
    ),
    broken.RendererThatCountsClicks: (
        "RendererConformance.test_every_link_of_the_page_leads_where_the_mail_says"
    ),
    broken.RendererThatLosesTheButton: (
        "RendererConformance.test_every_link_of_the_page_leads_where_the_mail_says"
    ),
    broken.RendererThatShowsTheLinkOutside: "RendererConformance.test_the_link_is_in_the_bodies_only",
    broken.RendererThatDoesNotEscape: "RendererConformance.test_nobody_can_write_markup_into_a_page",
    broken.RendererThatEscapesTheText: "RendererConformance.test_the_text_is_not_escaped",
    broken.RendererThatCountsReaders: "RendererConformance.test_a_page_loads_nothing_and_runs_nothing",
    broken.RendererWithAFont: "RendererConformance.test_a_page_loads_nothing_and_runs_nothing",
    # mailers
    broken.MailerThatLosesThePage: "MailerConformance.test_a_mail_that_is_handed_over_arrives",
    broken.MailerThatLowersAddresses: "MailerConformance.test_a_mail_that_is_handed_over_arrives",
    broken.MailerOfAsciiSubjects: "MailerConformance.test_a_subject_arrives_in_any_script",
    broken.MailerOfShortSubjects: "MailerConformance.test_a_long_subject_arrives_whole",
    broken.MailerOfLatin1: "MailerConformance.test_both_bodies_arrive_in_any_script",
    broken.MailerThatBreaksLines: "MailerConformance.test_a_line_of_5_000_characters_arrives_whole",
    broken.MailerThatEndsAtADot: (
        "MailerConformance.test_lines_that_mean_something_to_a_mail_server_arrive_as_they_are"
    ),
    broken.MailerThatQuotesFrom: (
        "MailerConformance.test_lines_that_mean_something_to_a_mail_server_arrive_as_they_are"
    ),
    broken.MailerThatDoublesLineBreaks: "MailerConformance.test_lines_stay_lines_however_they_end",
    broken.MailerThatDropsEverySecond: (
        "MailerConformance.test_of_mails_that_are_sent_at_once_each_arrives_once"
    ),
    broken.MailerThatSendsTwice: "MailerConformance.test_of_mails_that_are_sent_at_once_each_arrives_once",
    broken.MailerOfANewIdEachTime: (
        "MailerConformance.test_a_mail_that_is_sent_twice_has_one_message_id_and_no_other_has_it"
    ),
    broken.MailerOfOneId: (
        "MailerConformance.test_a_mail_that_is_sent_twice_has_one_message_id_and_no_other_has_it"
    ),
    broken.MailerThatMendsHeaders: (
        "MailerConformance.test_a_line_break_in_a_header_is_refused_and_nothing_leaves"
    ),
    broken.MailerThatDecodesSubjects: (
        "MailerConformance.test_nothing_in_a_header_is_decoded_on_its_way_out"
    ),
    broken.MailerThatSwallowsFailures: (
        "MailerConformance.test_a_mail_that_is_refused_for_good_is_refused_without_its_link"
    ),
    broken.MailerThatTriesForEver: (
        "MailerConformance.test_a_mail_that_is_refused_for_good_is_refused_without_its_link"
    ),
    broken.MailerThatGivesUp: (
        "MailerConformance.test_a_mail_to_a_server_that_is_not_there_is_deferred_without_its_link"
    ),
    broken.MailerThatQuotesTheMail: (
        "MailerConformance.test_a_mail_to_a_server_that_is_not_there_is_deferred_without_its_link"
    ),
    broken.MailerThatCannotBeInterrupted: (
        "MailerConformance.test_a_mailer_that_is_interrupted_stops_and_can_be_used_again"
    ),
    broken.MailerThatTakesAnInterruptionForAFailure: (
        "MailerConformance.test_a_mailer_that_is_interrupted_stops_and_can_be_used_again"
    ),
    # senders of webhooks
    senders.SenderOfItsOwnTime: (
        "WebhookSenderConformance.test_a_webhook_arrives_once_as_a_post_with_its_headers"
    ),
    senders.SenderOfOneSignature: (
        "WebhookSenderConformance.test_a_webhook_arrives_once_as_a_post_with_its_headers"
    ),
    senders.SenderThatEndsTheLine: ("WebhookSenderConformance.test_a_body_arrives_octet_for_octet"),
    senders.SenderThatWritesTheBodyAnew: ("WebhookSenderConformance.test_a_body_arrives_octet_for_octet"),
    senders.SenderThatSendsTwice: (
        "WebhookSenderConformance.test_of_webhooks_that_are_sent_at_once_each_arrives_once"
    ),
    senders.SenderThatDropsEverySecond: (
        "WebhookSenderConformance.test_of_webhooks_that_are_sent_at_once_each_arrives_once"
    ),
    senders.SenderThatMixesThemUp: (
        "WebhookSenderConformance.test_of_webhooks_that_are_sent_at_once_each_arrives_once"
    ),
    senders.SenderThatKnows200And204: (
        "WebhookSenderConformance.test_every_status_of_success_says_that_it_was_received"
    ),
    senders.SenderThatTakesEveryAnswer: (
        "WebhookSenderConformance.test_every_other_status_but_410_defers_the_webhook"
    ),
    senders.SenderThatTakesARedirectForAnAnswer: (
        "WebhookSenderConformance.test_every_other_status_but_410_defers_the_webhook"
    ),
    senders.SenderThatGivesUpOnAClientError: (
        "WebhookSenderConformance.test_every_other_status_but_410_defers_the_webhook"
    ),
    senders.SenderThatNeverGivesUp: ("WebhookSenderConformance.test_410_refuses_the_webhook"),
    senders.SenderThatFollowsRedirects: ("WebhookSenderConformance.test_a_redirect_is_not_followed"),
    senders.SenderThatSwallowsFailures: (
        "WebhookSenderConformance.test_an_endpoint_that_is_not_there_defers_the_webhook"
    ),
    senders.SenderThatGivesUpOnWhoIsAway: (
        "WebhookSenderConformance.test_an_endpoint_that_is_not_there_defers_the_webhook"
    ),
    senders.SenderThatTellsTheAddress: (
        "WebhookSenderConformance.test_no_error_tells_what_was_sent_or_answered"
    ),
    senders.SenderThatQuotesTheAnswer: (
        "WebhookSenderConformance.test_no_error_tells_what_was_sent_or_answered"
    ),
    senders.SenderThatShowsTheWebhook: (
        "WebhookSenderConformance.test_no_error_tells_what_was_sent_or_answered"
    ),
    senders.SenderThatCannotBeInterrupted: (
        "WebhookSenderConformance.test_a_sender_that_is_interrupted_stops_and_can_be_used_again"
    ),
    senders.SenderThatTakesAnInterruptionForAFailure: (
        "WebhookSenderConformance.test_a_sender_that_is_interrupted_stops_and_can_be_used_again"
    ),
    # clocks
    broken.NaiveClock: "ClockConformance.test_the_time_is_aware_and_in_utc",
    broken.ClockOfAnotherZone: "ClockConformance.test_the_time_is_aware_and_in_utc",
    broken.ClockOfTheLocalZone: "ClockConformance.test_the_time_is_aware_and_in_utc",
    broken.ClockThatTakesLocalTimeForUtc: (
        "ClockConformance.test_the_time_does_not_depend_on_where_the_machine_is"
    ),
    broken.ClockOfWholeSeconds: "ClockConformance.test_the_time_is_told_to_the_microsecond",
    # randomness
    broken.RandomnessInUpperCase: (
        "RandomnessConformance.test_an_identifier_is_32_lower_case_hexadecimal_digits"
    ),
    broken.RandomnessTooShort: "RandomnessConformance.test_an_identifier_is_32_lower_case_hexadecimal_digits",
    broken.RandomnessWithPadding: (
        "RandomnessConformance.test_a_token_is_43_characters_of_base64url_that_do_not_show_themselves"
    ),
    broken.RandomnessThatShowsTokens: (
        "RandomnessConformance.test_a_token_is_43_characters_of_base64url_that_do_not_show_themselves"
    ),
    broken.RandomnessThatRepeats: "RandomnessConformance.test_no_identifier_comes_twice",
    broken.RandomnessThatRepeatsTokens: "RandomnessConformance.test_no_token_comes_twice",
    broken.RandomnessOfUuids: "RandomnessConformance.test_each_of_the_128_bits_of_an_identifier_varies",
    broken.RandomnessOf128BitTokens: "RandomnessConformance.test_each_of_the_256_bits_of_a_token_varies",
    broken.RandomnessWithoutLeadingZeros: (
        "RandomnessConformance.test_each_place_of_the_digits_has_each_value"
    ),
    broken.RandomnessThatShowsDigits: (
        "RandomnessConformance.test_digits_are_as_many_as_were_asked_for_and_do_not_show_themselves"
    ),
    broken.RandomnessOfPercentages: (
        "RandomnessConformance.test_fractions_lie_between_0_and_1_and_in_every_tenth_of_it"
    ),
    broken.RandomnessOfCoins: (
        "RandomnessConformance.test_fractions_lie_between_0_and_1_and_in_every_tenth_of_it"
    ),
    # common passwords
    broken.CommonPasswordsInOneSpelling: (
        "CommonPasswordsConformance.test_a_common_password_is_found_in_any_case"
    ),
    broken.EveryPasswordIsCommon: "CommonPasswordsConformance.test_a_password_of_one_s_own_is_not_found",
    broken.CommonPasswordsByPrefix: "CommonPasswordsConformance.test_a_password_of_one_s_own_is_not_found",
    broken.CommonPasswordsInOneText: "CommonPasswordsConformance.test_odd_texts_are_simply_not_found",
    broken.CommonPasswordsInUtf8: "CommonPasswordsConformance.test_odd_texts_are_simply_not_found",
    # lanes for hashing
    lanes.LaneOfOneMore: "HashingLaneConformance.test_as_many_have_their_turn_at_once_as_there_are_slots",
    lanes.LaneThatServesTheLastFirst: "HashingLaneConformance.test_turns_come_in_the_order_of_asking",
    lanes.LaneThatLosesASlotToAnError: (
        "HashingLaneConformance.test_a_turn_that_raises_gives_its_slot_to_the_next"
    ),
    lanes.LaneThatForgetsNobody: (
        "HashingLaneConformance.test_whoever_goes_away_while_waiting_gives_up_their_place"
    ),
    lanes.LaneThatLosesATurnThatNobodyTakes: (
        "HashingLaneConformance.test_whoever_goes_away_when_their_turn_has_come_gives_it_to_the_next"
    ),
    lanes.LaneOfEndlessPatience: "HashingLaneConformance.test_whoever_would_wait_for_too_long_is_refused",
    lanes.LaneThatTakesTheLate: (
        "HashingLaneConformance.test_whoever_asks_again_has_no_more_time_than_at_first"
    ),
    lanes.LaneThatKnowsNobody: "HashingLaneConformance.test_it_is_known_who_waits",
    lanes.LaneThatCountsWhoHasATurnAmongThoseWhoWait: "HashingLaneConformance.test_its_load_is_known",
    lanes.LaneThatForgetsWhomItRefused: "HashingLaneConformance.test_its_load_is_known",
}

Fixtures = Mapping[str, Any]


async def of_hasher(fault: type | None) -> Fixtures:
    honest = ScryptHasher()
    spoilt = honest if fault is None else fault(honest) if issubclass(fault, broken.Hasher) else fault()
    outdated = await ScryptHasher(n=4).hash(HasherConformance.password)
    return {"hasher": spoilt, "outdated_hash": outdated}


async def of_tokens(fault: type | None) -> Fixtures:
    kind, clock = fault or MemoryTokens, FixedClock(datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC))
    return {"tokens": kind(clock), "foreign_tokens": kind(clock, key=b"another key"), "clock": clock}


async def of_renderer(fault: type | None) -> Fixtures:
    honest = JinjaRenderer(service="Acme Cloud")
    return {"renderer": fault(honest) if fault else honest}


async def of_mailer(fault: type | None) -> Fixtures:
    spoil, honest = fault or (lambda mailer: mailer), CarefulMailer()

    async def delivered() -> list[Delivered]:
        return [
            Delivered(
                message_id=mail.id, to=mail.to.value, subject=mail.subject, text=mail.text, html=mail.html
            )
            for mail in honest.sent
        ]

    return {
        "mailer": spoil(honest),
        "delivered": delivered,
        "mailer_that_is_refused": spoil(RefusedMailer()),
        "mailer_that_cannot_connect": spoil(UnreachableMailer()),
    }


async def of_sender(fault: type | None) -> Fixtures:
    spoil, nobody = fault or (lambda sender: sender), "https://nobody.example/canary"
    honest = senders.CarefulSender({nobody: None})

    def answering(status: int) -> str:
        url = f"{senders.ENDPOINT}/canary/{status}"
        honest.answers[url] = status
        return url

    return {
        "sender": spoil(honest),
        "endpoint": senders.ENDPOINT,
        "answering": answering,
        "nobody": nobody,
        "received": received_by(honest),
    }


async def of_clock(fault: type | None) -> Fixtures:
    return {"clock": (fault or SystemClock)()}


async def of_randomness(fault: type | None) -> Fixtures:
    return {"randomness": (fault or SeededRandomness)()}


async def of_common_passwords(fault: type | None) -> Fixtures:
    honest = WordList(["password", "letmein"])
    return {"common_passwords": fault(honest) if fault else honest, "common_password": "password"}


async def of_lane(fault: type | None) -> Fixtures:
    return {"new_lane": fault or lanes.Lane}


KIT: Mapping[type, Callable[[type | None], Awaitable[Fixtures]]] = {
    HasherConformance: of_hasher,
    TokensConformance: of_tokens,
    RendererConformance: of_renderer,
    MailerConformance: of_mailer,
    WebhookSenderConformance: of_sender,
    ClockConformance: of_clock,
    RandomnessConformance: of_randomness,
    CommonPasswordsConformance: of_common_passwords,
    HashingLaneConformance: of_lane,
}
NAMED = {kit.__name__: kit for kit in KIT}


async def run(name: str, fault: type | None) -> None:
    """One test of the kit on an adapter with the fault, or on the honest one that it would spoil."""
    kit_name, _, method = name.partition(".")
    kit = NAMED[kit_name]
    fixtures = await KIT[kit](fault)
    test = getattr(kit(), method)
    outcome = test(**{parameter: fixtures[parameter] for parameter in inspect.signature(test).parameters})
    if inspect.isawaitable(outcome):
        await outcome


@pytest.mark.parametrize(("fault", "name"), CAUGHT_BY.items(), ids=[fault.__name__ for fault in CAUGHT_BY])
async def test_a_planted_fault_is_noticed(fault: type, name: str) -> None:
    await run(name, None)
    # A test notices by an assertion, or because the adapter raises what it never may.
    with pytest.raises((AssertionError, pytest.fail.Exception, IdentityError, ValueError)):
        await run(name, fault)


def test_every_test_of_the_kit_is_there_for_a_fault() -> None:
    tests = {f"{kit.__name__}.{name}" for kit in KIT for name in vars(kit) if name.startswith("test_")}
    assert tests == set(CAUGHT_BY.values())
