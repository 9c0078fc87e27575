"""docker/tracking.compose.yaml: what it starts is healthy before it is used, and holds no password."""

from typing import Any

import yaml

from suite.provenance import SOURCE_ROOT

COMPOSE = SOURCE_ROOT / "docker/tracking.compose.yaml"


def composed() -> dict[str, Any]:
    return dict(yaml.safe_load(COMPOSE.read_text(encoding="utf-8")))


def test_mlflow_waits_for_a_healthy_database_and_both_keep_what_they_hold() -> None:
    services = composed()["services"]
    assert services["mlflow"]["depends_on"] == {"database": {"condition": "service_healthy"}}
    assert "healthcheck" in services["database"]
    assert "HEALTHCHECK" in (SOURCE_ROOT / services["mlflow"]["build"]["dockerfile"]).read_text(encoding="utf-8")
    volumes = {volume.split(":")[0] for service in services.values() for volume in service["volumes"]}
    assert volumes == composed()["volumes"].keys()


def test_passwords_are_files_outside_the_repository_and_nobody_else_is_let_in() -> None:
    services, secrets = composed()["services"], composed()["secrets"]
    assert {name for service in services.values() for name in service["secrets"]} == secrets.keys()
    assert all(secret["file"].startswith("./secrets/") for secret in secrets.values())
    assert "docker/secrets/" in (SOURCE_ROOT / ".gitignore").read_text(encoding="utf-8").splitlines()
    given = {key: value for service in services.values() for key, value in service["environment"].items()}
    assert all(value.startswith("/run/secrets/") for key, value in given.items() if "PASSWORD" in key)
    assert services["mlflow"]["ports"] == ["${LISTEN:-127.0.0.1:5000}:5000"]
    assert "ports" not in services["database"]
