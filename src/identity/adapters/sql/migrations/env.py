"""What Alembic runs. It is given a connection, in a transaction that is not its own to commit."""

from alembic import context

from identity.adapters.sql.schema import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata)
with context.begin_transaction():
    context.run_migrations()
