"""The vocabulary of the server: ids, names, WIT types and values, oplog entries, statuses, errors.

Promises: pure data and pure functions, no I/O, no clock, no randomness. Depends on no other room.
Every other room may import this one.
"""
