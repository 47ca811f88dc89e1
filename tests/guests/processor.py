"""An oplog processor that counts what it is told, with functions of its own beside the one of golem:api 1.5.0.

interface golem:api/oplog-processor@1.5.0 {
    process: func(...) -> result<_, string>     as the interface has it, but for records of which it needs less
    count: func() -> u64                        entries so far
    gaps: func() -> u64                         calls that did not begin behind the end of the call before
    last: func() -> u64                         the index of the last entry
}

Of each entry it knows the case alone. All cases have to be there: one that it does not know cannot be handed over.
"""

from golem_server.host.oplog_records import case_name
from golem_server.model.oplog import ENTRY_TYPES
from tests.guests.component_text import Guest

INTERFACE = "golem:api/oplog-processor@1.5.0"

_CASES = " ".join(
    f'(case "{name}" $moment)' for name in sorted({case_name("1.5", kind) for kind in ENTRY_TYPES.values()})
)

PROCESSOR = Guest(
    interface=INTERFACE,
    types={
        "uuid": '(record (field "high-bits" u64) (field "low-bits" u64))',
        "account-id": '(record (field "uuid" $uuid))',
        "account-info": '(record (field "account-id" $account-id))',
        "component-id": '(record (field "uuid" $uuid))',
        "agent-id": '(record (field "component-id" $component-id) (field "agent-id" string))',
        "agent-metadata": '(record (field "retry-count" u64))',
        "datetime": '(record (field "seconds" u64) (field "nanoseconds" u32))',
        "moment": '(record (field "timestamp" $datetime))',
        "oplog-entry": f"(variant {_CASES})",
    },
    functions={
        "process": '(param "account-info" $account-info) (param "config" (list (tuple string string))) '
        '(param "component-id" $component-id) (param "agent-id" $agent-id) (param "metadata" $agent-metadata) '
        '(param "first-entry-index" u64) (param "entries" (list $oplog-entry)) (result (result (error string)))',
        "count": "(result u64)",
        "gaps": "(result u64)",
        "last": "(result u64)",
    },
    core="""
  (global $count (mut i64) (i64.const 0))
  (global $gaps (mut i64) (i64.const 0))
  (global $last (mut i64) (i64.const 0))

  (func (export "process")
    (param i64 i64) (param i32 i32) (param i64 i64) (param i64 i64 i32 i32) (param i64)
    (param $first i64) (param $entries i32) (param $length i32) (result i32)
    (if (i64.ne (local.get $first) (i64.add (global.get $last) (i64.const 1)))
      (then (global.set $gaps (i64.add (global.get $gaps) (i64.const 1)))))
    (global.set $count (i64.add (global.get $count) (i64.extend_i32_u (local.get $length))))
    (global.set $last (i64.sub (i64.add (local.get $first) (i64.extend_i32_u (local.get $length))) (i64.const 1)))
    (call $free-all)
    (i32.store8 (i32.const 256) (i32.const 0))
    (i32.const 256))

  (func (export "count") (result i64) (global.get $count))
  (func (export "gaps") (result i64) (global.get $gaps))
  (func (export "last") (result i64) (global.get $last))
""",
)
