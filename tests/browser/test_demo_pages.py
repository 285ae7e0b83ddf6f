"""What a person sees of the sample in Airflow's pages, and does there and on the command line, on the real stack."""

from __future__ import annotations

import re
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

from playwright.sync_api import Page, expect

from browser.nights import (
    attempts,
    run_number,
    task_states,
    wait_until_all_ended,
    wait_until_done_again,
    wait_until_red,
    warehouse_rows,
)
from browser.pages import CHECK_MARK, LAST, ROWS, RUNS, around, cell, open_all, run_page
from docs.mornings import morning, words
from pyelt_provider.demo.stack import DemoStack
from pyelt_provider.sample.expected import problems


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
    page.screenshot(path=images / "graph.png", clip=around(page, ["prepare", "close", "his", "lab"]))


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
    before = attempts(demo, LAST)

    page.goto(f"{run_page(LAST)}/tasks/group/his.dv")
    page.get_by_label("Press shift+c to clear").wait_for()
    page.keyboard.press("Shift+C")
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("Clear Task Instances: his.dv")
    expect(dialog).to_contain_text("Affected Tasks: 7")
    dialog.get_by_role("button", name="Confirm").click()
    expect(dialog).to_be_hidden()

    wait_until_done_again(demo, LAST, before)
    page.goto("/dags/clinic")
    open_all(page)
    for row in ROWS:
        expect(cell(page, LAST, row).locator("path")).to_have_attribute("d", CHECK_MARK)
    again = {stage for stage, count in attempts(demo, LAST).items() if count > before[stage]}
    assert again == {"his.dv.etl_hubs", "his.dv.etl_links", "lab.dv.etl_links", "ddl_dm", "etl_dm", "close"}
    assert problems(demo.warehouse_url) == []


def test_clearing_a_layer_on_the_command_line_leaves_the_warehouse_as_it_was(
    demo: DemoStack, airflow: Callable[..., None]
) -> None:
    before, rows = attempts(demo, LAST), warehouse_rows(demo)

    typed = morning("A delivery was wrong, and nothing was loaded after it")[0]
    airflow(*words(typed.replace("his.sor.", "lab.valset."))[1:])
    wait_until_all_ended(demo)

    again = {stage for stage, count in attempts(demo, LAST).items() if count > before[stage]}
    assert again == {
        "lab.valset.etl_valset", "lab.dv.etl_hubs", "lab.dv.etl_links", "ddl_dm", "etl_dm", "close",
    }  # fmt: skip
    assert warehouse_rows(demo) == rows


def test_a_task_that_is_red_is_cleared_when_its_file_is_mended(demo: DemoStack, airflow: Callable[..., None]) -> None:
    rows, (typed,) = warehouse_rows(demo), morning("A task is red")
    file = demo.places.data_root / "his" / "2026-02-03" / "patients.csv"
    right = file.read_bytes()
    file.write_bytes(right + b"one value too few\n")
    airflow(*words(typed)[1:])
    wait_until_red(demo, LAST)
    assert warehouse_rows(demo) == rows

    file.write_bytes(right)
    airflow(*words(typed)[1:])
    wait_until_all_ended(demo)

    assert warehouse_rows(demo) == rows
    assert problems(demo.warehouse_url) == []


def test_a_backfill_loads_nights_that_were_taken_back_in_their_order(
    demo: DemoStack, airflow: Callable[..., None], pyelt: Callable[..., None]
) -> None:
    rows = warehouse_rows(demo)
    _, taken_back, backfilled = morning("A delivery was wrong, and later nights were loaded")
    pyelt(*words(taken_back, **{"4.00": run_number(demo, RUNS[3])})[1:])
    assert warehouse_rows(demo) != rows

    airflow(*words(backfilled)[1:])
    wait_until_all_ended(demo)

    assert warehouse_rows(demo) == rows
    assert problems(demo.warehouse_url) == []


def test_a_run_that_is_triggered_for_some_layers_of_a_pipe_does_these_and_skips_the_rest(
    demo: DemoStack, airflow: Callable[..., None]
) -> None:
    conf = '{"pipes": ["lab"], "parts": ["sor", "valset"]}'

    airflow("dags", "trigger", "clinic", "--run-id", "by_hand", "--conf", conf)
    wait_until_all_ended(demo)

    states = task_states(demo, "by_hand")
    assert {task for task, state in states.items() if state == "success"} == {
        "prepare", "ddl_valset", "lab.sor.ddl_sor", "lab.sor.check_mappings", "lab.sor.etl_sor",
        "lab.valset.etl_valset", "lab.dv.other_hubs", "close",
    }  # fmt: skip
    assert set(states.values()) == {"success", "skipped"}
