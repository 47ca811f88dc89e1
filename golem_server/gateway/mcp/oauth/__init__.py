"""Logins of MCP clients: an authorization server that stands in for the provider of a domain's security scheme.

    401 -> documents -> register -> authorize, consent -> the provider's login -> callback -> code -> token

A client registers itself, sends a person here, who agrees and logs in at the provider (gateway/openid), and gets the
provider's ID token for the code that the person's browser brings back. Nothing is kept of clients, nor of logins that
have not ended: both lie signed with those whom they concern (reference: gateway, section 3.8; MCP 2025-06-18,
Authorization).
"""
