"""What a person sees of the sample in Airflow's pages, in a real browser on the real stack."""

from __future__ import annotations

import contextlib
import re
import time
from itertools import pairwise
from pathlib import Path
from urllib.parse import quote

import psycopg2
from playwright.sync_api import Page, expect

from pyelt_provider.demo.stack import DemoStack
from pyelt_provider.sample.expected import problems

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
        page.get_by_label("Expand all task groups").click()
    page.get_by_test_id("task-lab-dv-etl_links").wait_for()
    page.get_by_label("Collapse Details Panel").click()


def cell(page: Page, run: str, row: str):  # type: ignore[no-untyped-def]
    return page.get_by_test_id(f"grid-{run}-{row}")


def test_the_grid_shows_every_night_and_every_task_done(page: Page, images: Path) -> None:
    page.goto("/dags/clinic")
    open_all(page)
    for run in RUNS:
        expect(cell(page, run, "close").locator("path")).to_have_attribute("d", CHECK_MARK)
    shown = page.locator("a[data-testid^='grid-scheduled__']").evaluate_all("cells => cells.map(cell => cell.id)")
    assert sorted(shown) == sorted(f"grid-{run}-{row}" for run in RUNS for row in ROWS)
    marks = page.locator("a[data-testid^='grid-scheduled__'] path")
    assert set(marks.evaluate_all("paths => paths.map(path => path.getAttribute('d'))")) == {CHECK_MARK}
    page.set_viewport_size({"width": 900, "height": 820})
    page.mouse.move(450, 20)
    page.screenshot(path=images / "grid.png")


def test_the_graph_shows_pipes_and_layers_as_groups_and_what_waits_for_what(page: Page, images: Path) -> None:
    page.goto(run_page(LAST))
    open_all(page)
    page.get_by_label("Show Graph").click()
    for row in ROWS:
        expect(page.get_by_test_id(f"rf__node-{row}")).to_contain_text(row.rpartition(".")[2])
    edges = page.locator("[data-testid^='rf__edge-']").evaluate_all("all => all.map(edge => edge.dataset.testid)")
    assert {edge.removeprefix("rf__edge-") for edge in edges} == {
        "prepare-ddl_valset", "ddl_valset-ddl_dv", "prepare-his.sor.ddl_sor", "prepare-lab.sor.ddl_sor",
        "ddl_valset-his.sor.check_mappings", "ddl_dv-his.sor.check_mappings", "ddl_valset-lab.sor.check_mappings",
        "ddl_dv-lab.sor.check_mappings",
        "his.sor.ddl_sor-his.sor.check_mappings", "his.sor.check_mappings-his.sor.etl_sor",
        "his.sor.etl_sor-his.valset.etl_valset", "his.valset.etl_valset-his.dv.etl_hubs",
        "his.dv.etl_hubs-his.dv.etl_links", "his.dv.etl_links-ddl_dm",
        "lab.sor.ddl_sor-lab.sor.check_mappings", "lab.sor.check_mappings-lab.sor.etl_sor",
        "lab.sor.etl_sor-lab.valset.etl_valset", "lab.valset.etl_valset-lab.dv.etl_hubs",
        "lab.dv.etl_hubs-lab.dv.etl_links", "his.dv.etl_hubs-lab.dv.other_hubs", "lab.dv.other_hubs-lab.dv.etl_links",
        "lab.dv.etl_links-ddl_dm", "ddl_dm-etl_dm", "etl_dm-close",
    }  # fmt: skip
    page.get_by_label("Options").click()
    page.get_by_role("combobox", name="Graph Direction").click()
    page.get_by_role("option", name="Top to Bottom").click()
    page.keyboard.press("Escape")
    page.set_viewport_size({"width": 1100, "height": 1500})
    page.get_by_label("Fit View").click()
    page.wait_for_timeout(2000)  # the graph moves to its place
    page.screenshot(path=images / "graph.png", clip=_around(page, ["prepare", "close", "his", "lab"]))


def test_gantt_shows_that_pipes_run_side_by_side_and_layers_one_after_the_other(page: Page, images: Path) -> None:
    page.goto(run_page(RUNS[3]))
    open_all(page)
    page.get_by_label("Show Gantt").click()

    def bar(task: str) -> tuple[float, float]:
        box = page.locator(f"[data-task-id='{task}'] a[style*='width: 100%']").last.bounding_box()
        assert box is not None
        return box["x"], box["x"] + box["width"]

    for pipe in ("his", "lab"):
        layers = ["sor.etl_sor", "valset.etl_valset", "dv.etl_hubs", "dv.etl_links"]
        bars = [bar(f"{pipe}.{layer}") for layer in layers]
        assert bars == sorted(bars)
        assert all(before[1] <= after[0] + 1 for before, after in pairwise(bars))
    assert bar("lab.sor.ddl_sor")[0] < bar("his.dv.etl_links")[1]
    assert bar("his.sor.ddl_sor")[0] < bar("lab.dv.etl_links")[1]
    page.set_viewport_size({"width": 1200, "height": 830})
    page.mouse.move(500, 20)
    page.wait_for_timeout(1000)
    page.screenshot(path=images / "gantt.png")


def test_a_task_says_what_it_does_without_secrets(page: Page, demo: DemoStack) -> None:
    page.goto("/dags/clinic/tasks/lab.sor.etl_sor")
    page.get_by_label("Documentation").click()
    docs = page.get_by_role("dialog")
    expect(docs).to_contain_text("Orders and results from the laboratory's database")
    expect(docs).to_contain_text("sor_lab.result_hstage")
    password = re.search(r":([^:@/]+)@", demo.warehouse_url)
    assert password is not None and password[1] not in page.content()


def test_clearing_one_layer_group_does_it_again_and_the_warehouse_ends_the_same(page: Page, demo: DemoStack) -> None:
    before = _attempts(demo)

    page.goto(f"{run_page(LAST)}/tasks/group/his.dv")
    page.get_by_label("Press shift+c to clear").wait_for()
    page.keyboard.press("Shift+C")
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("Clear Task Instances: his.dv")
    expect(dialog).to_contain_text("Affected Tasks: 7")
    dialog.get_by_role("button", name="Confirm").click()
    expect(dialog).to_be_hidden()

    _wait_until_done_again(demo, before)
    page.goto("/dags/clinic")
    open_all(page)
    for row in ROWS:
        expect(cell(page, LAST, row).locator("path")).to_have_attribute("d", CHECK_MARK)
    again = {stage for stage, count in _attempts(demo).items() if count > before[stage]}
    assert again == {"his.dv.etl_hubs", "his.dv.etl_links", "lab.dv.etl_links", "ddl_dm", "etl_dm", "close"}
    assert problems(demo.warehouse_url) == []


def _attempts(demo: DemoStack) -> dict[str, int]:
    """How often each stage of the last night was done."""
    with contextlib.closing(psycopg2.connect(demo.warehouse_url)) as connection, connection.cursor() as cursor:
        cursor.execute(
            "select stage, count(*) filter (where state = 'done') from sys.attempts "
            "where runid = (select runid from sys.runs where dag_run_id = %s) group by stage",
            (LAST,),
        )
        return dict(cursor.fetchall())


def _wait_until_done_again(demo: DemoStack, before: dict[str, int]) -> None:
    deadline = time.monotonic() + 240
    while _attempts(demo)["close"] == before["close"]:
        assert time.monotonic() < deadline, "the cleared tasks were not done again"
        demo.check()
        time.sleep(1)


def _around(page: Page, rows: list[str]):  # type: ignore[no-untyped-def]
    boxes = [box for row in rows if (box := page.get_by_test_id(f"rf__node-{row}").bounding_box())]
    left, top = min(box["x"] for box in boxes) - 30, min(box["y"] for box in boxes) - 20
    right = max(box["x"] + box["width"] for box in boxes) + 30
    bottom = max(box["y"] + box["height"] for box in boxes) + 20
    return {"x": left, "y": top, "width": right - left, "height": bottom - top}
