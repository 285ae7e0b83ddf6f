"""Airflow's pages of the sample: the rows and columns that they show, and how to get at them."""

from __future__ import annotations

from urllib.parse import quote

from playwright.sync_api import FloatRect, Locator, Page
from playwright.sync_api import TimeoutError as Timeout

RUNS = [f"scheduled__{day}T01:00:00+00:00" for day in (
    "2026-01-30", "2026-01-31", "2026-02-01", "2026-02-02", "2026-02-03", "2026-02-04")]  # fmt: skip
LAST = RUNS[-1]
ROWS = [
    "prepare", "ddl_valset",
    "his", "his.sor", "his.sor.ddl_sor", "his.sor.check_mappings", "his.sor.etl_sor", "his.valset",
    "his.valset.etl_valset", "his.dv", "his.dv.etl_hubs", "his.dv.etl_links",
    "lab", "lab.sor", "lab.sor.ddl_sor", "lab.sor.check_mappings", "lab.sor.etl_sor", "lab.valset",
    "lab.valset.etl_valset", "lab.dv", "lab.dv.etl_hubs", "lab.dv.other_hubs", "lab.dv.etl_links",
    "ddl_dm", "ddl_dv", "etl_dm", "close",
]  # fmt: skip
"""The rows of the grid: tasks, and the groups of pipes and layers."""
CHECK_MARK = "M20 6 9 17l-5-5"
"""The path of the icon that Airflow draws for success."""


def run_page(run: str) -> str:
    return f"/dags/clinic/runs/{quote(run)}"


def open_all(page: Page) -> None:
    """Open every group, and close the panel beside them."""
    page.get_by_test_id("task-close").wait_for()
    if not page.get_by_test_id("task-lab-dv-etl_links").is_visible():
        _button(page, "Expand all task groups").click()
    page.get_by_test_id("task-lab-dv-etl_links").wait_for()
    page.get_by_label("Collapse Details Panel").click()


def _button(page: Page, label: str) -> Locator:
    # Airflow's page leaves a button out for good when a request for its data came back too late.
    button = page.get_by_label(label)
    try:
        button.wait_for(timeout=15_000)
    except Timeout:
        page.reload()
    return button


def cell(page: Page, run: str, row: str) -> Locator:
    return page.get_by_test_id(f"grid-{run}-{row}")


def around(page: Page, rows: list[str]) -> FloatRect:
    boxes = [box for row in rows if (box := page.get_by_test_id(f"rf__node-{row}").bounding_box())]
    left, top = min(box["x"] for box in boxes) - 30, min(box["y"] for box in boxes) - 20
    right = max(box["x"] + box["width"] for box in boxes) + 30
    bottom = max(box["y"] + box["height"] for box in boxes) + 20
    return {"x": left, "y": top, "width": right - left, "height": bottom - top}
