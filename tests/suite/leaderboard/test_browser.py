"""The page in a real browser, from file://, with every other address out of reach."""

from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page

from tests.suite.leaderboard.browser import CHROMIUM, MISSING, tab

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason=MISSING)


@pytest.fixture(scope="module")
def complaints() -> list[str]:
    """Console errors, page errors and requests that are no file."""
    return []


@pytest.fixture(scope="module")
def page(browser: Browser, html: Path, complaints: list[str]) -> Page:
    return tab(browser, html, complaints)


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
    page.locator("#task-classification button.open", has_text="neutreno").click()
    page.locator("#task-classification thead button", has_text="top-1").click()
    assert names(page)[-1] == "neutreno"
    assert "variant.lam" in page.locator("#task-classification tr.row:has-text('neutreno') + tr.more").inner_text()
    page.locator("#task-classification button.open", has_text="neutreno").click()


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


def test_quality_can_be_held_against_another_cost(page: Page):
    figure = page.locator("#task-graph [data-chart=costs]")
    figure.scroll_into_view_if_needed()
    figure.locator(".xtitle").first.wait_for()
    figure.locator("select").first.select_option("peak memory [GB]")
    assert figure.locator(".xtitle").text_content() == "peak memory [GB]"


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
