"""Everything that is kept: PostgreSQL behind the protocols of the durable room and the registry's store.

Promises: what a method acknowledged is on disk; all or none of a call; errors are those of model/errors.py, never a
driver's. The only room that talks SQL. Depends on `model` alone; only app.py, which hands its classes to the other
rooms, knows that it exists.

    embedded.py        a private PostgreSQL in the data folder
    database.py        connections, their loss and return, errors translated
    tables.py          the tables; migrations/ builds them, migrate.py runs that
    oplog_store.py     workers and oplogs; group_commit.py is the writer behind `append`
    promise_store.py   data of completed promises
    blob_store.py      large bytes by content
    registry_store.py  accounts, tokens, environments, components
"""
