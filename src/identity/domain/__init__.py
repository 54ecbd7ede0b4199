"""Facts and rules of accounts, passwords, sessions and tokens. Standard library only: no I/O, no clock."""
