"""The query language of oplog searches: grammar, matching, bounds."""

from __future__ import annotations

import time
from collections.abc import Iterable
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from golem_server.model import oplog
from golem_server.model.errors import InvalidInput
from golem_server.model.oplog import ENTRY_TYPES, Entry, HostCall
from golem_server.model.oplog_query import MAX_DEPTH, MAX_LENGTH, MAX_PARTS, parse_query
from golem_server.model.oplog_search import SearchableEntry, kind_words
from golem_server.model.types import Field, Primitive, RecordType, Value
from golem_server.model.wit_values import value_and_type_record


class Words:
    """Something searchable."""

    def __init__(self, texts: Iterable[str] = (), fields: Iterable[tuple[str, str]] = ()) -> None:
        self._texts, self._fields = list(texts), list(fields)

    def texts(self) -> Iterable[str]:
        """The texts."""
        return self._texts

    def fields(self) -> Iterable[tuple[str, str]]:
        """The fields."""
        return self._fields


def found(query: str, *texts: str, **fields: str) -> bool:
    """Whether a query finds something with these texts and fields; `__` in a name is a dot."""
    paths = [(name.replace("__", "."), value) for name, value in fields.items()]
    return parse_query(query).matches(Words(texts, paths), None)


@pytest.mark.parametrize(
    ("query", "texts", "expected"),
    [
        ("", [], True),
        ("snow", ["A Snowy day"], True),
        ("snow", ["rain"], False),
        ('"Snow"', ["Snow"], True),
        ('"snow"', ["Snow"], False),
        ('"a \\"b\\" c"', ['x a "b" c'], True),
        ("/s.*w$/", ["xsnow"], True),
        ("/s.*w$/", ["snowy"], False),
        ("/a\\/b/", ["a/b"], True),
        ("a b", ["xa", "xb"], True),
        ("a b", ["xa"], False),
        ("a AND b OR c", ["c"], True),
        ("a OR b AND c", ["b"], False),
        ("a OR b AND c", ["a"], True),
        ("a OR b c", ["a"], False),
        ("a OR b c", ["a", "c"], True),
        ("NOT a", ["b"], True),
        ("NOT a AND b", ["a", "b"], False),
        ("NOT (a AND b)", ["a"], True),
        ("NOT NOT a", ["a"], True),
        ("(a OR b) AND (c OR d)", ["b", "c"], True),
        ("host-call", ["host-call"], True),
        ("a\\:b", ["xa:by"], True),
        ("\\AND", ["and"], True),
        ("and", ["AND"], True),
        ("x\u3000y", ["x", "y"], True),
    ],
)
def test_what_a_query_finds(query: str, texts: list[str], expected: bool) -> None:
    assert found(query, *texts) is expected


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("name:ann", True),
        ("NAME = ann", True),
        ("name:bob", False),
        ("size:ann", False),
        ("order.size:5", True),
        ("order.size:/^5$/", True),
        ("size:5", False),
        ("name:(bob OR ann)", True),
        ("name:(NOT bob)", True),
        ("NOT name:ann", False),
        ("ann 5", True),
        ("other", True),
        ("name:other", False),
    ],
)
def test_what_a_query_finds_in_fields(query: str, expected: bool) -> None:
    assert found(query, "other", name="Ann", order__size="5") is expected


@pytest.mark.parametrize(
    ("query", "text"),
    [
        ("(a", "unexpected end at position 2"),
        ("a)", "unexpected `)` at position 1"),
        ('a "b', "at position 2 of the query is not closed"),
        ("/(/", "Invalid regular expression"),
        ("a OR", "unexpected end"),
        ("AND a", "unexpected `AND`"),
        ("a:", "unexpected end"),
        (":a", "unexpected `:`"),
        ("a AND OR b", "unexpected `OR`"),
        ("-a", "unexpected `-` at position 0"),
        ("a{b", "unexpected `{`"),
        ("a\\", "ends with a backslash"),
        ("(" * (MAX_DEPTH + 2), "nested"),
        ("a " * (MAX_PARTS + 1), "parts"),
        ("a" * (MAX_LENGTH + 1), "characters"),
    ],
)
def test_what_is_no_query_is_refused_with_its_place(query: str, text: str) -> None:
    with pytest.raises(InvalidInput, match=text.replace("(", r"\(").replace(")", r"\)").replace("{", r"\{")):
        parse_query(query)


@given(st.text(' ()":=/\\aANDORNOT-+*?[]{}.x\n', max_size=60) | st.text(max_size=60))
def test_every_text_is_a_query_or_refused_in_no_time(text: str) -> None:
    began = time.perf_counter()
    try:
        query = parse_query(text)
    except InvalidInput:
        pass
    else:
        assert query.matches(Words(["some text", "aaaa"], [("a.x", "b")]), None) in (True, False)
    assert time.perf_counter() - began < 1


@pytest.mark.parametrize("query", ["/(a+)+$/", "/(a|a)*b/", "/" + "(" * 200 + ")" * 200 + "/", "/a{1000}{1000}/"])
def test_hostile_expressions_take_no_time(query: str) -> None:
    began = time.perf_counter()
    with suppress(InvalidInput):
        parse_query(query).matches(Words(["a" * 50_000 + "!"]), None)
    assert time.perf_counter() - began < 2


def matches(query: str, entry: Entry) -> bool:
    return parse_query(query).matches(SearchableEntry(entry), None)


def call(request: Value, response: Value) -> HostCall:
    return HostCall(timestamp=1, function="x::send", request=request, response=response, category=1)


INVOCATION = oplog.Invocation("key-7", "ns:p/i.{add}", [1])


@pytest.mark.parametrize(
    ("query", "entry"),
    [
        ("hostcall", call(None, None)),
        ("host-call", call(None, None)),
        ("imported-function", call(None, None)),
        ("x\\:\\:send", call(None, None)),
        ("to:bob", call({"to": "bob"}, None)),
        ("message.to:bob", call({"message": {"to": "bob"}}, None)),
        ("deep.er.still:5", call(None, {"deep": {"er": {"still": 5}}})),
        ("ok.status:201", call(None, ["ok", {"status": 201}])),
        ("err:refused", call(None, ["err", "refused"])),
        ("headers:yes", call({"headers": ["no", "yes"]}, None)),
        ("headers.1:yes", call({"headers": ["no", "yes"]}, None)),
        ("flag:true", call({"flag": True}, None)),
        ("body:hello", call({"body": b"hello"}, None)),
        ("invoke", oplog.InvocationStarted(timestamp=1, invocation=INVOCATION)),
        ("exported-function key-7 add", oplog.InvocationStarted(timestamp=1, invocation=INVOCATION)),
        ("invoke", oplog.InvocationFinished(timestamp=1, result=1, component_revision=0)),
        ("pending", oplog.PendingInvocation(timestamp=1, invocation=INVOCATION)),
        ("update AND 3", oplog.SuccessfulUpdate(timestamp=1, target_revision=3, new_component_size=1)),
        ("cancel-invocation", oplog.CancelPendingInvocation(timestamp=1, idempotency_key="k")),
        ("persistence-level smart", oplog.ChangePersistenceLevel(timestamp=1, persistence_level=2)),
        ("log ctx hello", oplog.Log(timestamp=1, level=4, context="ctx", message="hello")),
        ("error boom", oplog.Error(timestamp=1, error_kind=0, message="boom", retry_from=1)),
        ("name:step", oplog.StartSpan(timestamp=1, span_id="aa", attributes={"name": "step"})),
        ("request.uri:/x/", oplog.StartSpan(timestamp=1, span_id="aa", attributes={"request.uri": "x"})),
        ("colour:red", oplog.SetSpanAttribute(timestamp=1, span_id="aa", key="colour", value="red")),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_is_found_in_entries(query: str, entry: Entry) -> None:
    assert matches(query, entry)
    assert not matches(f"({query}) nothing-like-this", entry)


def test_fields_do_not_mix() -> None:
    assert not matches("from:bob", call({"to": "bob", "from": "ann"}, None))
    assert not matches("to:bob", call({"message": {"to": "bob"}}, None))


def test_what_a_library_recorded_is_searched_by_its_names() -> None:
    typ = RecordType((Field("payload", Primitive.STRING),))
    recorded = value_and_type_record({"payload": "abc"}, typ)
    assert matches("payload:abc", call(recorded, None))
    assert not matches("nodes:abc", call(recorded, None))


def test_every_kind_has_words() -> None:
    for kind in ENTRY_TYPES.values():
        words = kind_words(kind)
        assert len(words) >= 1
        assert all(word == word.lower() for word in words)


def test_enormous_values_are_not_searched_to_their_end() -> None:
    nested: Value = "deep"
    for _ in range(10_000):
        nested = [nested]
    wide = ["x"] * 1_000_000
    began = time.perf_counter()
    assert not matches("nothing", call(nested, wide))
    assert time.perf_counter() - began < 2
