"""A catalogue read from `described.json`, so that planning is tested without torch and without the real tasks."""

import json
from pathlib import Path

from suite.planning.catalogue import Catalogue

HERE = Path(__file__).parent


def catalogue() -> Catalogue:
    document = json.loads((HERE / "described.json").read_text(encoding="utf-8"))
    files = [Path(document["variants"]["pooled"]["source"]), Path(document["broken"]["my_idea"]["source"])]
    return Catalogue.from_dict(document, files)
