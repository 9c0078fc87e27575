"""After a real run: every job ok, and the board opens in a browser: `python -m tests.expect_board RUNS --jobs 48`."""

import argparse
import sys
from pathlib import Path

from playwright.sync_api import sync_playwright

from jobs.contract import Result

CHROMIUM = "/usr/bin/chromium"
QUIET = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--disable-background-networking", "--disable-sync"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("runs", type=Path)
    parser.add_argument("--jobs", type=int, required=True)
    parser.add_argument("--picture", type=Path)
    options = parser.parse_args()
    results = [Result.load(path) for path in options.runs.glob("*/result.json")]
    wrong = [f"{result.id}: {result.status} ({result.reason})" for result in results if result.status != "ok"]
    wrong += [f"{options.jobs} jobs expected, {len(results)} found."] * (len(results) != options.jobs)
    wrong += look(options.runs / "leaderboard.html", options.picture)
    sys.exit("\n".join(wrong) if wrong else 0)


def look(page_file: Path, picture: Path | None) -> list[str]:
    """What the browser's console complains of."""
    complaints: list[str] = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=QUIET)
        page = browser.new_page(viewport={"width": 1280, "height": 900})
        page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.goto(page_file.resolve().as_uri())
        page.wait_for_timeout(1500)
        if picture is not None:
            page.screenshot(path=picture)
        browser.close()
    return complaints


if __name__ == "__main__":
    main()
