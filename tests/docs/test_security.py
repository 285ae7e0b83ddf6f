"""SECURITY.md: every promise names a test that is there, and nobody is made up to whom one could report."""

from __future__ import annotations

import re

from docs.documents import ROOT

TEXT = (ROOT / "SECURITY.md").read_text(encoding="utf-8")


def section(title: str) -> str:
    return TEXT.split(f"\n## {title}\n")[1].split("\n## ")[0]


def test_every_promise_names_a_test_and_every_security_test_stands_behind_a_promise() -> None:
    rows = re.findall(r"^\| (?!---|promise)(.+?) \| (.+?) \|$", section("What is promised"), re.MULTILINE)
    assert len(rows) >= 8
    named = set()
    for promise, tests in rows:
        files = re.findall(r"`(tests/[\w/]+\.py)`", tests)
        assert files, promise
        for file in files:
            assert "def test_" in (ROOT / file).read_text(encoding="utf-8"), file
        named |= set(files)
    there = {str(path.relative_to(ROOT)) for path in (ROOT / "tests" / "security").glob("test_*.py")}
    assert there <= named


def test_sql_in_configs_is_said_to_be_trusted_like_code_here_and_in_the_configuration_docs() -> None:
    assert "trusted like code" in section("Who is trusted")
    assert "trusted like code" in (ROOT / "docs" / "configuration.md").read_text(encoding="utf-8")


def test_reports_go_to_the_host_of_the_repository_and_to_no_made_up_address() -> None:
    assert "private vulnerability reporting" in section("Reporting")
    assert re.findall(r"\S+@\S+\.\w+|https?://\S+", TEXT) == []
