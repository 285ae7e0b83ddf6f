"""Random stories of nights: what two sources deliver, how the config changes between nights, and what goes wrong."""

from __future__ import annotations

import random
from dataclasses import dataclass, field, replace
from typing import Any

Line = tuple[str, ...]
"""A delivered line: the texts of its columns, the key first; an empty text is null."""
Has = dict[tuple[str, str], dict[str, Line]]
"""What the sources have: by pipe and table the lines, by number."""
COLUMNS = {
    "doctor": ("nr", "doctor", "room", "beds", "home", "mobile", "kind"),
    "skill": ("nr", "doctor", "skill", "room", "kind"),
    "visit": ("nr", "doctor", "ward", "kind", "remark", "n"),
    "ward": ("nr", "kind"),
}
TABLES = {"his": ("doctor", "skill", "visit", "ward"), "crm": ("doctor", "visit", "ward")}
_WORDS = {
    "doctor": ("A", "B", "C", "A", "B", "C", "A", "B", "C", ""),
    "room": ("a", "b", ""),
    "beds": ("1", "2", "1", "2", "x", ""),
    "home": ("7", "8", ""),
    "mobile": ("7", "8", ""),
    "skill": ("eye", "ear"),
    "ward": ("1", "2", "3", "1", "2", "3", "1", "2", "3", ""),
    "remark": ("a", "b", "c", "d"),
    "n": ("1", "2", "1", "2", "1", "2", "x"),
    "kind": ("good", "good", "good", "good", "bad", "out"),
}


@dataclass(frozen=True)
class Rules:
    """What of the config may change from one night to the next."""

    filtered: bool = False
    """The mappings leave rows of kind 'out' away."""
    upper: bool = False
    """Rooms are written in capitals."""
    rejects: tuple[str, ...] = ("bad",)
    """Kinds that a validation of staging rejects."""
    second: bool = True
    """Skills give links and values of Default too."""
    vault_rule: str = ""
    """The room that a vault validation does not like."""
    broken: str = ""
    """The table whose mapping (doctor, skill, ward, visit) cannot be done at all."""
    log_errors: bool = False
    """on_errors: log."""


@dataclass(frozen=True)
class Story:
    """`nights`: for each night its rules, the lines per pipe and table, and its accident ('', 'twice', ...)."""

    driving: bool
    prefer: bool
    delta: bool
    nights: tuple[Night, ...] = ()


@dataclass(frozen=True)
class Night:
    rules: Rules
    lines: dict[str, dict[str, tuple[Line, ...]]] = field(default_factory=dict)
    accident: str = ""
    """twice: every stage again; hubs, links, sor: these stages again; wrong: a wrong delivery first; rewind: taken back
    with the night before it, and loaded again."""


ACCIDENTS = ("", "", "twice", "hubs", "links", "sor", "wrong", "rewind")


def random_story(seed: int, *, nights: int = 5) -> Story:
    """A story from a number: the same one each time."""
    chosen = random.Random(seed)
    story = Story(driving=chosen.random() < 0.5, prefer=chosen.random() < 0.5, delta=chosen.random() < 0.3)
    has: Has = {}
    made = []
    rules = Rules()
    for _ in range(nights):
        if chosen.random() < 0.35:
            rules = other_rules(chosen, rules)
        lines = {pipe: deliver(chosen, story, pipe, has) for pipe in TABLES}
        made.append(Night(rules, lines, chosen.choice(ACCIDENTS)))
    return Story(story.driving, story.prefer, story.delta, tuple(made))


def other_rules(chosen: random.Random, rules: Rules) -> Rules:
    changes: dict[str, Any] = {
        "filtered": chosen.random() < 0.5,
        "upper": chosen.random() < 0.5,
        "rejects": chosen.choice(((), ("bad",), ("bad", "out"))),
        "second": chosen.random() < 0.6,
        "vault_rule": chosen.choice(("", "", "a", "b")),
    }
    kept = chosen.sample(sorted(changes), 3)
    return replace(rules, **{name: value for name, value in changes.items() if name not in kept})


def deliver(chosen: random.Random, story: Story, pipe: str, has: Has) -> dict[str, tuple[Line, ...]]:
    """What a pipe delivers next, by table; `has` is what the source has, and is brought up to date."""
    delta = story.delta and pipe == "crm"
    return {table: _deliver(chosen, table, has.setdefault((pipe, table), {}), delta=delta) for table in TABLES[pipe]}


def _deliver(chosen: random.Random, table: str, known: dict[str, Line], *, delta: bool) -> tuple[Line, ...]:
    delivered: list[Line] = []
    for number in map(str, range(1, 4 if table == "ward" else 6)):
        change = chosen.random() < (0.05 if table == "ward" and number in known else 0.35)
        if change and number in known and chosen.random() < 0.3:
            gone = known.pop(number)
            if delta:
                delivered.append(
                    (*gone[: COLUMNS[table].index("kind")], "gone", *gone[COLUMNS[table].index("kind") + 1 :])
                )
            continue
        if change or (number not in known and chosen.random() < 0.5):
            known[number] = (number, *(_word(chosen, table, column) for column in COLUMNS[table][1:]))
            if delta:
                delivered.append(known[number])
        if not delta and number in known:
            delivered.append(known[number])
        if number in known and table != "ward" and chosen.random() < 0.04:
            delivered.append((number, *(_word(chosen, table, column) for column in COLUMNS[table][1:])))
            if delta and sum(line[0] == number for line in delivered) < 2:
                delivered.pop()
    return tuple(delivered)


def _word(chosen: random.Random, table: str, column: str) -> str:
    if table == "ward":
        return "good"
    return chosen.choice(_WORDS[column])
