"""Airflow's pages of a project that is full of HTML and markdown, in a real browser: all of it is shown as text."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, Request, expect, sync_playwright

from browser.conftest import CHROMIUM, CHROMIUM_OPTIONS, PATIENCE
from pyelt_provider.demo.settings import USER
from pyelt_provider.embedded.server import EmbeddedServer
from security.hostile import TEXT_PLACES, Hostile
from security.live import LiveStack, variables_of, write

EVIL = (
    "<script>window.hacked=1</script><img src=/evil onerror=window.hacked=1>![y](/evil)[x](javascript:window.hacked=1) "
    "*&lt;* `</code><svg onload=window.hacked=1>"
)
NAME = "<b id=evil>&amp"
QUIET = ("connection", "mail address", "valueset name", "null", "log path", "tag")
NAMED = ("sor schema", "header", "hub", "satellite", "column", "type", "role", "datamart", "alias", "tag")
CHOSEN = {place: EVIL for place in TEXT_PLACES if place not in QUIET} | dict.fromkeys(NAMED, NAME)


class Watched:
    """A page, and all that something hostile in it could do."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.done: list[str] = []
        page.on("dialog", lambda dialog: (self.done.append(f"dialog {dialog.message}"), dialog.dismiss()))
        page.on("request", self._asked)

    def _asked(self, request: Request) -> None:
        if "evil" in request.url.partition("?")[0]:
            self.done.append(f"asked for {request.url}")

    def is_harmless(self) -> None:
        assert self.page.evaluate("window.hacked") is None
        assert self.page.locator("#evil, a[href^='javascript:'], img[src*='evil'], svg[onload]").count() == 0
        assert self.done == []


@pytest.fixture(scope="module")
def stack() -> Iterator[LiveStack]:
    """A stack that has loaded a project which is hostile everywhere."""
    with tempfile.TemporaryDirectory(prefix="pyelt-pages-", ignore_cleanup_errors=True) as folder:
        home = Path(folder)
        home.chmod(0o755)  # as root, PostgreSQL runs under another account and has to get in
        stack = LiveStack(home, variables_of(os.environ))
        try:
            project = stack.configs / "pages"
            hostile = Hostile(CHOSEN | {"pipeline": "pages"})
            hostile.write(project)
            hostile.deliver(project, "2026-01-05")
            write(project, {})
            with stack:
                assert stack.load("pages") == "success"
                yield stack
        finally:
            EmbeddedServer(home).remove()


@pytest.fixture
def watched(stack: LiveStack) -> Iterator[Watched]:
    expect.set_options(timeout=PATIENCE)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=CHROMIUM_OPTIONS)
        context = browser.new_context(base_url=stack.settings.address, viewport={"width": 1500, "height": 1000})
        context.set_default_timeout(PATIENCE)
        page = context.new_page()
        page.goto("/")
        page.fill("input[name=username]", USER)
        page.fill("input[name=password]", stack.settings.password)
        page.click("button[type=submit]")
        page.wait_for_selector("[data-testid=nav-dags-link]")
        yield Watched(page)
        browser.close()


def test_descriptions_in_the_docs_of_dag_and_tasks_are_text_to_the_last_sign(watched: Watched) -> None:
    page = watched.page
    shown = " ".join(EVIL.split())
    page.goto("/dags/pages")
    page.get_by_label("Documentation").click()
    docs = page.get_by_role("dialog")
    expect(docs).to_contain_text(shown)
    watched.is_harmless()
    for task, texts in {
        "ddl_dv": [shown],
        "his.sor.etl_sor": [shown, NAME],
        "his.dv.etl_hubs": [shown, NAME],
        "his.dv.etl_links": [NAME],
        "etl_dm": [shown, NAME],
    }.items():
        page.goto(f"/dags/pages/tasks/{task}")
        page.get_by_label("Documentation").click()
        docs = page.get_by_role("dialog")
        for text in texts:
            expect(docs).to_contain_text(text)
        watched.is_harmless()


@pytest.mark.parametrize(
    ("path", "sign"),
    [
        ("/dags", "pages"),
        ("/dags/pages", "pages"),
        ("/dags/pages/runs/by_hand", "by_hand"),
        ("/dags/pages/runs/by_hand/tasks/his.sor.etl_sor", "etl_sor"),
        ("/dags/pages/runs/by_hand/tasks/his.sor.etl_sor/xcom", "return_value"),
        ("/dags/pages/runs/by_hand/tasks/his.sor.etl_sor/rendered_templates", "etl_sor"),
        ("/dags/pages/details", "pages"),
        ("/dags/pages/code", "build_dags"),
        ("/assets", "hub"),
    ],
)
def test_nothing_hostile_comes_to_life_on_a_page(watched: Watched, path: str, sign: str) -> None:
    watched.page.goto(path)
    expect(watched.page.locator("body")).to_contain_text(sign)
    watched.page.wait_for_timeout(1500)
    watched.is_harmless()


def test_the_form_that_starts_a_run_and_refuses_what_is_no_pipe(watched: Watched, stack: LiveStack) -> None:
    page = watched.page
    page.goto("/dags/pages")
    page.get_by_role("button", name="Trigger").first.click()
    expect(page.get_by_role("dialog")).to_contain_text("pipes")
    watched.is_harmless()
    from pyelt_provider.demo.failure import DemoError

    for conf in ({"pipes": [EVIL]}, {"parts": [EVIL]}, {"allow_ddl": EVIL}):
        with pytest.raises(DemoError, match="400"):
            stack.api._call("POST", "/api/v2/dags/pages/dagRuns", {"logical_date": None, "conf": conf})
    for run_id in (EVIL, "a/../../b", "a'b", "a\nb"):
        with pytest.raises(DemoError, match=r"4(00|22)"):
            stack.api._call("POST", "/api/v2/dags/pages/dagRuns", {"logical_date": None, "dag_run_id": run_id})
