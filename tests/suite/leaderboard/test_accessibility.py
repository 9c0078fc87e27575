"""axe-core finds nothing against WCAG 2 A and AA on the page: light and dark, desk and phone, everything open."""

from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser

from tests.suite.leaderboard.browser import CHROMIUM, MISSING, tab

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason=MISSING)

RULES = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"], "resultTypes": ["violations"]}


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_nothing_violates_wcag_2_aa(browser: Browser, ranked_html: Path, scheme: str, width: int):
    page = tab(browser, ranked_html, [], viewport={"width": width, "height": 900}, color_scheme=scheme)
    page.add_style_tag(
        content=".task > .scroll { content-visibility: visible !important; }"
    )  # looked at from top to end
    for row in page.locator("tr.row").all():
        row.locator(".open").dispatch_event("click")
    for details in page.locator("details").all():
        details.evaluate("(one) => { one.open = true; }")
    for figure in page.locator(".chart").all():
        figure.evaluate("(one) => one.scrollIntoView({ behavior: 'instant' })")
        figure.locator(".main-svg").first.wait_for()
    assert page.locator("tr.more:visible").count() == 30
    found = Axe().run(page, options=RULES).response["violations"]
    page.close()
    assert [
        (one["id"], one["help"], [node["html"][:200] for node in one["nodes"][:3]], len(one["nodes"])) for one in found
    ] == []
