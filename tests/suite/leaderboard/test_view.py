"""Filters, drawers and links to what one sees, in Chromium."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from suite.leaderboard.board import Board
from tests.suite.leaderboard.browser import CHROMIUM, MISSING, tab

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason=MISSING)


@pytest.fixture
def page(browser: Browser, html: Path) -> Iterator[Page]:
    complaints: list[str] = []
    page = tab(browser, html, complaints)
    yield page
    page.close()
    assert complaints == []


def fragment(page: Page) -> str:
    return page.url.partition("#")[2]


def follow(page: Page, link: str) -> None:
    """As somebody does who was sent it."""
    address = page.url.partition("#")[0]
    page.goto("about:blank")
    page.goto(f"{address}#{link}")


def seen(page: Page, task: str = "graph") -> list[str]:
    return page.locator(f"#task-{task} tr.row:visible .variant").all_text_contents()


def key(board: Board, variant: str) -> str:
    return next(row.key for row in board.rows() if (row.task, row.variant) == ("graph", variant))


def test_typing_leaves_the_rows_that_have_all_words_and_says_how_many(page: Page):
    page.locator("#find").focus()
    page.keyboard.type("NEUT depth=12")
    assert seen(page) == ["neutreno"]
    assert page.locator("tr.row:visible").count() == 1
    heads = page.locator("tr.group:visible").all_text_contents()
    assert [head.partition(" noise floor")[0] for head in heads] == ["graph karate model=gcn depth=12"]
    expect(page.get_by_role("status")).to_have_text("1 of 30 rows")
    assert page.get_by_role("status").get_attribute("aria-live") == "polite"
    assert page.locator("#task-language .none").is_visible()


def test_rows_are_filtered_by_verdict_and_by_how_jobs_ended(page: Page):
    page.get_by_label("Show").select_option("failed")
    assert page.locator("tr.row:visible .variant").all_text_contents() == ["attnscale"]
    page.get_by_label("Show").select_option("baseline")
    assert page.locator("tr.row:visible .variant").all_text_contents() == [
        "softmax",
        "softmax",
        "softmax",
        "gcn",
        "gcn",
    ]
    page.get_by_role("button", name="Clear").click()
    expect(page.get_by_role("status")).to_have_text("30 rows")
    assert fragment(page) == ""


def test_one_setting_of_a_task_can_be_chosen(page: Page):
    page.locator("#task-graph .settings select").select_option("graph karate model=gcn depth=12")
    assert page.locator("#task-graph tr.group:visible").count() == 1
    expect(page.get_by_role("status")).to_have_text("24 of 30 rows")
    assert page.locator("#task-classification .settings").count() == 0  # it has one


def test_what_is_sorted_stays_filtered_and_the_other_way_round(page: Page):
    page.locator("#task-graph .settings select").select_option("graph karate model=gcn depth=12")
    button = page.locator("#task-graph thead button", has_text="accuracy")
    button.click()
    rising = seen(page)
    button.click()
    assert seen(page) == rising[::-1] and len(rising) == 6
    page.locator("#find").fill("ce")
    assert seen(page) == ["centered"]
    page.locator("#find").fill("")
    assert seen(page) == rising[::-1]


def test_a_link_restores_what_was_sorted_filtered_and_open_and_no_history_is_left(page: Page):
    entries = page.evaluate("history.length")
    page.locator("#find").fill("t")
    page.get_by_label("Show").select_option("not-significant")
    page.locator("#task-graph .settings select").select_option("graph karate model=gcn depth=4")
    page.locator("#task-graph thead button", has_text="variant").click()
    page.locator("#task-graph button.open:visible", has_text="centered").click()
    before, link = seen(page), fragment(page)
    assert page.evaluate("history.length") == entries
    follow(page, link)
    assert (seen(page), fragment(page)) == (before, link)
    assert page.locator("#find").input_value() == "t"
    assert page.locator("#task-graph th[aria-sort=ascending]").inner_text() == "variant"
    assert page.locator("tr.more:visible").count() == 1
    assert page.locator("tr.more:visible").bounding_box()["y"] < 900  # type: ignore[index]


def test_a_link_to_a_row_opens_it_and_brings_it_into_sight(page: Page, board: Board):
    follow(page, f"row-{key(board, 'neutreno')}")
    row = page.locator(f"#row-{key(board, 'neutreno')}")
    expect(row).to_be_in_viewport()
    assert row.locator(".open").get_attribute("aria-expanded") == "true"
    assert page.locator("tr.more:visible").count() == 1
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.closest('tr').id") == f"row-{key(board, 'neutreno')}"


def test_a_row_gives_its_own_link_and_a_link_shows_a_row_that_filters_left_out(page: Page, board: Board):
    page.locator("#task-graph button.open", has_text="centered").first.click()
    page.get_by_role("link", name="Link to this row").click()
    assert fragment(page) == f"row-{key(board, 'centered')}"
    page.locator("#find").fill("nothing like it")
    page.evaluate(f"location.hash = 'row-{key(board, 'neutreno')}'")
    expect(page.locator(f"#row-{key(board, 'neutreno')}")).to_be_in_viewport()
    assert page.locator("#find").input_value() == ""


@pytest.mark.parametrize(
    "link",
    [
        *("%", "%E0%A4%A", "=", "find", "row-", "row-none", "task-none", "open=,,&open=%FF", "__proto__=1"),
        "sort.graph=none.ascending&sort.language=metric.sideways&setting.graph=none&trait=none&open=../x,<b>",
    ],
)
def test_a_malformed_link_does_no_harm(page: Page, link: str):
    follow(page, link)
    expect(page.get_by_role("status")).to_have_text("30 rows")
    assert page.locator("tr.more, th[aria-sort]").count() == 0
    page.locator("#task-graph button.open").first.click()
    assert page.locator("tr.more:visible").count() == 1


def test_a_link_to_a_task_goes_there(page: Page):
    follow(page, "task-language")
    expect(page.get_by_role("heading", name="Language")).to_be_in_viewport()
    expect(page.get_by_role("status")).to_have_text("30 rows")


def test_a_drawer_tells_cost_and_provenance_of_every_seed(page: Page):
    page.locator("#task-language button.open", has_text="neutreno").click()
    drawer = page.locator("tr.more:visible")
    assert drawer.get_by_role("heading").all_inner_texts() == ["Seeds", "Provenance", "Spec"]
    assert drawer.get_by_role("region", name="Seeds").locator("tfoot tr").count() == 2
    assert drawer.get_by_role("region", name="Provenance").locator("tbody tr").count() == 2
    for said in (
        "GPU-h",
        "5 Wh",
        "predicted 59 s (2 guessed)",
        "NVIDIA H100",
        "0123456789ab",
        "5f2c",
    ):
        assert said in drawer.inner_text()
