"""wasi:http as guests written as text can import it; see `imports`."""

from __future__ import annotations

from tests.guests.interface import WASI, Interface

_FIELD_SIZE = "$field-size-payload"

HTTP = Interface(
    "http-types",
    "wasi:http/types",
    WASI,
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
        "header-error": '(variant (case "invalid-syntax") (case "forbidden") (case "immutable"))',
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
        "[method]fields.append": (
            '(param "self" (borrow $fields)) (param "name" string) (param "value" (list u8)) '
            "(result (result (error $header-error)))",
            "(param i32 i32 i32 i32 i32 i32)",
        ),
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
    WASI,
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
