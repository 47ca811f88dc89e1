"""The types of a statement's parameters, written into the statement.

asyncpg lets the server guess them, and a guess can be wrong: `$1` beside a bigint is one whatever the guest passes.
Each `$n` becomes a cast to the type that the value has, which is what a driver that can name types would say.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

_TOKEN = re.compile(
    r"""
      (?P<escaped> [eE] ' (?: [^'\\] | \\. | '' )* (?:'|\Z) )
    | (?P<string> ' (?: [^'] | '' )* (?:'|\Z) )
    | (?P<name> " (?: [^"] | "" )* (?:"|\Z) )
    | (?P<line> -- [^\n\r]* )
    | (?P<comment> /\* )
    | (?P<dollar> \$ (?P<tag> (?: [^\W\d] \w* )? ) \$ )
    | (?P<parameter> \$ (?P<number> \d+ ) )
    | (?P<word> [^\W\d] [\w$]* )
    """,
    re.VERBOSE | re.DOTALL,
)
_COMMENT_EDGE = re.compile(r"/\*|\*/")


def with_types(statement: str, types: Sequence[str | None]) -> str:
    """The statement with its parameters cast to these types; those without one stay as they are.

    The types are trusted text. What only looks like a parameter, in strings and comments, is left alone.
    """
    if not any(types):
        return statement
    pieces: list[str] = []
    position = 0
    while (match := _TOKEN.search(statement, position)) is not None:
        start, end = match.span()
        text = match[0]
        if match["comment"]:
            end = _end_of_comment(statement, end)
            text = statement[start:end]
        elif match["dollar"]:
            closing = statement.find(match["dollar"], end)
            end = len(statement) if closing < 0 else closing + len(match["dollar"])
            text = statement[start:end]
        elif match["parameter"]:
            number = int(match["number"][:6])
            type = types[number - 1] if 0 < number <= len(types) else None
            text = match[0] if type is None else f"({match[0]}::{type})"
        pieces += (statement[position:start], text)
        position = end
    pieces.append(statement[position:])
    return "".join(pieces)


def _end_of_comment(statement: str, position: int) -> int:
    """Comments nest."""
    depth = 1
    while depth and (edge := _COMMENT_EDGE.search(statement, position)) is not None:
        depth += 1 if edge[0] == "/*" else -1
        position = edge.end()
    return position if depth == 0 else len(statement)


_READING = frozenset({"select", "values", "table", "show", "explain"})
_CHANGES = re.compile(r"\b(insert|update|delete|merge)\b", re.IGNORECASE)
_HARMLESS = re.compile(
    r"select|values|table|show|explain|with|insert|update|delete|merge|replace|copy|call|create|alter|drop|truncate"
    r"|comment|grant|revoke|analyze|vacuum|refresh|reindex|optimize|lock|savepoint|release|rollback"
)
_COPIES = re.compile(r"\b(stdin|stdout)\b", re.IGNORECASE)
_FIRST_WORD = re.compile(r"(?:\s|--[^\n]*|/\*.*?\*/|\()*(\w+)", re.DOTALL)
_LEAVES_STATE = re.compile(r"\b(set_config|pg_temp|pg_(?:try_)?advisory_lock\w*|temp|temporary)\b", re.IGNORECASE)


def first_word(statement: str) -> str:
    """The first word in lower case, which says what kind of statement it is."""
    match = _FIRST_WORD.match(statement)
    return match[1].lower() if match is not None else ""


def only_reads(statement: str) -> bool:
    """Whether the rows of a statement may be read piece by piece: it has no effects that must be complete first."""
    word = first_word(statement)
    return word in _READING or (word == "with" and _CHANGES.search(statement) is None)


def leaves_state(statement: str) -> bool:
    """Whether a statement may change the connection for those who use it later."""
    return _HARMLESS.fullmatch(first_word(statement)) is None or _LEAVES_STATE.search(statement) is not None


def copies(statement: str) -> bool:
    """Whether a statement makes the server wait for data that nobody has, or send what no result can hold."""
    return first_word(statement) == "copy" and _COPIES.search(statement) is not None
