"""Loads random stories and compares: the vault with the model after every night, and with a vault without accidents."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from databases import Database
from nights.hospital import Hospital
from nights.model import Model
from nights.story import Line, Story


def vault(hospital: Hospital) -> dict[str, Any]:
    """What the vault says now, in the words of the model."""
    state = hospital.state()
    shown: dict[str, Any] = {
        "doctors": set(state["doctor_hub"]),
        "wards": {bk for bk, _ in state["ward_hub"]},
        "links": set(state["visit_link"]),
    }
    for name in hospital.order:

        def active(table: str, keys: int, name: str = name) -> list[tuple[Any, ...]]:
            """The active rows of the pipe: their keys, then their values."""
            rows = [row for row in state[table] if row[keys] == name and row[keys + 3]]
            return [(*row[:keys], *row[keys + 5 :]) for row in rows]

        def gone(table: str, keys: int, word: str) -> set[Any]:
            found = [row[:keys] for row in active(table, keys) if row[keys] == word]
            return {row[0] if keys == 1 else row for row in found}

        shown[name] = {
            "gone": {
                "Doctor": gone("doctor_status", 1, "deleted"),
                "Ward": gone("ward_status", 1, "deleted"),
                "Visit": gone("visit_status", 2, "ended"),
            },
            "default": {row[:4] for row in active("doctor_sat", 1)},
            "contact": set(active("contact", 1)),
            "skill": set(active("skill", 1)),
            "remarks": set(active("visit_sat", 2)),
        }
    return shown


def difference(expected: dict[str, Any], found: dict[str, Any], path: str = "") -> list[str]:
    texts = []
    for key, value in expected.items():
        if isinstance(value, dict):
            texts += difference(value, found[key], f"{path}{key}.")
        elif value != found[key]:
            missing, extra = sorted(map(str, value - found[key])), sorted(map(str, found[key] - value))
            texts.append(f"{path}{key}: the vault lacks {missing} and has {extra}")
    return texts


def play(hospital: Hospital, story: Story, *, accidents: bool, model: Model | None) -> list[str]:
    """Load the story; return the differences from the model of the first night that has any."""
    for number, night in enumerate(story.nights):
        hospital.obey(night.rules)
        accident = night.accident if accidents else ""
        if accident == "wrong" and number > 0:
            hospital.write(number, spoiled(night.lines))
            hospital.load(number)
        hospital.write(number, night.lines)
        hospital.load(number)
        found = _compared(hospital, model, number) if model else []
        if found:
            return found
        happens(hospital, story, number, accident)
        again = vault_differences(hospital, model) if model and accident else []
        if again:
            return [f"night {number} after {accident}: {text}" for text in again]
    return []


def _compared(hospital: Hospital, model: Model, number: int) -> list[str]:
    model.night(number)
    return [f"night {number}: {text}" for text in vault_differences(hospital, model)]


def vault_differences(hospital: Hospital, model: Model) -> list[str]:
    return difference(model.state(), vault(hospital))


def happens(hospital: Hospital, story: Story, number: int, accident: str) -> None:
    if number == 0:
        return
    match accident:
        case "twice":
            hospital.load(number)
        case "hubs":
            hospital.load(number, "etl_hubs", "etl_links")
        case "links":
            hospital.load(number, "etl_links")
        case "sor":
            hospital.load(number, "etl_sor")
            hospital.load(number, "etl_hubs")
            hospital.load(number, "etl_links")
        case "rewind":
            back = max(number - 2, 0)
            hospital.take_back(back)
            for again in range(back + 1, number + 1):
                hospital.obey(story.nights[again].rules)
                hospital.load(again)


def spoiled(lines: dict[str, dict[str, tuple[Line, ...]]]) -> dict[str, dict[str, tuple[Line, ...]]]:
    """A wrong delivery of one pipe in the same night: rows are left out, and visits are in another ward.

    Keys that another pipe uses by then are not taken back, so the wrong delivery makes no keys of its own.
    """
    swapped = {"1": "2", "2": "1"}
    wrong = {
        "visit": tuple((*row[:2], swapped.get(row[2], row[2]), *row[3:]) for row in lines["his"]["visit"][::2]),
        "doctor": lines["his"]["doctor"][1:],
        "skill": lines["his"]["skill"][:-1],
    }
    return {**lines, "his": {**lines["his"], **wrong}}


def check(straight: Database, troubled: Database, folder: Path, story: Story) -> list[str]:
    """Return what is different: from the model, or between nights without and with accidents (and pipes turned round)."""
    (folder / "a").mkdir(exist_ok=True)
    (folder / "b").mkdir(exist_ok=True)
    first = Hospital(straight, folder / "a", story)
    found = play(first, story, accidents=False, model=Model(story))
    if found:
        return found
    second = Hospital(troubled, folder / "b", story, ("crm", "his"))
    found = play(second, story, accidents=True, model=Model(story))
    if found:
        return found
    one, other = first.state(), second.state()
    return [
        f"{table}: only without accidents {sorted(map(str, set(rows) - set(other[table])))}, "
        f"only with {sorted(map(str, set(other[table]) - set(rows)))}"
        for table, rows in one.items()
        if sorted(map(str, rows)) != sorted(map(str, other[table]))
    ]
