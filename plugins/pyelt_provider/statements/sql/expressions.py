"""What can be told of an SQL expression that a user wrote without running it: its columns, whether it can fail.

Everything here is a careful no: what is not understood is treated as able to fail and as not reversible.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

SOURCE_ALIAS = "s"
"""The alias of a mapping's source row; users may write ``s.column`` or the bare column name."""


class TokenKind(StrEnum):
    """What a piece of SQL text is."""

    LITERAL = "literal"
    NAME = "name"
    NUMBER = "number"
    OPERATOR = "operator"
    BLANK = "blank"


@dataclass(frozen=True, slots=True)
class Token:
    """A piece of SQL text; `value` is a name as PostgreSQL folds it, else the text itself."""

    kind: TokenKind
    text: str
    value: str


_PATTERN = re.compile(
    r"""
    (?P<blank>\s+|--[^\n]*|/\*.*?\*/)
  | (?P<literal>[eE]'(?:[^'\\]|''|\\.)*'|'(?:[^']|'')*'|\$(?P<tag>\w*)\$.*?\$(?P=tag)\$)
  | (?P<quoted>"(?:[^"]|"")+")
  | (?P<name>[^\W\d][\w$]*)
  | (?P<number>\d+(?:\.\d+)?)
  | (?P<operator>::|\|\||[-+*/<>=~!@\#%^&|`?]+|.)
    """,
    re.VERBOSE | re.DOTALL,
)


def tokens(sql: str) -> Iterator[Token]:
    """Give the tokens of the text in order, blanks and comments included, so that their texts joined are the text."""
    for found in _PATTERN.finditer(sql):
        text = found.group()
        match found.lastgroup:
            case "blank":
                yield Token(TokenKind.BLANK, text, text)
            case "literal" | "tag":
                yield Token(TokenKind.LITERAL, text, text)
            case "quoted":
                yield Token(TokenKind.NAME, text, text[1:-1].replace('""', '"'))
            case "name":
                yield Token(TokenKind.NAME, text, text.lower())
            case "number":
                yield Token(TokenKind.NUMBER, text, text)
            case _:
                yield Token(TokenKind.OPERATOR, text, text)


def names_in(sql: str) -> frozenset[str]:
    """Return every name that occurs in the text, as PostgreSQL folds it; columns, functions, aliases and keywords."""
    return frozenset(token.value for token in tokens(sql) if token.kind is TokenKind.NAME)


def without_alias(expression: str, alias: str = SOURCE_ALIAS) -> str:
    """Return the expression with ``s.`` taken off its columns, as an index on the table itself needs it."""
    kept: list[Token] = []
    for token in tokens(expression):
        if token.text == "." and kept and kept[-1].kind is TokenKind.NAME and kept[-1].value == alias:
            kept.pop()
        else:
            kept.append(token)
    return "".join(token.text for token in kept)


def _significant(expression: str) -> tuple[Token, ...]:
    return tuple(token for token in tokens(without_alias(expression)) if token.kind is not TokenKind.BLANK)


def sole_column(expression: str) -> str | None:
    """Return the name of the column when the expression is nothing else (``achternaam``, ``s."Naam"``), else None."""
    found = _significant(expression)
    return found[0].value if len(found) == 1 and found[0].kind is TokenKind.NAME else None


def identifies(expression: str, key: tuple[str, ...]) -> bool:
    """Return True when different values of the staging key always give different values of the expression.

    That is so when the key is one column and the expression is that column, or it joined with literals by ``||``. With
    more columns it is not (``'a' || 'bc'`` is ``'ab' || 'c'``), whatever stands between them.
    """
    if len(key) != 1:
        return False
    parts: list[Token] = []
    found = _significant(expression)
    if len(found) % 2 == 0:
        return False
    for number, token in enumerate(found):
        if number % 2 == 1:
            if token.text != "||":
                return False
        elif token.kind in (TokenKind.LITERAL, TokenKind.NAME):
            parts.append(token)
        else:
            return False
    names = [token.value for token in parts if token.kind is TokenKind.NAME]
    return names == [key[0]]


_SAFE_FUNCTIONS = frozenset(
    {"coalesce", "nullif", "lower", "upper", "btrim", "ltrim", "rtrim", "replace", "md5", "length"}
)
_SAFE_OPERATORS = frozenset({"||", "(", ")", ","})
_KEYWORDS = frozenset(
    {"case", "when", "then", "else", "end", "and", "or", "not", "is", "null", "true", "false", "in", "cast"}
)


def cannot_fail(expression: str) -> bool:
    """Return True when the expression is text put together in ways that never raise an error, whatever the row holds.

    Columns, literals, ``||`` and a few text functions are; a cast, arithmetic or any other function is not. Such an
    expression is also immutable, so an index can stand on it.
    """
    found = _significant(expression)
    for token, following in zip(found, (*found[1:], None), strict=False):
        called = following is not None and following.text == "("
        match token.kind:
            case TokenKind.LITERAL:
                if token.text[0] == "$":
                    return False
            case TokenKind.NAME:
                unsafe_call = called and token.value not in _SAFE_FUNCTIONS
                if unsafe_call or token.value in _KEYWORDS or (following is not None and following.text == "."):
                    return False
            case TokenKind.OPERATOR:
                if token.text not in _SAFE_OPERATORS:
                    return False
            case TokenKind.NUMBER | TokenKind.BLANK:
                return False
    return bool(found)
