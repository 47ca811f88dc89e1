"""The boundary to wasmtime: the only room that imports it.

Compiles components and keeps the code, tells what they import and export, runs instances as fibers on the event loop.
Promises: a guest never holds the loop longer than two epoch ticks, can be ended in any state, and its error reaches
nobody else; values cross in the representation of `model.types`; whatever is handed over by pointer outlives its use.
Depends on `model` alone, and knows nothing of WASI, oplogs or durability: host functions come from a `Resolver`.
"""
