"""Logins with OpenID Connect, for APIs of definitions and for those of agents (reference: gateway, 1.12 and 3.6)."""
