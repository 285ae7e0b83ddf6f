"""The story that a soak loads: random nights of tests/nights in chapters, in which the rules stay as they are."""

from __future__ import annotations

import random
from dataclasses import dataclass, replace
from pathlib import Path

from databases import Database
from nights.comparison import vault_differences
from nights.hospital import Hospital
from nights.model import Model
from nights.story import Rules, Story, random_story
from soak.hospital_dag import Chapter

LONGEST_CHAPTER = 8


@dataclass(frozen=True)
class Told:
    """A story whose nights have the rules of their chapter, and the last night of each chapter."""

    story: Story
    ends: tuple[int, ...]

    def chapter(self, end: int, name: str, warehouse: Database, deliveries: Path) -> Chapter:
        """The DAG for the chapter that ends with this night."""
        return Chapter(
            name=name,
            warehouse=warehouse.url,
            deliveries=str(deliveries),
            driving=self.story.driving,
            prefer=self.story.prefer,
            delta=self.story.delta,
            last_night=end,
            rules=self.story.nights[end].rules,
        )

    def deliver(self, hospital: Hospital) -> None:
        """Write every delivery of the story."""
        for number, night in enumerate(self.story.nights):
            hospital.write(number, night.lines)

    def load_undisturbed(self, hospital: Hospital) -> list[str]:
        """Load every night, one after the other and without accidents; return where the vault is not as the model says."""
        model = Model(self.story)
        for number, night in enumerate(self.story.nights):
            hospital.obey(night.rules)
            hospital.load(number)
            model.night(number)
        return vault_differences(hospital, model)


def told_at_once(seed: int, nights: int) -> Told:
    """The story of a seed in one chapter, whose rules never change."""
    story = random_story(seed, nights=nights)
    return Told(replace(story, nights=tuple(replace(night, rules=Rules()) for night in story.nights)), (nights - 1,))


def told(seed: int, nights: int) -> Told:
    """The story of a seed, the same one each time."""
    chosen = random.Random(f"chapters {seed}")
    story = random_story(seed, nights=nights)
    ends, made = [], []
    while len(made) < nights:
        length = min(chosen.randint(1, LONGEST_CHAPTER), nights - len(made))
        rules = story.nights[len(made)].rules
        made += [replace(night, rules=rules) for night in story.nights[len(made) : len(made) + length]]
        ends.append(len(made) - 1)
    return Told(replace(story, nights=tuple(made)), tuple(ends))
