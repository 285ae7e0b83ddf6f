"""What a night means, by the rules and without any SQL: staging, hubs, satellites, record status, links and their status."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from nights.story import COLUMNS, TABLES, Line, Rules, Story

Pair = tuple[str, str]
Cells = dict[str, str | None]


class Bad(Exception):
    """A value that cannot be cast."""


@dataclass
class Row:
    """An active row of staging."""

    line: Line
    cells: Cells
    since: int
    valid: bool = True


@dataclass(frozen=True)
class Mapping:
    """A mapping as the model sees it: what a row gives (a key or pair, and values), or Bad."""

    name: str
    table: str
    given: Callable[[Cells, Rules], tuple[Any, dict[str, Any]]]
    filtered: bool


def _number(text: str | None) -> int | None:
    if text == "x":
        raise Bad
    return int(text) if text is not None else None


def _doctor(cells: Cells, rules: Rules) -> tuple[Any, dict[str, Any]]:
    values = {"beds": _number(cells["beds"]), "home": cells["home"], "mobile": cells["mobile"]}
    return cells["doctor"], {"room": _room(cells, rules), **values}


def _room(cells: Cells, rules: Rules) -> str | None:
    room = cells["room"]
    return room.upper() if room is not None and rules.upper else room


def _pair(doctor: str | None, ward: str | None) -> Pair | None:
    return (doctor, ward) if doctor is not None and ward is not None else None


DOCTORS = Mapping("doctor", "doctor", _doctor, True)
SKILLS = Mapping("skill", "skill", lambda c, r: (c["doctor"], {"skill": c["skill"], "room": _room(c, r)}), True)
WARDS = Mapping("ward", "ward", lambda c, r: (c["nr"], {}), False)
VISITS = Mapping(
    "visit",
    "visit",
    lambda c, r: (_pair(c["doctor"], c["ward"]), {"remark": c["remark"], "n": _number(c["n"])}),
    True,
)
OF_SKILLS = Mapping(
    "of skill", "skill", lambda c, r: (_pair(c["doctor"], "1" if c["skill"] == "eye" else "2"), {}), False
)


@dataclass
class PipeModel:
    """One pipe: its staging, what its rows stood for, and what the vault has of it."""

    name: str
    story: Story
    rows: dict[str, dict[str, Row]] = field(default_factory=dict)
    stood: dict[str, dict[str, Any]] = field(default_factory=dict)
    known: dict[str, set[Any]] = field(default_factory=lambda: {"Doctor": set(), "Ward": set(), "Visit": set()})
    gone: dict[str, set[Any]] = field(default_factory=lambda: {"Doctor": set(), "Ward": set(), "Visit": set()})
    default: dict[str, dict[str, Any]] = field(default_factory=dict)
    contact: dict[tuple[str, str], str | None] = field(default_factory=dict)
    skills: dict[str, str | None] = field(default_factory=dict)
    remarks: dict[Pair, tuple[Any, Any]] = field(default_factory=dict)
    specialists: set[str] = field(default_factory=set)
    left: dict[str, dict[str, Any]] = field(default_factory=dict)
    """By mapping: what the rows that closed since it last looked stood for, by number."""
    unseen: set[int] = field(default_factory=set)
    """The nights whose deliveries the links have not looked at."""
    validated_by: str = ""
    """The vault rule that the pipe's rows were judged by."""
    linked_by: Rules | None = None
    """The rules by which the links were loaded last."""
    usable: dict[str, dict[str, tuple[Any, dict[str, Any]]]] = field(default_factory=dict)
    refused: dict[str, set[str]] = field(default_factory=dict)

    def stage(self, night: int, lines: dict[str, tuple[Line, ...]], rules: Rules) -> None:
        """Load a delivery into staging."""
        self.unseen.add(night)
        for table in TABLES[self.name]:
            closed = self._deliver(night, table, lines[table])
            for row in self.rows[table].values():
                row.valid = table == "ward" or row.cells["kind"] not in rules.rejects
            for mapping in self._mappings:
                if mapping.table == table:
                    self._leave(mapping, closed)

    @property
    def _mappings(self) -> list[Mapping]:
        return [m for m in (DOCTORS, SKILLS, WARDS, VISITS, OF_SKILLS) if m.table in TABLES[self.name]]

    def _leave(self, mapping: Mapping, closed: set[str]) -> None:
        stood, left = self.stood.setdefault(mapping.name, {}), self.left.setdefault(mapping.name, {})
        for number in closed & stood.keys():
            left.setdefault(number, stood[number])
            if number not in self.rows[mapping.table]:
                del stood[number]

    def _deliver(self, night: int, table: str, lines: tuple[Line, ...]) -> set[str]:
        """Change the active rows; return the numbers of those that were closed."""
        active = self.rows.setdefault(table, {})
        delta = self.story.delta and self.name == "crm"
        numbers = [line[0] for line in lines]
        closed = set()
        if not delta:
            closed = active.keys() - set(numbers)
        for line in lines:
            number = line[0]
            if numbers.count(number) > 1:
                continue
            cells = {name: text or None for name, text in zip(COLUMNS[table], line, strict=True)}
            if delta and cells["kind"] == "gone":
                closed |= active.keys() & {number}
            elif number not in active or active[number].line != line:
                closed |= active.keys() & {number}
                active[number] = Row(line, cells, night)
                continue
        for number in closed:
            if active[number].since != night:
                del active[number]
        return set(closed)

    def _judge(self, mapping: Mapping, rules: Rules) -> None:
        stood = self.stood[mapping.name]
        usable: dict[str, tuple[Any, dict[str, Any]]] = {}
        refused = set()
        active = self.rows[mapping.table]
        for number, row in active.items():
            if row.valid and rules.filtered and mapping.filtered and row.cells["kind"] == "out":
                stood.pop(number, None)
                continue
            try:
                if not row.valid:
                    raise Bad
                usable[number] = mapping.given(row.cells, rules)
                stood[number] = usable[number][0]
            except Bad:
                refused.add(number)
        self.usable[mapping.name], self.refused[mapping.name] = usable, refused

    # ------------------------------------------------------------ hubs

    def hubs(self, rules: Rules) -> None:
        for mapping in self._mappings:
            if mapping in (DOCTORS, SKILLS, WARDS):
                self._judge(mapping, rules)
                self.left[mapping.name] = {}
        self.validated_by = rules.vault_rule
        doctors, wards = self._winners(DOCTORS), self._winners(WARDS)
        skills = self._winners(SKILLS) if self.name == "his" else {}
        self._status("Doctor", {*doctors, *skills}, (DOCTORS, SKILLS))
        self._status("Ward", set(wards), (WARDS,))
        self.specialists |= skills.keys()
        for key in {*doctors, *skills}:
            of_doctor, of_skill = doctors.get(key), skills.get(key)
            if of_doctor is not None:
                self.default[key] = {"room": of_doctor["room"], "beds": of_doctor["beds"]}
                for kind in ("home", "mobile"):
                    if of_doctor[kind] is not None or (key, kind) in self.contact:
                        self.contact[key, kind] = of_doctor[kind]
            elif of_skill is not None and rules.second:
                self.default[key] = {"beds": None, **self.default.get(key, {}), "room": of_skill["room"]}
            if of_skill is not None:
                self.skills[key] = of_skill["skill"]

    def _winners(self, mapping: Mapping) -> dict[str, dict[str, Any]]:
        """By key what its first row gives."""
        found: dict[str, dict[str, Any]] = {}
        for number in sorted(self.usable[mapping.name], reverse=True):
            key, values = self.usable[mapping.name][number]
            if key is not None:
                found[key] = values
        return found

    def _kept(self, mappings: tuple[Mapping, ...]) -> set[Any]:
        """What rejected rows gave while they stood."""
        return {
            self.stood[mapping.name][number]
            for mapping in mappings
            for number in self.refused.get(mapping.name, ())
            if number in self.stood[mapping.name]
        }

    def _status(self, hub: str, given: set[str], mappings: tuple[Mapping, ...]) -> None:
        self.known[hub] |= given
        kept, gone = self._kept(mappings), self.gone[hub]
        self.gone[hub] = {key for key in self.known[hub] - given if key in gone or key not in kept}

    # ------------------------------------------------------------ links

    def links(self, hubs: dict[str, set[str]], before: set[Pair], rules: Rules) -> None:
        old, unseen = self.linked_by, self.unseen
        full = old is None or old.filtered != rules.filtered or (self.name == "his" and old.second != rules.second)
        self.linked_by, self.unseen = rules, set()
        for mapping in self._mappings:
            if mapping in (VISITS, OF_SKILLS):
                self._judge(mapping, rules)
        mappings = (VISITS, OF_SKILLS) if self.name == "his" and rules.second else (VISITS,)
        rows = list(self._given(mappings, hubs, rules))
        active = self.known["Visit"] - self.gone["Visit"]
        held = {pair for pair, *_ in rows}
        standing = list(self._standing(mappings, active))
        self.known["Visit"] |= held
        holds = held | {pair for pair, _ in standing}
        left = {pair for m in mappings for pair in self.left[m.name].values() if pair is not None}
        self.left |= {VISITS.name: {}, OF_SKILLS.name: {}}
        if self.story.driving:
            best: dict[str, tuple[Any, Pair]] = {}
            for pair in holds:
                mine = [row[1:] for row in rows if row[0] == pair]
                since = [s for *_, s in mine] + [s for p, s in standing if p == pair]
                created = pair not in before
                is_new = created or (not full and all(s in unseen for s in since) and pair not in left)
                was_current = pair in active and not created
                preference = min((p for p, *_ in mine if p is not None), default="~")
                place = min(((m, n) for _, m, n, _ in mine), default=(9, "~"))
                rank = (preference, not is_new, not was_current, -max(since), place)
                if pair[0] not in best or (rank, pair) < best[pair[0]]:
                    best[pair[0]] = (rank, pair)
            holds = {pair for _, pair in best.values()}
        self.gone["Visit"] = self.known["Visit"] - holds
        for pair in {row[0] for row in rows if row[2] == 0}:
            winner = min((p or "", n) for q, p, m, n, _ in rows if q == pair and m == 0)
            values = self.usable[VISITS.name][winner[1]][1]
            self.remarks[pair] = (values["remark"], values["n"])

    def _given(
        self, mappings: tuple[Mapping, ...], hubs: dict[str, set[str]], rules: Rules
    ) -> Iterator[tuple[Pair, str | None, int, str, int]]:
        """(pair, preference, mapping, row, since) of every usable row whose keys are there."""
        for place, mapping in enumerate(mappings):
            for number, (pair, values) in self.usable[mapping.name].items():
                if pair is not None and pair[0] in hubs["Doctor"] and pair[1] in hubs["Ward"]:
                    preference = values["remark"] if mapping is VISITS and self.story.prefer else None
                    yield pair, preference, place, number, self.rows[mapping.table][number].since

    def _standing(self, mappings: tuple[Mapping, ...], active: set[Any]) -> Iterator[tuple[Pair, int]]:
        for mapping in mappings:
            for number in self.refused[mapping.name]:
                pair = self.stood[mapping.name].get(number)
                if pair is not None and pair in active:
                    yield pair, -1


class Model:
    """The whole vault."""

    def __init__(self, story: Story) -> None:
        self.story = story
        self.pipes = {name: PipeModel(name, story) for name in TABLES}
        self.doctors: set[str] = set()
        self.wards: set[str] = set()
        self.pairs: dict[Pair, int] = {}
        """The night in which a pair became a link."""

    def night(self, number: int) -> None:
        """All of a night."""
        night = self.story.nights[number]
        for name in self.pipes:
            self.stage(number, name, night.lines[name], night.rules)
            self.hubs(name, night.rules)
        for name in self.pipes:
            self.links(number, name, night.rules)

    def stage(self, number: int, pipe: str, lines: dict[str, tuple[Line, ...]], rules: Rules) -> None:
        self.pipes[pipe].stage(number, lines, rules)

    def hubs(self, pipe: str, rules: Rules) -> None:
        self.pipes[pipe].hubs(rules)
        self.doctors |= self.pipes[pipe].known["Doctor"]
        self.wards |= self.pipes[pipe].known["Ward"]

    def links(self, number: int, pipe: str, rules: Rules) -> None:
        before = {pair for pair, night in self.pairs.items() if night != number}
        self.pipes[pipe].links({"Doctor": self.doctors, "Ward": self.wards}, before, rules)
        self.pairs = dict.fromkeys(self.pipes[pipe].known["Visit"], number) | self.pairs

    def state(self) -> dict[str, Any]:
        """What a vault shows now."""
        specialists = set().union(*(pipe.specialists for pipe in self.pipes.values()))
        shown: dict[str, Any] = {
            "doctors": {(key, "specialist" if key in specialists else "doctor") for key in self.doctors},
            "wards": self.wards,
            "links": set(self.pairs),
        }
        for name, pipe in self.pipes.items():
            rule = pipe.validated_by
            shown[name] = {
                "gone": {hub: set(keys) for hub, keys in pipe.gone.items()},
                "default": {
                    (key, v["room"], v["beds"], not rule or v["room"] != rule) for key, v in pipe.default.items()
                },
                "contact": {(*key, number) for key, number in pipe.contact.items()},
                "skill": set(pipe.skills.items()),
                "remarks": {(*pair, *values) for pair, values in pipe.remarks.items()},
            }
        return shown
