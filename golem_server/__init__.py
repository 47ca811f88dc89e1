"""golem-server: a durable-execution server for WebAssembly components."""

__version__ = "0.1.0"
