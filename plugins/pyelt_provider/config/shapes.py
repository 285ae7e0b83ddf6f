"""Checks a document against its model, goes on with what is right in it, and tells every mistake in plain words."""

from __future__ import annotations

import types
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Annotated, Any, TypeVar, Union, get_args, get_origin

from pydantic import BaseModel, Tag, ValidationError
from pydantic.fields import FieldInfo

from pyelt_provider.config.keys import Keys, key_names, other_names
from pyelt_provider.config.spots import Cursor, Key, Problems, Spot, nearest
from pyelt_provider.config.words import in_words
from pyelt_provider.config.yaml_text import Document

MISSING = "\x00missing"
"""Stands where a required value is missing or wrong, so that the rest can be checked; that it misses has been told."""

Model = TypeVar("Model", bound=BaseModel)


def checked_against(model: type[Model], document: Document, problems: Problems) -> Model | None:
    """Return the document as its model; report what does not fit and return what is left without it.

    Wrong parts are taken out of `document` (which is changed) and noted in its spots, so that later checks do not
    complain again about what misses because of them. None only where nothing is left that can be used.
    """
    root = document.cursor(problems)
    _rename(model, document.data, document.spot, root)
    told: dict[tuple[Key, ...], int] = {}
    for _ in range(50):
        try:
            return model.model_validate(document.data, strict=True)
        except ValidationError as error:
            mistakes = error.errors(include_url=False)
        removals: list[_Part] = []
        found = [(_find(document.data, root, tuple(mistake["loc"])), mistake) for mistake in mistakes]
        misspelt = {
            part.keys[:-1] + tuple(get_close_matches(str(part.key), _names_at(model, part.tags[:-1]), n=1))
            for part, mistake in found
            if mistake["type"] == "extra_forbidden"
        }
        for part, mistake in found:
            tries = told.get(part.keys, 0)
            told[part.keys] = tries + 1
            known_cause = part.key in part.parent.spot.removed or part.keys in misspelt
            is_stand_in = mistake.get("input") in (MISSING, [MISSING])
            if not tries and not is_stand_in and not (mistake["type"] == "missing" and known_cause):
                _report(model, part, dict(mistake))
            _mend(part, mistake["type"], tries, removals)
        for part in sorted(removals, key=lambda part: (len(part.keys), str(part.keys), _index(part.key)), reverse=True):
            _remove(part)
    return None


@dataclass(slots=True)
class _Part:
    """The part of a document that a mistake is about: `key` in `container`."""

    container: Any
    key: Key
    parent: Cursor
    cursor: Cursor
    keys: tuple[Key, ...]
    tags: tuple[Key, ...]
    above: list[tuple[Any, Key, Cursor]] = field(default_factory=list)


def _find(data: Any, root: Cursor, loc: tuple[Key, ...]) -> _Part:
    """Follow pydantic's location; the names of union members in it, which stand in brackets, are not in the data."""
    keys: list[Key] = []
    container: Any = {"": data}
    key: Key = ""
    parent = cursor = root
    value = data
    above: list[tuple[Any, Key, Cursor]] = []
    for position, step in enumerate(loc):
        last = position == len(loc) - 1
        present = step in value if isinstance(value, dict) else isinstance(step, int) and isinstance(value, list)
        if step == "[key]" or (not present and isinstance(step, str) and step.startswith("(")):
            continue
        if not present and not last:
            break
        above.append((container, key, parent))
        container, key, parent, cursor = value, step, cursor, cursor / step
        keys.append(step)
        value = value[step] if present else None
    return _Part(container, key, parent, cursor, tuple(keys), loc, above)


def _report(model: type[BaseModel], part: _Part, mistake: dict[str, Any]) -> None:
    kind = mistake["type"]
    if kind == "extra_forbidden":
        known = _names_at(model, part.tags[:-1])
        found = _annotation_at(model, part.tags[:-1])[0]
        now = found.replaced.get(str(part.key)) if isinstance(found, type) and issubclass(found, Keys) else None
        Cursor(part.parent.file, part.cursor.spot, part.parent.path, part.parent.problems).wrong(
            f"the key {str(part.key)!r} is not known here", now or nearest(str(part.key), known)
        )
    elif kind == "missing":
        part.parent.wrong(f"the key {str(part.key)!r} is missing", _example(model, part.tags))
    else:
        part.cursor.wrong(*in_words(mistake, _example(model, part.tags)))


def _mend(part: _Part, kind: str, tries: int, removals: list[_Part]) -> None:
    """Take the part out; where it has to be there, put a stand-in, and where none fits take out the thing around it."""
    stand_in = part.container.get(part.key) if isinstance(part.container, dict) else None
    if tries > 3 and len(part.above) > 1:
        container, key, parent = part.above[-1]
        removals.append(_Part(container, key, parent, part.parent, part.keys[:-1], ()))
    elif kind == "missing" and isinstance(part.container, dict):
        part.parent.spot.removed.add(part.key)
        part.container[part.key] = MISSING
    elif stand_in == MISSING:
        part.container[part.key] = [MISSING]
    elif stand_in == [MISSING] and len(part.above) > 1:
        container, key, parent = part.above[-1]
        removals.append(_Part(container, key, parent, part.parent, part.keys[:-1], ()))
    else:
        removals.append(part)


def _remove(part: _Part) -> None:
    spot = part.parent.spot
    spot.removed.add(part.key)
    if isinstance(part.container, dict):
        part.container.pop(part.key, None)
    elif isinstance(part.container, list) and isinstance(part.key, int) and part.key < len(part.container):
        del part.container[part.key]
        shifted = {}
        for index, child in spot.children.items():
            if isinstance(index, int) and index > part.key:
                child.number = index if child.number is None else child.number
                shifted[index - 1] = child
            elif index != part.key:
                shifted[index] = child  # type: ignore[index]
        spot.children = shifted  # type: ignore[assignment]


def _index(key: Key) -> int:
    return key if isinstance(key, int) else -1


def _rename(model: type[BaseModel], data: dict[str, Any], spot: Spot, root: Cursor) -> None:
    """Give keys that stand for another one (PyELT's older names) their own name."""
    for other, name in other_names(model).items():
        if other not in data:
            continue
        if name in data:
            (root / other).wrong(f"{other!r} stands for {name!r}, which is given too", "keep one of them")
            del data[other]
            continue
        data[name] = data.pop(other)
        if other in spot.children:
            spot.children[name] = spot.children.pop(other)


def _names_at(model: type[BaseModel], loc: tuple[Key, ...]) -> list[str]:
    found = _annotation_at(model, loc)[0]
    return key_names(found) if isinstance(found, type) and issubclass(found, BaseModel) else []


def _example(model: type[BaseModel], loc: tuple[Key, ...]) -> str:
    """Return 'such as ...' with the example of the key that is wrong, or whose list has a wrong item."""
    steps = [step for step in loc if not (isinstance(step, str) and step.startswith("("))]
    _, info, name = _annotation_at(model, loc)
    extra = info.json_schema_extra if info is not None else None
    is_its_own = name in steps[-1:] or (name in steps[-2:-1] and isinstance(steps[-1], int))
    if is_its_own and isinstance(extra, dict) and extra.get("example") is not None:
        return f"such as {name}: {_as_yaml(extra['example'])}"
    return ""


def _as_yaml(value: object) -> str:
    import yaml

    text: str = yaml.safe_dump(value, default_flow_style=True, width=10_000, sort_keys=False, allow_unicode=True)
    return text.removesuffix("\n").removesuffix("\n...")


def _annotation_at(model: Any, loc: tuple[Key, ...]) -> tuple[Any, FieldInfo | None, str]:
    """Return the type that a location of pydantic's is checked against, and the key that it belongs to, with its name."""
    here: Any = model
    info: FieldInfo | None = None
    name = ""
    for step in loc:
        here = _bare(here)
        if isinstance(step, str) and step.startswith("("):
            here = next((member for member in union_members(here) if _tag(member) == step), here)
        elif isinstance(here, type) and issubclass(here, BaseModel):
            info = next((f for n, f in here.model_fields.items() if (f.alias or n) == step), None)
            here, name = (info.annotation if info is not None else None), str(step)
        elif get_origin(here) in (dict, list):
            here = get_args(here)[-1]
    return _bare(here), info, name


def _bare(annotation: Any) -> Any:
    """Return the annotation without Annotated and without `| None`."""
    while True:
        if get_origin(annotation) is Annotated:
            annotation = get_args(annotation)[0]
        elif len(rest := [member for member in union_members(annotation) if member is not type(None)]) == 1:
            annotation = rest[0]
        else:
            return annotation


def union_members(annotation: Any) -> tuple[Any, ...]:
    """Return the members of a union, also of one inside Annotated; nothing for other annotations."""
    if get_origin(annotation) is Annotated:
        return union_members(get_args(annotation)[0])
    return get_args(annotation) if get_origin(annotation) in (Union, types.UnionType) else ()


def _tag(annotation: Any) -> str | None:
    return next((m.tag for m in getattr(annotation, "__metadata__", ()) if isinstance(m, Tag)), None)
