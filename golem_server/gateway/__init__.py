"""HTTP APIs in front of workers: compiled routes, bindings, expressions, OpenAPI export.

Promises that a request to a deployed route becomes one invocation and its result one response. Depends on the
registry (definitions and deployments), the durable core (invocations) and the model.
"""
