"""The REST interface: from HTTP to what the registry and the executor do, and back.

It promises the answers of the contract (`contract.yaml`), errors included: always JSON, never a traceback. It holds no
rules of its own. `application.build_application` puts it together; one module a tag of the contract; the route that
everybody waits for, an invocation, goes past the framework (`invocations.py`).
"""
