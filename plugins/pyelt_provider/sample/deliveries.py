"""Makes the deliveries of the sample project's source systems: files, and tables in the laboratory's database."""

from __future__ import annotations

from pathlib import Path

from pyelt_provider.sample import billing, his, lab
from pyelt_provider.sample.calendar_days import DAYS, PATIENTS, day_of

SEED = 1


def write_deliveries(
    data_root: Path,
    lab_url: str | None,
    *,
    days: int = DAYS,
    patients: int = PATIENTS,
    seed: int = SEED,
    hold_back_late: bool = False,
) -> None:
    """Write all deliveries of the story below `data_root`, and into the database at `lab_url` when it is given.

    The same arguments give the same bytes. Memory does not grow with `patients`; what stood there is replaced. With
    `hold_back_late` the file that is late is left out, for `write_late_deliveries` to write afterwards.
    """
    for day in range(1, days + 1):
        late = hold_back_late and day == his.LATE_DAY
        his.write_day(data_root / "his", day, patients=patients, seed=seed, leave_out=his.LATE_FILE if late else "")
    billing.write_months(data_root / "billing", days=days, patients=patients, seed=seed)
    if lab_url is not None:
        lab.write_database(lab_url, days=days, patients=patients, seed=seed)


def late_delivery(data_root: Path) -> Path:
    """Return the path of the one file that is late; a stage that looks for it earlier waits (``wait_for``)."""
    return data_root / "his" / day_of(his.LATE_DAY).isoformat() / his.LATE_FILE


def write_late_deliveries(data_root: Path, *, days: int = DAYS) -> Path | None:
    """Write the file that `write_deliveries` held back and return its path; None when the story ends before it."""
    return his.write_late_file(data_root / "his") if days >= his.LATE_DAY else None
