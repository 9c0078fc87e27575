"""The page in a real browser, from file://, with every other address out of reach."""

import shutil
from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, sync_playwright

from suite.leaderboard.board import Board
from suite.leaderboard.files import write

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
FLAGS = [
    *("--no-sandbox", "--disable-gpu", "--no-first-run"),
    *("--disable-dev-shm-usage", "--disable-background-networking"),
]

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed (Debian: apt install chromium)")


@pytest.fixture(scope="module")
def complaints() -> list[str]:
    """Console errors, page errors and requests that are no file."""
    return []


@pytest.fixture(scope="module")
def page(board: Board, complaints: list[str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    html = write(board, tmp_path_factory.mktemp("board"))[0]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        page = browser.new_page(viewport={"width": 1280, "height": 900}, color_scheme="light")
        page.set_default_timeout(20_000)
        page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("request", lambda request: None if request.url == html.as_uri() else complaints.append(request.url))
        page.goto(html.as_uri())
        yield page
        browser.close()


def names(page: Page) -> list[str]:
    return page.locator("#task-classification tr.row .variant").all_inner_texts()


def test_a_column_is_sorted_by_keyboard_and_rows_keep_their_details(page: Page):
    button = page.locator("#task-classification thead button", has_text="top-1")
    button.focus()
    page.keyboard.press("Enter")
    assert names(page)[0] == "featscale"
    page.keyboard.press("Enter")
    assert names(page)[0] == "neutreno"
    assert page.locator("#task-classification th[aria-sort=descending]").count() == 1
    details = page.locator("#task-classification tr.row + tr.more")
    assert details.count() == 6
    assert "variant.lam" in (details.first.text_content() or "")


def test_a_row_opens_and_shows_its_seeds_and_the_log_of_a_failure(page: Page):
    opener = page.locator("#task-classification button.open", has_text="attnscale")
    opener.click()
    details = page.locator("#task-classification tr.more:visible")
    assert opener.get_attribute("aria-expanded") == "true"
    assert "The loss became nan at step 38." in details.inner_text()
    assert "<script>alert(1)</script>" in details.locator("pre").inner_text()
    opener.click()
    assert details.count() == 0


def test_over_smoothing_is_plotted_by_layer_and_another_metric_can_be_chosen(page: Page):
    figure = page.locator("#task-graph .chart").first
    figure.scroll_into_view_if_needed()
    figure.locator(".scatterlayer path.js-line").first.wait_for()
    assert figure.locator(".scatterlayer path.js-line").count() == 6
    assert figure.locator("h3").inner_text() == "Mean cosine by layer"
    figure.locator("select").first.select_option("norm")
    assert figure.locator("h3").inner_text() == "Feature norm by layer"


def test_the_theme_changes_the_page(page: Page):
    colour = "getComputedStyle(document.body).backgroundColor"
    light = page.evaluate(colour)
    page.locator("#theme").click()
    page.locator("#theme").click()
    assert page.locator("#theme").inner_text() == "Theme: dark"
    assert page.evaluate(colour) != light


def test_a_narrow_screen_scrolls_inside_tables_only(page: Page):
    page.set_viewport_size({"width": 420, "height": 900})
    assert page.evaluate("document.documentElement.scrollWidth") <= 420


def test_nothing_was_complained_about_or_fetched(page: Page, complaints: list[str]):
    assert complaints == []
