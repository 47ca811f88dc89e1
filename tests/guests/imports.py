"""The interfaces that guests written as text can import: their types in component text, their core signatures.

Types are whole, as a compiler for WIT would write them; functions are those that some guest calls, and more are a line
each. The core signature of a function is what the canonical ABI makes of its type: a last `i32` is where results go
that are not one flat value.
"""

from __future__ import annotations

from tests.guests.http_imports import HTTP, OUTGOING_HANDLER
from tests.guests.interface import WASI, Import, Interface, enum, flags

__all__ = ["INTERFACES", "Import", "Interface"]

ERROR = Interface("error", "wasi:io/error", WASI, {"error": "resource"}, {})

POLL = Interface(
    "poll",
    "wasi:io/poll",
    WASI,
    {"pollable": "resource"},
    {
        "[method]pollable.ready": (
            '(param "self" (borrow $pollable)) (result bool)',
            "(param i32) (result i32)",
        ),
        "[method]pollable.block": ('(param "self" (borrow $pollable))', "(param i32)"),
        "poll": ('(param "in" (list (borrow $pollable))) (result (list u32))', "(param i32 i32 i32)"),
    },
)

STREAMS = Interface(
    "streams",
    "wasi:io/streams",
    WASI,
    {
        "stream-error": '(variant (case "last-operation-failed" (own $error)) (case "closed"))',
        "input-stream": "resource",
        "output-stream": "resource",
    },
    {
        "[method]input-stream.blocking-read": (
            '(param "self" (borrow $input-stream)) (param "len" u64) (result (result (list u8) (error $stream-error)))',
            "(param i32 i64 i32)",
        ),
        "[method]output-stream.check-write": (
            '(param "self" (borrow $output-stream)) (result (result u64 (error $stream-error)))',
            "(param i32 i32)",
        ),
        "[method]output-stream.subscribe": (
            '(param "self" (borrow $output-stream)) (result (own $pollable))',
            "(param i32) (result i32)",
        ),
        "[method]output-stream.write": (
            '(param "self" (borrow $output-stream)) (param "contents" (list u8)) '
            "(result (result (error $stream-error)))",
            "(param i32 i32 i32 i32)",
        ),
        "[method]output-stream.blocking-write-and-flush": (
            '(param "self" (borrow $output-stream)) (param "contents" (list u8)) '
            "(result (result (error $stream-error)))",
            "(param i32 i32 i32 i32)",
        ),
    },
    uses=("error.error", "poll.pollable"),
)

STDOUT = Interface(
    "stdout",
    "wasi:cli/stdout",
    WASI,
    {},
    {"get-stdout": ("(result (own $output-stream))", "(result i32)")},
    uses=("streams.output-stream",),
)

STDERR = Interface(
    "stderr",
    "wasi:cli/stderr",
    WASI,
    {},
    {"get-stderr": ("(result (own $output-stream))", "(result i32)")},
    uses=("streams.output-stream",),
)

EXIT = Interface(
    "exit",
    "wasi:cli/exit",
    WASI,
    {},
    {
        "exit": ('(param "status" (result))', "(param i32)"),
        "exit-with-code": ('(param "status-code" u8)', "(param i32)"),
    },
)

WALL_CLOCK = Interface(
    "wall-clock",
    "wasi:clocks/wall-clock",
    WASI,
    {"datetime": '(record (field "seconds" u64) (field "nanoseconds" u32))'},
    {"now": ("(result $datetime)", "(param i32)")},
)

MONOTONIC_CLOCK = Interface(
    "monotonic-clock",
    "wasi:clocks/monotonic-clock",
    WASI,
    {"instant": "u64", "duration": "u64"},
    {
        "now": ("(result $instant)", "(result i64)"),
        "subscribe-duration": (
            '(param "when" $duration) (result (own $pollable))',
            "(param i64) (result i32)",
        ),
    },
    uses=("poll.pollable",),
)

RANDOM = Interface(
    "random",
    "wasi:random/random",
    WASI,
    {},
    {
        "get-random-bytes": ('(param "len" u64) (result (list u8))', "(param i64 i32)"),
        "get-random-u64": ("(result u64)", "(result i64)"),
    },
)

_PATH = '(param "self" (borrow $descriptor)) (param "path-flags" $path-flags) (param "path" string)'

FILESYSTEM = Interface(
    "types",
    "wasi:filesystem/types",
    WASI,
    {
        "descriptor": "resource",
        "error-code": enum(
            "access would-block already bad-descriptor busy deadlock quota exist file-too-large illegal-byte-sequence "
            "in-progress interrupted invalid io is-directory loop too-many-links message-size name-too-long no-device "
            "no-entry no-lock insufficient-memory insufficient-space not-directory not-empty not-recoverable "
            "unsupported no-tty no-such-device overflow not-permitted pipe read-only invalid-seek text-file-busy "
            "cross-device"
        ),
        "path-flags": flags("symlink-follow"),
        "open-flags": flags("create directory exclusive truncate"),
        "descriptor-flags": flags(
            "read write file-integrity-sync data-integrity-sync requested-write-sync mutate-directory"
        ),
        "descriptor-type": enum(
            "unknown block-device character-device directory fifo symbolic-link regular-file socket"
        ),
        "descriptor-stat": '(record (field "type" $descriptor-type) (field "link-count" u64) (field "size" u64) '
        '(field "data-access-timestamp" (option $datetime)) (field "data-modification-timestamp" (option $datetime)) '
        '(field "status-change-timestamp" (option $datetime)))',
    },
    {
        "[method]descriptor.read-via-stream": (
            '(param "self" (borrow $descriptor)) (param "offset" u64) '
            "(result (result (own $input-stream) (error $error-code)))",
            "(param i32 i64 i32)",
        ),
        "[method]descriptor.write-via-stream": (
            '(param "self" (borrow $descriptor)) (param "offset" u64) '
            "(result (result (own $output-stream) (error $error-code)))",
            "(param i32 i64 i32)",
        ),
        "[method]descriptor.append-via-stream": (
            '(param "self" (borrow $descriptor)) (result (result (own $output-stream) (error $error-code)))',
            "(param i32 i32)",
        ),
        "[method]descriptor.stat-at": (
            f"{_PATH} (result (result $descriptor-stat (error $error-code)))",
            "(param i32 i32 i32 i32 i32)",
        ),
        "[method]descriptor.open-at": (
            f'{_PATH} (param "open-flags" $open-flags) (param "flags" $descriptor-flags) '
            "(result (result (own $descriptor) (error $error-code)))",
            "(param i32 i32 i32 i32 i32 i32 i32)",
        ),
    },
    uses=("streams.input-stream", "streams.output-stream", "wall-clock.datetime"),
)

PREOPENS = Interface(
    "preopens",
    "wasi:filesystem/preopens",
    WASI,
    {},
    {"get-directories": ("(result (list (tuple (own $descriptor) string)))", "(param i32)")},
    uses=("types.descriptor",),
)

CORE_TYPES = Interface(
    "core-types",
    "golem:core/types",
    "1.5.0",
    {
        "uuid": '(record (field "high-bits" u64) (field "low-bits" u64))',
        "component-id": '(record (field "uuid" $uuid))',
        "agent-id": '(record (field "component-id" $component-id) (field "agent-id" string))',
        "oplog-index": "u64",
        "promise-id": '(record (field "agent-id" $agent-id) (field "oplog-idx" $oplog-index))',
    },
    {},
)

GOLEM_HOST = Interface(
    "host",
    "golem:api/host",
    "1.5.0",
    {
        "get-promise-result": "resource",
        "persistence-level": '(variant (case "persist-nothing") (case "persist-remote-side-effects") (case "smart"))',
        "update-mode": enum("automatic snapshot-based"),
        "revert-agent-target": '(variant (case "revert-to-oplog-index" $oplog-index) '
        '(case "revert-last-invocations" u64))',
        "fork-details": '(record (field "forked-phantom-id" $uuid))',
        "fork-result": '(variant (case "original" $fork-details) (case "forked" $fork-details))',
    },
    {
        "create-promise": ("(result $promise-id)", "(param i32)"),
        # (promise-id) flat: uuid halves, name address and length, oplog index.
        "get-promise": (
            '(param "promise-id" $promise-id) (result (own $get-promise-result))',
            "(param i64 i64 i32 i32 i64) (result i32)",
        ),
        "complete-promise": (
            '(param "promise-id" $promise-id) (param "data" (list u8)) (result bool)',
            "(param i64 i64 i32 i32 i64 i32 i32) (result i32)",
        ),
        "[method]get-promise-result.subscribe": (
            '(param "self" (borrow $get-promise-result)) (result (own $pollable))',
            "(param i32) (result i32)",
        ),
        "[method]get-promise-result.get": (
            '(param "self" (borrow $get-promise-result)) (result (option (list u8)))',
            "(param i32 i32)",
        ),
        "get-oplog-index": ("(result $oplog-index)", "(result i64)"),
        "set-oplog-index": ('(param "oplog-idx" $oplog-index)', "(param i64)"),
        "mark-begin-operation": ("(result $oplog-index)", "(result i64)"),
        "mark-end-operation": ('(param "begin" $oplog-index)', "(param i64)"),
        "get-oplog-persistence-level": ("(result $persistence-level)", "(result i32)"),
        "set-oplog-persistence-level": ('(param "new-persistence-level" $persistence-level)', "(param i32)"),
        "get-idempotence-mode": ("(result bool)", "(result i32)"),
        "set-idempotence-mode": ('(param "idempotent" bool)', "(param i32)"),
        "generate-idempotency-key": ("(result $uuid)", "(param i32)"),
        # (agent-id) flat: uuid halves, name address and length.
        "update-agent": (
            '(param "agent-id" $agent-id) (param "target-revision" u64) (param "mode" $update-mode)',
            "(param i64 i64 i32 i32 i64 i32)",
        ),
        "revert-agent": (
            '(param "agent-id" $agent-id) (param "revert-target" $revert-agent-target)',
            "(param i64 i64 i32 i32 i32 i64)",
        ),
        "fork": ("(result $fork-result)", "(param i32)"),
    },
    uses=(
        "core-types.uuid",
        "core-types.oplog-index",
        "core-types.agent-id",
        "core-types.promise-id",
        "poll.pollable",
    ),
)

_KEYVALUE = "0.1.0"

KEYVALUE_ERROR = Interface(
    "wasi-keyvalue-error", "wasi:keyvalue/wasi-keyvalue-error", _KEYVALUE, {"error": "resource"}, {}
)

KEYVALUE_TYPES = Interface(
    "keyvalue-types",
    "wasi:keyvalue/types",
    _KEYVALUE,
    {"bucket": "resource", "outgoing-value": "resource", "incoming-value": "resource"},
    {
        "[static]bucket.open-bucket": (
            '(param "name" string) (result (result (own $bucket) (error (own $error))))',
            "(param i32 i32 i32)",
        ),
        "[static]outgoing-value.new-outgoing-value": ("(result (own $outgoing-value))", "(result i32)"),
        "[method]outgoing-value.outgoing-value-write-body-sync": (
            '(param "self" (borrow $outgoing-value)) (param "value" (list u8)) (result (result (error (own $error))))',
            "(param i32 i32 i32 i32)",
        ),
        "[method]outgoing-value.outgoing-value-write-body-async": (
            '(param "self" (borrow $outgoing-value)) (result (result (own $output-stream) (error (own $error))))',
            "(param i32 i32)",
        ),
        "[method]incoming-value.incoming-value-consume-async": (
            '(param "self" (borrow $incoming-value)) (result (result (own $input-stream) (error (own $error))))',
            "(param i32 i32)",
        ),
        "[method]incoming-value.incoming-value-consume-sync": (
            '(param "self" (borrow $incoming-value)) (result (result (list u8) (error (own $error))))',
            "(param i32 i32)",
        ),
    },
    uses=("wasi-keyvalue-error.error", "streams.input-stream", "streams.output-stream"),
)

EVENTUAL = Interface(
    "eventual",
    "wasi:keyvalue/eventual",
    _KEYVALUE,
    {},
    {
        "get": (
            '(param "bucket" (borrow $bucket)) (param "key" string) '
            "(result (result (option (own $incoming-value)) (error (own $error))))",
            "(param i32 i32 i32 i32)",
        ),
        # Two borrowed handles in one call.
        "set": (
            '(param "bucket" (borrow $bucket)) (param "key" string) '
            '(param "outgoing-value" (borrow $outgoing-value)) (result (result (error (own $error))))',
            "(param i32 i32 i32 i32 i32)",
        ),
    },
    uses=(
        "wasi-keyvalue-error.error",
        "keyvalue-types.bucket",
        "keyvalue-types.outgoing-value",
        "keyvalue-types.incoming-value",
    ),
)

ATOMIC = Interface(
    "atomic",
    "wasi:keyvalue/atomic",
    _KEYVALUE,
    {},
    {
        "increment": (
            '(param "bucket" (borrow $bucket)) (param "key" string) (param "delta" u64) '
            "(result (result u64 (error (own $error))))",
            "(param i32 i32 i32 i64 i32)",
        ),
    },
    uses=("wasi-keyvalue-error.error", "keyvalue-types.bucket"),
)

WEBSOCKET = Interface(
    "client",
    "golem:websocket/client",
    "1.5.0",
    {
        "close-info": '(record (field "code" u16) (field "reason" string))',
        "error": '(variant (case "connection-failure" string) (case "send-failure" string) '
        '(case "receive-failure" string) (case "protocol-error" string) (case "closed" (option $close-info)) '
        '(case "other" string))',
        "message": '(variant (case "text" string) (case "binary" (list u8)))',
        "websocket-connection": "resource",
    },
    {
        "[static]websocket-connection.connect": (
            '(param "url" string) (param "headers" (option (list (tuple string string)))) '
            "(result (result (own $websocket-connection) (error $error)))",
            "(param i32 i32 i32 i32 i32 i32)",
        ),
        "[method]websocket-connection.send": (
            '(param "self" (borrow $websocket-connection)) (param "message" $message) (result (result (error $error)))',
            "(param i32 i32 i32 i32 i32)",
        ),
        "[method]websocket-connection.receive": (
            '(param "self" (borrow $websocket-connection)) (result (result $message (error $error)))',
            "(param i32 i32)",
        ),
    },
)

INTERFACES: tuple[Interface, ...] = (
    ERROR,
    POLL,
    STREAMS,
    STDOUT,
    STDERR,
    EXIT,
    WALL_CLOCK,
    MONOTONIC_CLOCK,
    RANDOM,
    FILESYSTEM,
    PREOPENS,
    HTTP,
    OUTGOING_HANDLER,
    CORE_TYPES,
    GOLEM_HOST,
    KEYVALUE_ERROR,
    KEYVALUE_TYPES,
    EVENTUAL,
    ATOMIC,
    WEBSOCKET,
)
"""In an order in which every type is there before it is used."""
