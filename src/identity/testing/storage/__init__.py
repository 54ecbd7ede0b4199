"""What a storage owes the use cases: the obligations of `ports.py`, asked of any storage."""

from identity.testing.storage.administration import AdministrationBehaviour
from identity.testing.storage.audit_log import AuditLogBehaviour
from identity.testing.storage.audit_seals import AuditSealsBehaviour
from identity.testing.storage.concurrency import Concurrency
from identity.testing.storage.devices import DevicesBehaviour
from identity.testing.storage.login_codes import LoginCodesBehaviour
from identity.testing.storage.my_data import MyDataBehaviour
from identity.testing.storage.one_time_tokens import OneTimeTokensBehaviour
from identity.testing.storage.outbox import OutboxBehaviour
from identity.testing.storage.reservations import ReservationsBehaviour
from identity.testing.storage.sessions import SessionsBehaviour
from identity.testing.storage.signing_keys import SigningKeysBehaviour
from identity.testing.storage.subject import Storage, StorageTests
from identity.testing.storage.text import TextBehaviour
from identity.testing.storage.time import TimeBehaviour
from identity.testing.storage.transactions import Transactions
from identity.testing.storage.users import UsersBehaviour


class StorageConformance(
    UsersBehaviour,
    ReservationsBehaviour,
    SessionsBehaviour,
    DevicesBehaviour,
    OneTimeTokensBehaviour,
    LoginCodesBehaviour,
    OutboxBehaviour,
    AuditLogBehaviour,
    AuditSealsBehaviour,
    MyDataBehaviour,
    AdministrationBehaviour,
    SigningKeysBehaviour,
    TextBehaviour,
    TimeBehaviour,
    Transactions,
    Concurrency,
):
    """All tests of a storage, in three tiers: what each port does, units of work, and several at once.

    ::

        class TestMyStorage(StorageConformance):
            @pytest.fixture
            async def storage(self):
                storage = MyStorage(...)  # empty, and none that another test has used
                yield storage
                await storage.dispose()

            async def events_of(self, storage):  # or leave it out, and the audit log is not looked at
                return await storage.everything_that_was_appended()

    Each class can be bound alone while an adapter grows. A test needs nothing but the storage, so that it
    can be called as a function too: `await Concurrency().test_...(storage)`.
    """


__all__ = [
    "AdministrationBehaviour",
    "AuditLogBehaviour",
    "AuditSealsBehaviour",
    "Concurrency",
    "DevicesBehaviour",
    "LoginCodesBehaviour",
    "MyDataBehaviour",
    "OneTimeTokensBehaviour",
    "OutboxBehaviour",
    "ReservationsBehaviour",
    "SessionsBehaviour",
    "SigningKeysBehaviour",
    "Storage",
    "StorageConformance",
    "StorageTests",
    "TextBehaviour",
    "TimeBehaviour",
    "Transactions",
    "UsersBehaviour",
]
