"""The characters of the story: patients 1 to 13, to each of whom one thing happens that a load has to get right."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

PATIENT_COLUMNS = (
    "patient_number", "last_name", "first_name", "birth_date", "sex", "street", "house_number", "postcode", "city",
    "phone", "mobile", "policy_number", "gp_code", "attending_code",
)  # fmt: skip
EMAIL_SINCE = 4
"""From this day on the file of patients has a new last column, email."""
CARE_TRACK_COLUMNS = (
    "patient_number", "track_number", "specialism", "started", "ended", "staff_code", "referred_by", "referred_on",
)  # fmt: skip

Row = Mapping[str, str]


@dataclass(frozen=True, kw_only=True)
class Character:
    """Rows of one key over the days: as it is at first, what changes on which day, and when it is not delivered."""

    first: Row
    since: int = 1
    changes: Mapping[int, Row] = field(default_factory=dict)
    away: frozenset[int] = frozenset()
    gone_since: int | None = None
    twice: Mapping[int, Row] = field(default_factory=dict)
    """Days on which the key stands in the file twice, the second time with these values."""

    def rows(self, day: int) -> Iterator[Row]:
        """Give the rows that are delivered on a day: none, one, or two of the same key."""
        if day < self.since or day in self.away or (self.gone_since is not None and day >= self.gone_since):
            return
        row = dict(self.first)
        for changed_on, values in sorted(self.changes.items()):
            if changed_on <= day:
                row.update(values)
        yield row
        if day in self.twice:
            yield {**row, **self.twice[day]}


def _patient(number: int, last_name: str, first_name: str, **values: str) -> Row:
    return {
        "patient_number": f"{number:07d}",
        "last_name": last_name,
        "first_name": first_name,
        "birth_date": f"19{50 + number}-0{1 + number % 9}-15",
        "sex": "F" if number % 2 else "M",
        "street": "Verhaalstraat",
        "house_number": str(number),
        "postcode": "1234 AB",
        "city": "Duinstad",
        "phone": f"020-555 {number:04d}",
        "mobile": f"06-0055 {number:04d}",
        "policy_number": f"S{number:07d}",
        "gp_code": "GP01",
        "attending_code": "D01",
        "email": "",
        **values,
    }


PATIENTS = (
    # 1 never changes; the file needs quotes for the street.
    Character(first=_patient(1, "Aarden", "Anna", street='Lange Gang; hoek "Klein"')),
    # 2 moves and moves back: three rows.
    Character(
        first=_patient(2, "Beemster", "Bram"),
        changes={
            2: {"street": "Nieuwe Kade", "house_number": "22"},
            4: {"street": "Verhaalstraat", "house_number": "2"},
        },
    ),
    # 3 is deleted, and returns as she was.
    Character(first=_patient(3, "Citroen", "Carla"), away=frozenset({3, 4})),
    # 4 stands twice in one file, differently; the day after, once.
    Character(
        first=_patient(4, "Duinman", "Daan"),
        changes={3: {"phone": "020-555 4444"}},
        twice={2: {"phone": "020-555 9999"}},
    ),
    # 5 gets a new mobile number together with a postcode that is refused; it is mended two days later.
    Character(
        first=_patient(5, "Eikelaar", "Els"),
        changes={2: {"postcode": "0000 AA", "mobile": "06-0055 5555"}, 4: {"postcode": "1234 AC"}},
    ),
    # 6 has a house number that is no number, until day 3.
    Character(first=_patient(6, "Fluitsma", "Finn", house_number="6 bis"), changes={3: {"house_number": "6"}}),
    # 7 is known to the laboratory a day before she is known here. The first with an e-mail address.
    Character(first=_patient(7, "Gorssel", "Gerda", email="gerda@clinic.example"), since=4),
    # 8 is deleted for good.
    Character(first=_patient(8, "Heideveld", "Hugo"), gone_since=4),
    # 9 and 10 have the same policy number on days 3 and 4.
    Character(
        first=_patient(9, "IJzerman", "Iris"),
        changes={3: {"policy_number": "S0000010"}, 5: {"policy_number": "S0000009"}},
    ),
    Character(first=_patient(10, "Jonkheer", "Jan")),
    # 11 writes telephone numbers in his own way, and gives up the mobile one.
    Character(
        first=_patient(11, "Kastelein", "Karel", sex="M", phone="(+31) 20 / 555.00.11"), changes={3: {"mobile": ""}}
    ),
    # 12 moves to a postcode that is refused, and nobody has mended it yet.
    Character(
        first=_patient(12, "Lindeboom", "Lotte", sex="F"), changes={5: {"postcode": "0000 ZZ", "city": "Zuidwal"}}
    ),
)
# 13 is known to the billing bureau only.


def _track(patient: int, number: int, **values: str) -> Row:
    return {
        "patient_number": f"{patient:07d}",
        "track_number": str(number),
        "specialism": "CAR",
        "started": "2026-01-05",
        "ended": "",
        "staff_code": "D01",
        "referred_by": "GP01",
        "referred_on": "2025-12-29",
        **values,
    }


CARE_TRACKS = (
    Character(first=_track(1, 1)),
    # The practitioner of this one is not in the file of practitioners before day 3: its link waits a day.
    Character(first=_track(1, 2, staff_code="D07", specialism="DER"), since=2),
    # Goes from D01 to D02 and back.
    Character(first=_track(2, 1), changes={3: {"staff_code": "D02"}, 5: {"staff_code": "D01"}}),
    # Goes and returns with its patient.
    Character(first=_track(3, 1), away=frozenset({3, 4})),
    # Its patient is rejected until day 3: its link to the patient waits.
    Character(first=_track(6, 1, staff_code="D03")),
    # Ends before it starts: a validation of the vault marks it.
    Character(first=_track(11, 1, started="2026-01-10"), changes={2: {"ended": "2026-01-02"}}),
)
