"""Accounts, tokens, environments and components: who may call, and what there is to run.

Promises: a revision never changes once it was answered; what the hot path asks (who is this token, what is this
component) is answered from memory. Depends on the model and on the protocols of `registry/ports.py` alone; knows
neither HTTP nor SQL nor wasm.
"""
