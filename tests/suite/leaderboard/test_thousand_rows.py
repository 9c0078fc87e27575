"""A board of a thousand rows works in Chromium; how long it takes is for `python -m tests.benchmarks.board`."""

import dataclasses
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from suite.leaderboard.board import of
from suite.leaderboard.files import write
from suite.leaderboard.rows import Row, read
from suite.planning.manifest import Manifest
from tests.suite.leaderboard.browser import CHROMIUM, MISSING, tab

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason=MISSING)


def again(row: Row, turn: int) -> Row:
    """The same in another setting."""
    arguments = {**row.setting["arguments"], "width": turn}
    setting = {**row.setting, "arguments": arguments}
    return dataclasses.replace(row, key=f"{row.key}{turn}", label=f"{row.label} width={turn}", setting=setting)


def test_a_thousand_rows_are_sorted_filtered_opened_and_linked(
    browser: Browser, folder: tuple[Path, Manifest], tmp_path: Path
):
    rows = [again(row, turn) for turn in range(34) for row in read(*folder)][:1000]
    complaints: list[str] = []
    page = tab(browser, write(of(rows, folder[1]), tmp_path)[0], complaints)
    expect(page.get_by_role("status")).to_have_text("1000 rows")
    assert page.locator("tr.row").count() == 1000
    page.locator("#task-graph thead button", has_text="accuracy").click()
    page.locator("#find").fill("value_residual width=7")
    expect(page.get_by_role("status")).to_have_text("5 of 1000 rows")
    page.locator("#task-graph button.open:visible").first.click()
    assert page.locator("tr.more:visible .trials tbody tr").count() == 4
    page.evaluate(f"location.hash = 'row-{rows[-1].key}'")
    expect(page.locator(f"#row-{rows[-1].key}")).to_be_in_viewport()
    expect(page.get_by_role("status")).to_have_text("1000 rows")
    page.close()
    assert complaints == []
