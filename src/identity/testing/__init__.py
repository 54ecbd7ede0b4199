"""The conformance kit: what every adapter owes its port, as pytest classes for anyone's adapter.

Subclass the class of the port and give it a fixture that makes the adapter. Each module says which fixture.
Install it as `identity[testing]`.
"""

import pkgutil

import pytest

pytest.register_assert_rewrite(*(f"{__name__}.{module.name}" for module in pkgutil.iter_modules(__path__)))
