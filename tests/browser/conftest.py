"""A demo that has loaded the sample, and a browser that is logged in to its pages."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from pyelt_provider.demo.command import load_sample
from pyelt_provider.demo.places import Places
from pyelt_provider.demo.progress import Screen
from pyelt_provider.demo.settings import USER
from pyelt_provider.demo.stack import DemoStack

ROOT = Path(__file__).parents[2]
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or "/usr/bin/chromium"
CHROMIUM_OPTIONS = [
    "--no-sandbox",  # as root, Chromium does not start with one
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
PATIENCE = 60_000
"""Milliseconds until a page that does not show what it should is a failure; the scheduler works beside it."""


@pytest.fixture(scope="module")
def demo() -> Iterator[DemoStack]:
    """The demo on a data folder of its own, after the scheduler has done every run of the sample.

    PYELT_HOME names the folder of a demo that is loaded already (and does not run); it is not removed.
    """
    kept = os.environ.get("PYELT_HOME")
    home = Path(kept or tempfile.mkdtemp(prefix="pyelt-browser-"))
    home.chmod(0o755)  # as root, PostgreSQL runs under another account and has to get in
    try:
        with DemoStack(Places(project=ROOT, home=home)) as stack:
            assert load_sample(stack, Screen())
            yield stack
    finally:
        if not kept:
            shutil.rmtree(home, ignore_errors=True)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    expect.set_options(timeout=PATIENCE)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=CHROMIUM_OPTIONS)
        yield browser
        browser.close()


@pytest.fixture
def page(demo: DemoStack, browser: Browser) -> Iterator[Page]:
    """A page in a fresh profile, logged in, at the demo's address (paths may be relative)."""
    context = browser.new_context(base_url=demo.settings.address, viewport={"width": 1500, "height": 1000})
    context.set_default_timeout(PATIENCE)
    page = context.new_page()
    page.goto("/")
    page.fill("input[name=username]", USER)
    page.fill("input[name=password]", demo.settings.password)
    page.click("button[type=submit]")
    page.wait_for_selector("[data-testid=nav-dags-link]")
    yield page
    context.close()


@pytest.fixture(scope="session")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where screenshots go: PYELT_IMAGES (docs/images, to renew those of the docs), or a folder that is thrown away."""
    folder = os.environ.get("PYELT_IMAGES")
    return Path(folder) if folder else tmp_path_factory.mktemp("images")


@pytest.fixture(scope="module")
def airflow(demo: DemoStack) -> Callable[..., None]:
    """Airflow's own command."""
    return partial(_typed, demo, "airflow")


@pytest.fixture(scope="module")
def pyelt(demo: DemoStack) -> Callable[..., None]:
    """The project's command."""
    return partial(_typed, demo, "pyelt")


def _typed(demo: DemoStack, program: str, *arguments: str) -> None:
    """Run a command as a person does in a second terminal: after reading the demo's environment file."""
    script = 'file="$1"; shift; . "$file"; exec "$@"'
    installed = str(Path(sys.executable).with_name(program))
    command = ["sh", "-c", script, "sh", str(demo.places.environment), installed, *arguments]
    ended = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, cwd=ROOT)
    assert ended.returncode == 0, ended.stdout + ended.stderr
