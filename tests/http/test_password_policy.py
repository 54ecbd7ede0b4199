"""Which passwords are taken, on every path that sets one: register, change and reset."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from tests.http.conftest import PASSWORD, Service

from identity.adapters.argon2 import Argon2Hasher
from identity.settings import Settings

TOO_SHORT = "This password is too short. It must contain at least 8 characters."
TOO_COMMON = "This password is too common."
LIKE_USERNAME = "The password is too similar to the username."
LIKE_EMAIL = "The password is too similar to the email address."
LIKE_SERVICE = "The password is too similar to the name of this service."
GOOD = "kX9!qLzw"


@dataclass(frozen=True)
class Paths:
    """The three ways to set a password, for an account of margaret_hall's and one that is to be opened."""

    service: Service
    access: str

    async def refusals(self, password: str) -> list[list[str]]:
        """What registering, a change and a reset say about it; none may succeed."""
        link = await self.service.reset_link("margaret@example.com")
        bodies: list[tuple[str, dict[str, Any]]] = [
            ("auth/register", {"username": "margaret", "email": "hall@example.com", "password": password}),
            ("user/change-password", {"old_password": PASSWORD, "new_password": password}),
            ("auth/reset-password", {**link._asdict(), "password": password}),
        ]
        told = []
        for path, body in bodies:
            access = self.access if path.startswith("user/") else None
            answer = await self.service.post(f"/api/{path}/", body, access=access)
            assert answer.status_code == 400, (path, answer.text)
            (messages,) = answer.json().values()
            told.append(messages)
        return told

    async def take(self, password: str) -> None:
        """Sets it on all three paths."""
        await self.service.register("ann_lee", "lee@example.com", password)
        assert await self.service.can_log_in("ann_lee", password)
        await self.service.change_password(self.access, new=password)
        assert await self.service.can_log_in("margaret_hall", password)
        link = await self.service.reset_link("margaret@example.com")
        answer = await self.service.reset(link, password)
        assert answer.status_code == 200, answer.text
        assert await self.service.can_log_in("margaret_hall", password)


@pytest.fixture
def paths(reused: Callable[..., Any]) -> Callable[..., Any]:
    """Starts a service with such settings, which margaret_hall has an account at."""

    async def paths(**settings: Any) -> Paths:
        service: Service = await reused(**settings)
        await service.register("margaret_hall", "margaret@example.com")
        return Paths(service, (await service.log_in("margaret_hall")).access)

    return paths


@pytest.mark.parametrize("password", ["kX9!qLz", "🦄🐉🦊🐙🦜🐝🦋"])
async def test_pw_1_seven_code_points_are_refused(paths, password):
    assert await (await paths()).refusals(password) == [[TOO_SHORT]] * 3


@pytest.mark.parametrize("password", [GOOD, "🦄🐉🦊🐙🦜🐝🦋🐢", "真" * 64])
async def test_pw_1_eight_code_points_and_64_cjk_are_accepted(paths, password):
    await (await paths()).take(password)


async def test_pw_2_a_password_that_differs_anywhere_is_another_one(paths):
    password = "kX9!qLzw ß"
    each = await paths()
    await each.take(password)
    others = {password[:place] + "~" + password[place + 1 :] for place in range(len(password))}
    others |= {password[:-1], password + " ", " " + password, password.swapcase(), "kX9!qLzw ss"}
    for other in others:
        assert not await each.service.can_log_in("margaret_hall", other), other
        body = {"old_password": other, "new_password": GOOD}
        access = (await each.service.log_in("margaret_hall", password)).access
        answer = await each.service.post("/api/user/change-password/", body, access=access)
        assert answer.json() == {"error": "Incorrect old password"}, other
    assert await each.service.can_log_in("margaret_hall", password)


async def test_pw_3_a_common_password_is_refused(paths):
    each = await paths()
    for password in ("password123", "PassWord123", "12345678a"):
        assert await each.refusals(password) == [[TOO_COMMON]] * 3


async def test_pw_3_the_owner_s_names_are_refused_in_any_case_and_width(paths):
    each = await paths()
    for password in ("x-margaret_hall", "Ｍａｒｇａｒｅｔ＿Ｈａｌｌ", "Ｘ-ＭＡＲＧＡＲＥＴ_hall"):
        assert await each.refusals(password) == [[LIKE_USERNAME, LIKE_EMAIL]] * 3, password


@pytest.mark.parametrize("password", ["identity", "my-IDENTITY-1", "ＩｄＥＮＴＩＴＹ２０２６"])
async def test_pw_3_the_name_of_the_service_is_refused_in_any_case_and_width(paths, password):
    (registering, changing, resetting) = await (await paths()).refusals(password)
    assert LIKE_SERVICE in registering
    assert registering == changing == resetting


async def test_pw_3_what_a_deployment_calls_itself_is_refused(paths):
    each = await paths(service_name="Acme Cloud", password_context_words=("Widgetron", "AC"))
    for password in ("acme cloud 1", "AcmeCloud2026", "iloveWIDGETRON", "acme clo"):
        assert await each.refusals(password) == [[LIKE_SERVICE]] * 3, password
    await each.take("identity and backache")  # neither the usual name, nor two letters anywhere


async def test_pw_3_a_service_without_a_name_goes_by_that_of_its_sender(paths):
    each = await paths(mail_from="Blue Harbour <no-reply@harbour.example>")
    assert await each.refusals("blueharbour7") == [[LIKE_SERVICE]] * 3


async def test_pw_3_the_passwords_of_a_deployment_s_own_list_are_refused_beside_the_built_in_ones(
    paths, tmp_path: Path
):
    (tmp_path / "list.txt").write_bytes("Schalke04Schalke\r\n\r\nkennwort-ÄÖ\r\n".encode())
    each = await paths(common_passwords_file=tmp_path / "list.txt")
    for password in ("schalke04schalke", "KENNWORT-äö", "password123"):
        assert await each.refusals(password) == [[TOO_COMMON]] * 3, password
    await each.take("schalke05schalke")


async def test_the_example_passwords_of_the_contract_are_taken_by_default(service):
    for number, password in enumerate(("yourpassword123", "yournewpassword123", "newpassword123")):
        await service.register(f"john_{number}", f"john{number}@example.com", password)


async def test_pw_4_a_password_is_stored_as_a_phc_string_at_the_floor_or_above(start):
    floor = Settings()
    hasher = Argon2Hasher(
        time_cost=floor.argon2_time_cost,
        memory_cost=floor.argon2_memory_cost,
        parallelism=floor.argon2_parallelism,
    )
    service = await start(overrides={"hasher": hasher})
    await service.register()
    assert service.user().password_hash.startswith("$argon2id$v=19$m=19456,t=2,p=1$")
    assert PASSWORD not in service.user().password_hash


async def test_pw_4_a_hash_of_other_parameters_is_replaced_by_a_login_and_never_by_a_failure(service):
    await service.register()
    before = service.user().password_hash
    service.hasher.raise_cost()
    assert not await service.can_log_in(password="not the password")
    assert service.user().password_hash == before
    assert await service.can_log_in()
    assert service.user().password_hash != before


@pytest.mark.parametrize(("size", "refused"), [(1_000_000, {413}), (15_000, {400, 401})])
async def test_pw_5_a_huge_password_costs_no_hash(paths, size, refused):
    each = await paths()
    link = await each.service.reset_link("margaret@example.com")
    before = each.service.hasher.count
    for path, body in (
        ("auth/register", {"username": "u", "email": "u@example.com", "password": "k" * size}),
        ("auth/login", {"username": "margaret_hall", "password": "k" * size}),
        ("auth/login", {"username": "nobody", "password": "k" * size}),
        ("user/change-password", {"old_password": "k" * size, "new_password": GOOD}),
        ("auth/reset-password", {**link._asdict(), "password": "k" * size}),
    ):
        answer = await each.service.post(f"/api/{path}/", body, access=each.access)
        assert answer.status_code in refused, (path, answer.text)
    assert each.service.hasher.count == before
    body = {"old_password": PASSWORD, "new_password": "k" * size}
    answer = await each.service.post("/api/user/change-password/", body, access=each.access)
    assert answer.status_code in refused
    assert each.service.hasher.count <= before + 1  # that of the old one, which is judged first


async def test_the_lengths_are_those_that_are_set_in_answers_and_in_the_description(paths):
    each = await paths(password_min_length=15, password_max_length=64)
    too_short = "This password is too short. It must contain at least 15 characters."
    assert await each.refusals("kX9!qLzwkX9!qL") == [[too_short]] * 3
    too_long = "Ensure this field has no more than 64 characters."
    assert await each.refusals("kX9!qLzw" * 8 + "k") == [[too_long]] * 3
    document = (await each.service.get("/api/schema/openapi.json")).json()
    for shape, name in (
        ("Registration", "password"),
        ("PasswordChange", "new_password"),
        ("PasswordReset", "password"),
    ):
        field = document["components"]["schemas"][shape]["properties"][name]
        assert (field["minLength"], field["maxLength"]) == (15, 64)
    old = document["components"]["schemas"]["PasswordChange"]["properties"]["old_password"]
    assert (old["minLength"], "maxLength" in old) == (1, False)
