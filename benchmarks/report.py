"""Prints headings and tables as plain text."""

from __future__ import annotations

from collections.abc import Sequence


def heading(text: str) -> None:
    print(f"\n{text}\n{'=' * len(text)}", flush=True)


def table(names: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print rows below their column names; numbers to the right, texts to the left."""
    widths = [max(len(str(row[place])) for row in [names, *rows]) for place in range(len(names))]
    numeric = [all(_is_number(row[place]) for row in rows) for place in range(len(names))]
    for row in [names, ["-" * width for width in widths], *rows]:
        cells = (
            cell.rjust(width) if right else cell.ljust(width)
            for cell, width, right in zip(row, widths, numeric, strict=True)
        )
        print("  " + "  ".join(cells).rstrip(), flush=True)


def _is_number(text: str) -> bool:
    return text.replace(",", "").replace(".", "").replace("-", "").isdigit() or text == ""
