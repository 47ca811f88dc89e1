"""golem:rpc/types for guests written as text, and with it all interfaces that they can import."""

from __future__ import annotations

from tests.guests.imports import INTERFACES as OTHERS
from tests.guests.imports import Interface

_WIT_NODE = """(variant
  (case "record-value" (list s32)) (case "variant-value" (tuple u32 (option s32))) (case "enum-value" u32)
  (case "flags-value" (list bool)) (case "tuple-value" (list s32)) (case "list-value" (list s32))
  (case "option-value" (option s32)) (case "result-value" (result (option s32) (error (option s32))))
  (case "prim-u8" u8) (case "prim-u16" u16) (case "prim-u32" u32) (case "prim-u64" u64)
  (case "prim-s8" s8) (case "prim-s16" s16) (case "prim-s32" s32) (case "prim-s64" s64)
  (case "prim-float32" f32) (case "prim-float64" f64) (case "prim-char" char) (case "prim-bool" bool)
  (case "prim-string" string) (case "handle" (tuple $uri u64)))"""

RPC = Interface(
    "rpc-types",
    "golem:rpc/types",
    "0.2.2",
    {
        "component-id": '(record (field "uuid" $uuid))',
        "agent-id": '(record (field "component-id" $component-id) (field "agent-id" string))',
        "uri": '(record (field "value" string))',
        "wit-node": _WIT_NODE,
        "wit-value": '(record (field "nodes" (list $wit-node)))',
        "rpc-error": """(variant (case "protocol-error" string) (case "denied" string) (case "not-found" string)
          (case "remote-internal-error" string))""",
        "wasm-rpc": "resource",
        "future-invoke-result": "resource",
        "cancellation-token": "resource",
    },
    {
        # (agent-id) flat: uuid halves, name address and length.
        "[constructor]wasm-rpc": (
            '(param "agent-id" $agent-id) (result (own $wasm-rpc))',
            "(param i64 i64 i32 i32) (result i32)",
        ),
        "[method]wasm-rpc.invoke-and-await": (
            '(param "self" (borrow $wasm-rpc)) (param "function-name" string)'
            ' (param "function-params" (list $wit-value)) (result (result $wit-value (error $rpc-error)))',
            "(param i32 i32 i32 i32 i32 i32)",
        ),
        "[method]wasm-rpc.invoke": (
            '(param "self" (borrow $wasm-rpc)) (param "function-name" string)'
            ' (param "function-params" (list $wit-value)) (result (result (error $rpc-error)))',
            "(param i32 i32 i32 i32 i32 i32)",
        ),
        "[method]wasm-rpc.async-invoke-and-await": (
            '(param "self" (borrow $wasm-rpc)) (param "function-name" string)'
            ' (param "function-params" (list $wit-value)) (result (own $future-invoke-result))',
            "(param i32 i32 i32 i32 i32) (result i32)",
        ),
        "[method]wasm-rpc.schedule-cancelable-invocation": (
            '(param "self" (borrow $wasm-rpc)) (param "scheduled-time" $datetime) (param "function-name" string)'
            ' (param "function-params" (list $wit-value)) (result (own $cancellation-token))',
            "(param i32 i64 i32 i32 i32 i32 i32) (result i32)",
        ),
        "[method]future-invoke-result.subscribe": (
            '(param "self" (borrow $future-invoke-result)) (result (own $pollable))',
            "(param i32) (result i32)",
        ),
        "[method]future-invoke-result.get": (
            '(param "self" (borrow $future-invoke-result)) (result (option (result $wit-value (error $rpc-error))))',
            "(param i32 i32)",
        ),
        "[method]cancellation-token.cancel": ('(param "self" (borrow $cancellation-token))', "(param i32)"),
    },
    uses=("core-types.uuid", "wall-clock.datetime", "poll.pollable"),
)

INTERFACES: tuple[Interface, ...] = (*OTHERS, RPC)
"""In an order in which every type is there before it is used."""
