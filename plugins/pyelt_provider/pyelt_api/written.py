"""Where in the user's program something was said: every object of the front keeps it, so that problems have a line."""

from __future__ import annotations

import sys
from pathlib import Path

from pyelt_provider.model.place import NOWHERE, Place

_OWN = str(Path(__file__).parent) + "/"
_PACKAGE = Path(__file__).parents[1]


def here() -> Place:
    """Return the place of the call in the program that uses the front: the nearest frame that is not the front's own."""
    frame = sys._getframe(1)
    while frame is not None and (frame.f_code.co_filename.startswith((_OWN, "<"))):
        if frame.f_back is None:
            return NOWHERE
        frame = frame.f_back
    return Place(frame.f_code.co_filename, frame.f_lineno)


def is_of_program(file: str, roots: tuple[Path, ...]) -> bool:
    """Say whether a file of Python is one of the program's: below its folders, and neither ours nor an installed one."""
    path = Path(file)
    if path.is_relative_to(_PACKAGE) or "site-packages" in path.parts:
        return False
    return any(path.is_relative_to(root) for root in roots)
