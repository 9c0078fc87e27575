"""Every built-in variant passes the quick checks, and in heavy runs all of them."""

import pytest

from jobs import registry
from jobs.check.__main__ import findings
from jobs.check.catalogue import CHECKS
from jobs.check.checks import machinery
from jobs.check.subject import of_name

VARIANTS = registry.variant_names()


@pytest.mark.parametrize("name", VARIANTS)
def test_a_variant_passes_the_quick_checks(name: str) -> None:
    found = list(findings(of_name(name), quick=True))
    assert [one["check"] for one in found] == [entry.name for entry in CHECKS if entry.quick]
    assert [one for one in found if one["status"] == "fail"] == []
    assert found[0]["status"] == "pass", "every built-in variant has a formula"


@pytest.mark.parametrize("name", ["batchnorm", "groupnorm", "reattention"])
def test_running_statistics_count_a_batch_once_though_its_layer_is_computed_again(name: str) -> None:
    assert machinery.recomputation(of_name(name)) == "the same gradients"


@pytest.mark.heavy
@pytest.mark.parametrize("name", VARIANTS)
def test_a_variant_passes_every_check(name: str) -> None:
    found = list(findings(of_name(name)))
    assert len(found) == len(CHECKS)
    assert [one for one in found if one["status"] == "fail"] == []
    assert any(one["status"] == "pass" for one in found if one["check"] in registry.task_names())
