"""Agents for clients of the Model Context Protocol: methods as tools and resources, hints as prompts.

Promises that a client at a domain sees exactly what the agent types deployed there declare, and that each call becomes
one invocation (reference: gateway, section 3.8). Framing, sessions and the negotiation of versions are those of the
`mcp` library; nobody else imports it.
"""
