"""A hasher that writes down each password it is asked to verify, and takes its time. For a server of a test:
`VERIFIED` names the file that gets a line for each, `HASHING_SECONDS` says how long each takes.
"""

import asyncio
import hashlib
import os

from identity.domain.secrets import PasswordHash


class CountedHasher:
    async def hash(self, password):
        return PasswordHash(hashlib.sha256(password.reveal().encode()).hexdigest())

    async def verify(self, password, password_hash):
        # One write to the end of the file: several processes do not overwrite each other's.
        file = os.open(os.environ["VERIFIED"], os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        os.write(file, b"verified\n")
        os.close(file)
        await asyncio.sleep(float(os.environ["HASHING_SECONDS"]))
        return await self.hash(password) == password_hash

    def needs_rehash(self, password_hash):
        return False
