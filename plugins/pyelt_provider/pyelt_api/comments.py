"""The comments of a program's files, by the line that they speak of: what stands right above it, and what behind it."""

from __future__ import annotations

import io
import re
import tokenize
from pathlib import Path

from pyelt_provider.config.yaml_writing import Comment

_TO_TOOLS = re.compile(r"noqa\b|type:\s*ignore|pylint:|fmt:|mypy:|pragma:|-\*-|!")


class ProgramComments:
    """Gives the comments of a line of a program's files, each of them once."""

    def __init__(self, roots: tuple[Path, ...]) -> None:
        self._roots = roots
        self._files: dict[str, dict[int, Comment]] = {}

    def __call__(self, file: str, line: int) -> Comment:
        return self._of(file).pop(line, Comment())

    def peek(self, file: str, line: int) -> bool:
        """Say whether there is a comment that was not given yet."""
        return line in self._of(file)

    def _of(self, file: str) -> dict[int, Comment]:
        if file not in self._files:
            path = next((root / file for root in self._roots if (root / file).is_file()), None)
            self._files[file] = comments_of(path) if path is not None and file.endswith(".py") else {}
        return self._files[file]


def comments_of(path: Path) -> dict[int, Comment]:
    """Return the comments of a Python file by the number of the line that each speaks of."""
    try:
        tokens = list(tokenize.tokenize(io.BytesIO(path.read_bytes()).readline))
    except (OSError, SyntaxError, tokenize.TokenError, UnicodeDecodeError):
        return {}
    found: dict[int, Comment] = {}
    above: list[str] = []
    last = 0
    for token in tokens:
        line = token.start[0]
        if token.type == tokenize.COMMENT:
            text = token.string.lstrip("#").strip()
            if not text or _TO_TOOLS.match(text):
                continue
            if token.line[: token.start[1]].strip():
                known = found.get(line, Comment())
                found[line] = Comment(known.above, text)
            else:
                above = [*above, text] if last == line - 1 else [text]
                last = line
        elif token.type not in (tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENCODING):
            if above and line - last <= 2:
                known = found.get(line, Comment())
                found[line] = Comment(tuple(above), known.beside)
            above = []
    return found
