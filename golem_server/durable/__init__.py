"""The durable core: oplog, replay, the worker actor, the executor, the scheduler, retry and promises.

Promises: a worker never loses acknowledged state, never repeats a recorded effect, and gives the answer that it gave
before to the same idempotency key, whatever is killed in between. Depends on the wasm and model rooms and on
the stores described in `ports.py`; does not know which host interfaces exist (app.py hands them over).
"""
