"""The host interfaces: one module per WIT package, each function with its category and its live effect.

Promises: every function that lets a fact or an effect of the outside reach a guest goes through the durable
context; a wrong handle or argument of a guest is the guest's error, never the server's. Depends on the durable
and model rooms. Functions serve every version of their interface (reference: host-interfaces).
"""
