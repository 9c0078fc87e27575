import warnings
from pathlib import Path

import pytest
from mlflow import MlflowClient


@pytest.fixture(scope="session")
def database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty `mlflow.db` to copy: MLflow takes seconds to make its tables."""
    path = tmp_path_factory.mktemp("database") / "mlflow.db"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        MlflowClient(tracking_uri=f"sqlite:///{path}").search_experiments()
    return path
