"""What every `Randomness` owes its port."""

from __future__ import annotations

import base64
import re
from functools import reduce
from operator import and_, or_

from identity.application.ports import Randomness
from identity.domain.secrets import Secret
from identity.testing.conformance import Conformance

DRAWS = 10_000


class RandomnessConformance(Conformance):
    """Tests of a `Randomness`. Takes the fixture `randomness`.

        class TestSystemRandomness(RandomnessConformance):
            @pytest.fixture
            def randomness(self):
                return SystemRandomness()

    No test can show that values come from a secure source. These show that they have the right form, that
    they do not come again, and that every bit of them varies.
    """

    def test_an_identifier_is_32_lower_case_hexadecimal_digits(self, randomness: Randomness) -> None:
        for _ in range(100):
            assert re.fullmatch(r"[0-9a-f]{32}", randomness.identifier())

    def test_a_token_is_43_characters_of_base64url_that_do_not_show_themselves(
        self, randomness: Randomness
    ) -> None:
        for _ in range(100):
            token = randomness.token()
            assert isinstance(token, Secret)
            assert re.fullmatch(r"[A-Za-z0-9_-]{43}", token.reveal())
            assert base64.urlsafe_b64encode(_octets(token)).decode() == token.reveal() + "="

    def test_no_identifier_comes_twice(self, randomness: Randomness) -> None:
        assert len({randomness.identifier() for _ in range(DRAWS)}) == DRAWS

    def test_no_token_comes_twice(self, randomness: Randomness) -> None:
        assert len({randomness.token().reveal() for _ in range(DRAWS)}) == DRAWS

    def test_each_of_the_128_bits_of_an_identifier_varies(self, randomness: Randomness) -> None:
        drawn = [int(randomness.identifier(), 16) for _ in range(1000)]
        assert reduce(or_, drawn) == 2**128 - 1
        assert reduce(and_, drawn) == 0

    def test_each_of_the_256_bits_of_a_token_varies(self, randomness: Randomness) -> None:
        drawn = [int.from_bytes(_octets(randomness.token()), "big") for _ in range(1000)]
        assert reduce(or_, drawn) == 2**256 - 1
        assert reduce(and_, drawn) == 0

    def test_digits_are_as_many_as_were_asked_for_and_do_not_show_themselves(
        self, randomness: Randomness
    ) -> None:
        for count in (1, 6, 8):
            digits = randomness.digits(count)
            assert isinstance(digits, Secret)
            assert re.fullmatch(rf"[0-9]{{{count}}}", digits.reveal())

    def test_each_place_of_the_digits_has_each_value(self, randomness: Randomness) -> None:
        drawn = [randomness.digits(8).reveal() for _ in range(1000)]
        assert all(set(place) == set("0123456789") for place in zip(*drawn, strict=True))
        assert len(set(drawn)) > 990

    def test_fractions_lie_between_0_and_1_and_in_every_tenth_of_it(self, randomness: Randomness) -> None:
        fractions = [randomness.fraction() for _ in range(DRAWS)]
        assert all(isinstance(fraction, float) and 0 <= fraction < 1 for fraction in fractions)
        assert {int(fraction * 10) for fraction in fractions} == set(range(10))


def _octets(token: Secret) -> bytes:
    return base64.urlsafe_b64decode(token.reveal() + "=")
