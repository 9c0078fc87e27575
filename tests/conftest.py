"""How tests share two workers, and what they have to say when all went well."""

import pytest


@pytest.hookimpl(tryfirst=True)  # before the groups are read
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Cluster tests of one module share its daemons and so a worker; all that use the container engine share it."""
    for item in items:
        if item.get_closest_marker("cluster"):
            group = "engine" if "engine" in getattr(item, "fixturenames", ()) else item.path.name
            item.add_marker(pytest.mark.xdist_group(group))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Lines that a test has recorded as `said`."""
    for report in terminalreporter.getreports("passed"):
        for name, line in report.user_properties:
            if name == "said":
                terminalreporter.write_line(str(line))
