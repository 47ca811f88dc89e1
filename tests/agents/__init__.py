"""Agents of the TypeScript SDK on a real server process, which is killed in the middle of their lives."""
