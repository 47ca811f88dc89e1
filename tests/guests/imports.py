"""The interfaces that guests written as text can import: their types in component text, their core signatures.

Types are whole, as a compiler for WIT would write them; functions are those that some guest calls, and more are a line
each. The core signature of a function is what the canonical ABI makes of its type: a last `i32` is where results go
that are not one flat value.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Import:
    """What a label stands for: a function of an interface, or (`function` None) the drop of a resource."""

    label: str
    core: str
    function: str | None = None
    resource: str | None = None


@dataclass(frozen=True)
class Interface:
    """An importable interface: `name` is how guests and other interfaces here call it, `path` what WIT calls it.

    `uses` are types of earlier interfaces (`poll.pollable`), known here by the last part of their name. `types` come in
    order, `resource` standing for a resource type. `functions` have the component's type and the core signature.
    """

    name: str
    path: str
    version: str
    types: Mapping[str, str]
    functions: Mapping[str, tuple[str, str]]
    uses: tuple[str, ...] = field(default=())

    def find(self, label: str) -> Import | None:
        """What the label stands for, None if this interface has no such thing."""
        for function, (_, core) in self.functions.items():
            if label == _label(self.name, function):
                return Import(label, core, function=function)
        owner, _, member = label.partition(".")
        if member == "drop" and self.types.get(owner) == "resource":
            return Import(label, "(param i32)", resource=owner)
        return None

    def declaration(self, functions: Collection[str]) -> str:
        """The import in component text, with some of its functions, and its types under `$interface.type`."""
        version = f"@{self.version}" if self.version else ""
        parts = [f'(import "{self.path}{version}" (instance ${self.name}']
        for used in self.uses:
            short = used.partition(".")[2]
            parts.append(f"(alias outer $guest ${used} (type $used-{short}))")
            parts.append(f'(export "{short}" (type ${short} (eq $used-{short})))')
        for name, text in self.types.items():
            if text == "resource":
                parts.append(f'(export "{name}" (type ${name} (sub resource)))')
            else:
                parts.append(f'(type $new-{name} {text}) (export "{name}" (type ${name} (eq $new-{name})))')
        parts += [f'(export "{name}" (func {self.functions[name][0]}))' for name in functions]
        parts.append("))")
        parts += [f'(alias export ${self.name} "{name}" (type ${self.name}.{name}))' for name in self.types]
        return "\n".join(parts)


def _label(interface: str, function: str) -> str:
    kind, bracket, name = function.rpartition("]")
    if not bracket:
        return f"{interface}.{function}"
    return f"{name}.new" if kind == "[constructor" else name


def _names(kind: str, names: str) -> str:
    quoted = [f'"{name}"' for name in names.split()]
    return f"({kind} {' '.join(quoted)})"


def _enum(names: str) -> str:
    return _names("enum", names)


def _flags(names: str) -> str:
    return _names("flags", names)


_WASI = "0.2.3"

ERROR = Interface("error", "wasi:io/error", _WASI, {"error": "resource"}, {})

POLL = Interface(
    "poll",
    "wasi:io/poll",
    _WASI,
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
    _WASI,
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
        "[method]output-stream.write": (
            '(param "self" (borrow $output-stream)) (param "contents" (list u8)) '
            "(result (result (error $stream-error)))",
            "(param i32 i32 i32 i32)",
        ),
        "[method]output-stream.subscribe": (
            '(param "self" (borrow $output-stream)) (result (own $pollable))',
            "(param i32) (result i32)",
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
    _WASI,
    {},
    {"get-stdout": ("(result (own $output-stream))", "(result i32)")},
    uses=("streams.output-stream",),
)

STDERR = Interface(
    "stderr",
    "wasi:cli/stderr",
    _WASI,
    {},
    {"get-stderr": ("(result (own $output-stream))", "(result i32)")},
    uses=("streams.output-stream",),
)

EXIT = Interface(
    "exit",
    "wasi:cli/exit",
    _WASI,
    {},
    {
        "exit": ('(param "status" (result))', "(param i32)"),
        "exit-with-code": ('(param "status-code" u8)', "(param i32)"),
    },
)

WALL_CLOCK = Interface(
    "wall-clock",
    "wasi:clocks/wall-clock",
    _WASI,
    {"datetime": '(record (field "seconds" u64) (field "nanoseconds" u32))'},
    {"now": ("(result $datetime)", "(param i32)")},
)

MONOTONIC_CLOCK = Interface(
    "monotonic-clock",
    "wasi:clocks/monotonic-clock",
    _WASI,
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
    _WASI,
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
    _WASI,
    {
        "descriptor": "resource",
        "error-code": _enum(
            "access would-block already bad-descriptor busy deadlock quota exist file-too-large illegal-byte-sequence "
            "in-progress interrupted invalid io is-directory loop too-many-links message-size name-too-long no-device "
            "no-entry no-lock insufficient-memory insufficient-space not-directory not-empty not-recoverable "
            "unsupported no-tty no-such-device overflow not-permitted pipe read-only invalid-seek text-file-busy "
            "cross-device"
        ),
        "path-flags": _flags("symlink-follow"),
        "open-flags": _flags("create directory exclusive truncate"),
        "descriptor-flags": _flags(
            "read write file-integrity-sync data-integrity-sync requested-write-sync mutate-directory"
        ),
        "descriptor-type": _enum(
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
    _WASI,
    {},
    {"get-directories": ("(result (list (tuple (own $descriptor) string)))", "(param i32)")},
    uses=("types.descriptor",),
)

_FIELD_SIZE = "$field-size-payload"

HTTP = Interface(
    "http-types",
    "wasi:http/types",
    _WASI,
    {
        "method": '(variant (case "get") (case "head") (case "post") (case "put") (case "delete") (case "connect") '
        '(case "options") (case "trace") (case "patch") (case "other" string))',
        "scheme": '(variant (case "HTTP") (case "HTTPS") (case "other" string))',
        "DNS-error-payload": '(record (field "rcode" (option string)) (field "info-code" (option u16)))',
        "TLS-alert-received-payload": '(record (field "alert-id" (option u8)) (field "alert-message" (option string)))',
        "field-size-payload": '(record (field "field-name" (option string)) (field "field-size" (option u32)))',
        "error-code": '(variant (case "DNS-timeout") (case "DNS-error" $DNS-error-payload) '
        '(case "destination-not-found") (case "destination-unavailable") (case "destination-IP-prohibited") '
        '(case "destination-IP-unroutable") (case "connection-refused") (case "connection-terminated") '
        '(case "connection-timeout") (case "connection-read-timeout") (case "connection-write-timeout") '
        '(case "connection-limit-reached") (case "TLS-protocol-error") (case "TLS-certificate-error") '
        '(case "TLS-alert-received" $TLS-alert-received-payload) (case "HTTP-request-denied") '
        '(case "HTTP-request-length-required") (case "HTTP-request-body-size" (option u64)) '
        '(case "HTTP-request-method-invalid") (case "HTTP-request-URI-invalid") (case "HTTP-request-URI-too-long") '
        '(case "HTTP-request-header-section-size" (option u32)) '
        f'(case "HTTP-request-header-size" (option {_FIELD_SIZE})) '
        '(case "HTTP-request-trailer-section-size" (option u32)) '
        f'(case "HTTP-request-trailer-size" {_FIELD_SIZE}) (case "HTTP-response-incomplete") '
        '(case "HTTP-response-header-section-size" (option u32)) '
        f'(case "HTTP-response-header-size" {_FIELD_SIZE}) (case "HTTP-response-body-size" (option u64)) '
        '(case "HTTP-response-trailer-section-size" (option u32)) '
        f'(case "HTTP-response-trailer-size" {_FIELD_SIZE}) (case "HTTP-response-transfer-coding" (option string)) '
        '(case "HTTP-response-content-coding" (option string)) (case "HTTP-response-timeout") '
        '(case "HTTP-upgrade-failed") (case "HTTP-protocol-error") (case "loop-detected") '
        '(case "configuration-error") (case "internal-error" (option string)))',
        "fields": "resource",
        "incoming-request": "resource",
        "response-outparam": "resource",
        "outgoing-response": "resource",
        "outgoing-request": "resource",
        "request-options": "resource",
        "outgoing-body": "resource",
        "incoming-response": "resource",
        "incoming-body": "resource",
        "future-trailers": "resource",
        "future-incoming-response": "resource",
    },
    {
        "[constructor]fields": ("(result (own $fields))", "(result i32)"),
        "[method]incoming-request.consume": (
            '(param "self" (borrow $incoming-request)) (result (result (own $incoming-body)))',
            "(param i32 i32)",
        ),
        "[constructor]outgoing-response": (
            '(param "headers" (own $fields)) (result (own $outgoing-response))',
            "(param i32) (result i32)",
        ),
        "[method]outgoing-response.set-status-code": (
            '(param "self" (borrow $outgoing-response)) (param "status-code" u16) (result (result))',
            "(param i32 i32) (result i32)",
        ),
        "[method]outgoing-response.body": (
            '(param "self" (borrow $outgoing-response)) (result (result (own $outgoing-body)))',
            "(param i32 i32)",
        ),
        # A response is given as case 0 and its handle; the other flat parameters are those of an error-code.
        "[static]response-outparam.set": (
            '(param "param" (own $response-outparam)) '
            '(param "response" (result (own $outgoing-response) (error $error-code)))',
            "(param i32 i32 i32 i32 i64 i32 i32 i32 i32)",
        ),
        "[constructor]outgoing-request": (
            '(param "headers" (own $fields)) (result (own $outgoing-request))',
            "(param i32) (result i32)",
        ),
        "[method]outgoing-request.set-method": (
            '(param "self" (borrow $outgoing-request)) (param "method" $method) (result (result))',
            "(param i32 i32 i32 i32) (result i32)",
        ),
        "[method]outgoing-request.set-scheme": (
            '(param "self" (borrow $outgoing-request)) (param "scheme" (option $scheme)) (result (result))',
            "(param i32 i32 i32 i32 i32) (result i32)",
        ),
        "[method]outgoing-request.set-authority": (
            '(param "self" (borrow $outgoing-request)) (param "authority" (option string)) (result (result))',
            "(param i32 i32 i32 i32) (result i32)",
        ),
        "[method]outgoing-request.set-path-with-query": (
            '(param "self" (borrow $outgoing-request)) (param "path-with-query" (option string)) (result (result))',
            "(param i32 i32 i32 i32) (result i32)",
        ),
        "[method]outgoing-request.body": (
            '(param "self" (borrow $outgoing-request)) (result (result (own $outgoing-body)))',
            "(param i32 i32)",
        ),
        "[method]outgoing-body.write": (
            '(param "self" (borrow $outgoing-body)) (result (result (own $output-stream)))',
            "(param i32 i32)",
        ),
        "[static]outgoing-body.finish": (
            '(param "this" (own $outgoing-body)) (param "trailers" (option (own $fields))) '
            "(result (result (error $error-code)))",
            "(param i32 i32 i32 i32)",
        ),
        "[method]future-incoming-response.subscribe": (
            '(param "self" (borrow $future-incoming-response)) (result (own $pollable))',
            "(param i32) (result i32)",
        ),
        "[method]future-incoming-response.get": (
            '(param "self" (borrow $future-incoming-response)) '
            "(result (option (result (result (own $incoming-response) (error $error-code)))))",
            "(param i32 i32)",
        ),
        "[method]incoming-response.status": (
            '(param "self" (borrow $incoming-response)) (result u16)',
            "(param i32) (result i32)",
        ),
        "[method]incoming-response.consume": (
            '(param "self" (borrow $incoming-response)) (result (result (own $incoming-body)))',
            "(param i32 i32)",
        ),
        "[method]incoming-body.stream": (
            '(param "self" (borrow $incoming-body)) (result (result (own $input-stream)))',
            "(param i32 i32)",
        ),
        "[static]incoming-body.finish": (
            '(param "this" (own $incoming-body)) (result (own $future-trailers))',
            "(param i32) (result i32)",
        ),
    },
    uses=("poll.pollable", "streams.input-stream", "streams.output-stream"),
)

OUTGOING_HANDLER = Interface(
    "outgoing-handler",
    "wasi:http/outgoing-handler",
    _WASI,
    {},
    {
        "handle": (
            '(param "request" (own $outgoing-request)) (param "options" (option (own $request-options))) '
            "(result (result (own $future-incoming-response) (error $error-code)))",
            "(param i32 i32 i32 i32)",
        ),
    },
    uses=(
        "http-types.outgoing-request",
        "http-types.request-options",
        "http-types.future-incoming-response",
        "http-types.error-code",
    ),
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
    },
    uses=("core-types.uuid", "core-types.oplog-index", "core-types.promise-id", "poll.pollable"),
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
        "[method]incoming-value.incoming-value-consume-sync": (
            '(param "self" (borrow $incoming-value)) (result (result (list u8) (error (own $error))))',
            "(param i32 i32)",
        ),
    },
    uses=("wasi-keyvalue-error.error",),
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
