"""The schema's history: Alembic's environment and one file a step under versions/. Run by storage/migrate.py.

To change the schema: change tables.py, add `versions/mNNNN_what.py` after the pattern of the last one with
`down_revision` set to it, and run tests/storage/test_migrations.py, which compares the two. There is no way down: a
server that is older than its database is not started again. The folder is in the package so that an installed one
has it.
"""
