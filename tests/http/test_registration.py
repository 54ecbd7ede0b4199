"""POST /api/auth/register/"""

from __future__ import annotations

import pytest

CREATED = (201, {"message": "User created successfully"})

CHARACTERS = "Enter a valid username. This value may contain only letters, numbers, and @/./+/-/_ characters."
SYNTAX = "Enter a valid email address."
NAME_TAKEN = "A user with that username already exists."
EMAIL_TAKEN = "A user with that email already exists."
TOO_SHORT = "This password is too short. It must contain at least 8 characters."
TOO_COMMON = "This password is too common."
NUMERIC = "This password is entirely numeric."
LIKE_USERNAME = "The password is too similar to the username."
LIKE_EMAIL = "The password is too similar to the email address."


async def register(service, **changes):
    body = {"username": "mary", "email": "mary@example.com", "password": "yourpassword123"} | changes
    answer = await service.post("/api/auth/register/", body)
    return answer.status_code, answer.json()


async def refusals(service, field, values):
    """What is said to each value of the field, all others being in order."""
    return {value: await register(service, **{field: value}) for value in values}


def all_refused(field, values, *messages):
    return dict.fromkeys(values, (400, {field: list(messages)}))


@pytest.mark.parametrize("path", ["/api/auth/register/", "/api/auth/register"])
async def test_the_original_s_example_opens_an_account(service, path):
    body = {"username": "john_doe", "email": "john@example.com", "password": "yourpassword123"}
    answer = await service.post(path, body)
    assert (answer.status_code, answer.json()) == (201, {"message": "User created successfully"})
    assert answer.headers["Content-Type"] == "application/json"
    assert await service.can_log_in("john_doe", "yourpassword123")


async def test_registering_sends_no_mail_and_sets_no_cookie(service):
    assert await register(service) == CREATED
    assert not service.has_mail_waiting()
    assert not service.client.cookies


# Usernames


async def test_a_username_of_letters_numbers_and_some_marks_is_accepted(service):
    for number, username in enumerate(("m", "mary.+-_9", "Märy", "мария", "真理", "9", "m" * 150)):
        assert await register(service, username=username, email=f"{number}@example.com") == CREATED
        assert await service.can_log_in(username)


async def test_a_username_with_other_characters_is_refused(shared_service):
    names = ["ma ry", "mary!", "mary/..", "<b>", "ma\u200bry", "ma\u2028ry", "ⓜary's", "mary😀", "ma,ry"]
    assert await refusals(shared_service, "username", names) == all_refused("username", names, CHARACTERS)


async def test_a_username_has_at_most_150_characters(shared_service):
    names = ["m" * 151, "真" * 151, "m" * 5000]
    message = "Ensure this field has no more than 150 characters."
    assert await refusals(shared_service, "username", names) == all_refused("username", names, message)


async def test_a_username_may_be_the_account_s_own_address(service):
    for username, email in (
        ("mary@example.com", "mary@example.com"),
        ("Anna@Example.com", "anna@example.com"),
        ("jane@example.com", "JANE@EXAMPLE.COM"),
    ):
        assert await register(service, username=username, email=email) == CREATED
        assert await service.can_log_in(email.lower())


async def test_a_username_that_is_another_address_is_refused(shared_service):
    names = ["john@example.com", "mary@example.org", "mary@", "@mary", "mary@example.com@", "ma@ry"]
    assert await refusals(shared_service, "username", names) == all_refused("username", names, CHARACTERS)


async def test_a_username_is_taken_in_any_case_and_width(shared_service):
    names = ["john_doe", "John_Doe", "JOHN_DOE", " john_doe ", "ｊｏｈｎ_ｄｏｅ", "joℎn_doe"]
    assert await refusals(shared_service, "username", names) == all_refused("username", names, NAME_TAKEN)


async def test_a_username_and_its_accented_twin_are_two_names(service):
    await service.register("admin", "a@example.com")
    assert await register(service, username="ádmin") == CREATED


# E-mail addresses


async def test_an_address_of_a_local_part_and_a_domain_name_is_accepted(service):
    longest = "m" * 60 + "@" + ".".join(["x" * 62] * 3) + ".info"
    assert len(longest) == 254
    for number, email in enumerate(
        (
            "mary+tag@example.com",
            "mary@sub.example.co.uk",
            "o'mary@example.com",
            "märy@bücher.example",
            "mary@xn--bcher-kva.example",
            "m" * 64 + "@example.com",
            longest,
        )
    ):
        assert await register(service, username=f"user{number}", email=email) == CREATED
        assert await service.can_log_in(email)


async def test_an_address_with_bad_syntax_is_refused(shared_service):
    addresses = [
        "mary",
        "mary@",
        "@example.com",
        "mary@example",
        "mary@@example.com",
        "mary@example..com",
        ".mary@example.com",
        "ma ry@example.com",
        "mary@exa mple.com",
        "mary@-example.com",
        "mary@[127.0.0.1]",
        "mary@127.0.0.1",
        '"mary"@example.com',
        "mary(comment)@example.com",
        "Mary <mary@example.com>",
        "mary@example.com,john@example.com",
        "mary@example.com;john@example.com",
        "mary@example.com john@example.com",
        "mary@example.com\u2028bcc",
        "m" * 65 + "@example.com",
        "mary@" + "x" * 64 + ".com",
    ]
    assert await refusals(shared_service, "email", addresses) == all_refused("email", addresses, SYNTAX)


async def test_an_address_has_at_most_254_characters(shared_service):
    addresses = ["m" * 61 + "@" + ".".join(["x" * 62] * 3) + ".info", "m" * 5000]
    assert len(addresses[0]) == 255
    message = "Ensure this field has no more than 254 characters."
    assert await refusals(shared_service, "email", addresses) == all_refused("email", addresses, message)


async def test_an_address_is_taken_in_any_case(shared_service):
    addresses = ["john@example.com", "John@Example.COM", " john@example.com "]
    assert await refusals(shared_service, "email", addresses) == all_refused("email", addresses, EMAIL_TAKEN)


async def test_addresses_that_only_case_folding_or_a_collation_makes_one_are_two(service):
    for number, email in enumerate(
        ("mary@fass.example", "mary@faß.example", "mike@example.com", "mıke@example.com", "míke@example.com")
    ):
        assert await register(service, username=f"user{number}", email=email) == CREATED


async def test_username_and_address_are_trimmed(service):
    assert await register(service, username="  mary\u00a0", email="\tmary@example.com\n") == CREATED
    access, _ = await service.log_in("mary")
    profile = (await service.profile(access)).json()
    assert (profile["username"], profile["email"]) == ("mary", "mary@example.com")


async def test_everything_that_is_taken_or_weak_is_told_in_one_answer(shared_service):
    names = {"username": "JOHN_DOE", "email": "JOHN@EXAMPLE.COM"}
    taken = {"username": [NAME_TAKEN], "email": [EMAIL_TAKEN]}
    assert await register(shared_service, **names) == (400, taken)
    assert await register(shared_service, **names, password="2468013579") == (
        400,
        {**taken, "password": [NUMERIC]},
    )


# Passwords


async def test_the_original_s_example_passwords_are_accepted(service):
    for number, password in enumerate(("yourpassword123", "yournewpassword123", "newpassword123")):
        names = {"username": f"john_{number}", "email": f"john{number}@example.com"}
        assert await register(service, **names, password=password) == CREATED


@pytest.mark.parametrize(
    ("password", "messages"),
    [
        ("1", [TOO_SHORT, TOO_COMMON, NUMERIC]),
        ("kX9!qLz", [TOO_SHORT]),
        ("🦄🐉🦊🐙🦜🐝🦋", [TOO_SHORT]),
        ("password", [TOO_COMMON]),
        ("PassWord", [TOO_COMMON]),
        ("12345678", [TOO_COMMON, NUMERIC]),
        ("2468013579", [NUMERIC]),
        ("٢٤٦٨٠١٣٥٧٩", [NUMERIC]),
    ],
)
async def test_a_weak_password_is_refused_with_every_reason(shared_service, password, messages):
    assert await register(shared_service, password=password) == (400, {"password": messages})


@pytest.mark.parametrize(
    ("password", "messages"),
    [
        pytest.param("margaret_hall", [LIKE_USERNAME], id="the username"),
        pytest.param("MARGARET_hall", [LIKE_USERNAME], id="the username in another case"),
        pytest.param("xx-margaret_hall-xx", [LIKE_USERNAME], id="containing the username"),
        pytest.param("garet_hal", [LIKE_USERNAME], id="contained in the username"),
        pytest.param("peggy@example.com", [LIKE_EMAIL], id="the address"),
        pytest.param("Peggy@Example.Com!", [LIKE_EMAIL], id="containing the address in another case"),
        pytest.param("I am peggy 4711", [LIKE_EMAIL], id="containing the local part"),
        pytest.param("@example.com", [LIKE_EMAIL], id="contained in the address"),
        pytest.param("peggy margaret_hall", [LIKE_USERNAME, LIKE_EMAIL], id="containing both"),
    ],
)
async def test_a_password_like_the_owner_s_names_is_refused(shared_service, password, messages):
    names = {"username": "margaret_hall", "email": "peggy@example.com"}
    assert await register(shared_service, **names, password=password) == (400, {"password": messages})


async def test_a_password_of_8_to_256_code_points_of_any_kind_is_accepted_as_it_is(service):
    for number, password in enumerate(
        (
            "kX9!qLzw",
            "🦄🐉🦊🐙🦜🐝🦋🐢",
            "真" * 64,
            "kX9!qLzw" * 32,
            "   white space around   ",
            "e\u0301" * 4,
        )
    ):
        names = {"username": f"user{number}", "email": f"mail{number}@example.com"}
        assert await register(service, **names, password=password) == CREATED
        assert await service.can_log_in(f"user{number}", password)
        assert not await service.can_log_in(f"user{number}", password.strip() + "x")
    assert not await service.can_log_in("user5", "é" * 4)


async def test_a_password_over_256_characters_is_refused_and_costs_no_hash(shared_service):
    before = shared_service.hasher.count
    passwords = ["k" * length for length in (257, 1024, 1025, 15_000)]
    message = "Ensure this field has no more than 256 characters."
    assert await refusals(shared_service, "password", passwords) == all_refused(
        "password", passwords, message
    )
    assert (await register(shared_service, password="k" * 1_000_000))[0] == 413
    assert shared_service.hasher.count == before


async def test_a_refused_registration_costs_no_hash_and_leaves_no_account(service):
    assert (await register(service, password="1"))[0] == 400
    assert service.hasher.count == 0
    assert await register(service) == CREATED


# What else may come along


async def test_fields_that_are_not_asked_for_change_nothing(service):
    for number, extra in enumerate(
        (
            {"is_admin": True},
            {"is_staff": True, "is_superuser": True, "superuser": True, "superuser_since": "2020-01-01"},
            {"id": 4711, "user_id": 4711, "pk": 4711},
            {
                "display_name": "Root",
                "email_verified": True,
                "email_verified_at": "2020-01-01T00:00:00Z",
                "disabled_at": "2020-01-01",
                "date_joined": "2020-01-01T00:00:00Z",
            },
            {"password_hash": "plain$1$00", "client": {}, "__proto__": {"is_admin": True}},
        ),
        start=1,
    ):
        names = {"username": f"user{number}", "email": f"mail{number}@example.com"}
        assert await register(service, **names, **extra) == CREATED
        access, _ = await service.log_in(f"user{number}")
        assert (await service.profile(access)).json() == {
            "id": number,
            **names,
            "email_verified": False,
            "display_name": "",
            "locale": "",
            "time_zone": "",
            "is_superuser": False,
            "date_joined": "2026-01-01T12:00:00Z",
            "last_updated": "2026-01-01T12:00:00Z",
        }
        user = service.user(f"user{number}")
        assert (user.superuser_since, user.disabled_at, user.email_verified_at) == (None, None, None)
