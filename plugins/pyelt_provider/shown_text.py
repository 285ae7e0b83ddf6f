"""Text that somebody else wrote, made safe to show: in a terminal, in a log file, in Airflow's markdown."""

from __future__ import annotations

import re
import unicodedata

_UNSEEN = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
"""Control characters (a terminal obeys them), marks that turn the reading direction, halves of pairs, line separators."""
_MARKDOWN = re.compile(r"([\\`*\[\]<>&~|]|(?<!\w)_|_(?!\w)|(?<![^\n])[ \t]*[#+=-])")


def visible(text: str, *, keep: str = "") -> str:
    r"""Return the text with every character that is not seen but acts written as its escape (``\n``, ``\x1b``, ``\u202e``).

    So one name stays within one line, and cannot hide, colour or forge another. The characters in `keep` stay.
    """
    if text.isprintable():
        return text
    return "".join(_seen(character) if character not in keep else character for character in text)


def markdown(text: str) -> str:
    """Return the text so that a markdown page shows it as it was written: no tags, links, images or emphasis."""
    return _MARKDOWN.sub(_escaped, visible(text, keep="\n"))


def code(text: str) -> str:
    """Return the text as one line of code in markdown, whatever backticks it has."""
    line = visible(" ".join(text.split())) or " "
    longest = max((len(run) for run in re.findall("`+", line)), default=0)
    fence = "`" * (longest + 1)
    blank = " " if line.startswith("`") or line.endswith("`") else ""
    return f"{fence}{blank}{line}{blank}{fence}"


def code_block(text: str, language: str) -> list[str]:
    """Return the text as lines of a code block in markdown, whatever backticks it has."""
    longest = max((len(run) for run in re.findall("`{3,}", text)), default=2)
    fence = "`" * (longest + 1)
    return [f"{fence}{language}", visible(text.strip(), keep="\n\t"), fence]


def _seen(character: str) -> str:
    if unicodedata.category(character) not in _UNSEEN:
        return character
    return character.encode("unicode_escape").decode()


def _escaped(match: re.Match[str]) -> str:
    return f"{match[0][:-1]}\\{match[0][-1]}"
