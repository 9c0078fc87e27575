"""YAML files read strictly: no tags, no key twice, and a syntax error named with its line."""

import re
from pathlib import Path
from typing import Any

import yaml

from suite.errors import UsageError


class _Loader(yaml.SafeLoader):
    """SafeLoader that refuses a key written twice and reads 1e-3 as a number, as YAML 1.2 does."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode) and key.value in seen:
                raise yaml.constructor.ConstructorError(None, None, f"{key.value!r} is given twice", key.start_mark)
            seen.add(key.value if isinstance(key, yaml.ScalarNode) else id(key))
        return super().construct_mapping(node, deep)


_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"^[-+]?[0-9]+(\.[0-9]*)?[eE][-+]?[0-9]+$"), list("-+0123456789")
)


def read(path: Path) -> dict[str, Any]:
    """The mapping in a YAML file.

    Raises:
        UsageError: it cannot be read, is not YAML, or holds something other than a mapping.
    """
    try:
        # Safe: the loader is a SafeLoader, which makes plain values only.
        document = yaml.load(path.read_text(encoding="utf-8"), Loader=_Loader)
    except FileNotFoundError as error:
        raise UsageError(f"{path}: no such file. Give the path of a plan, such as jobs/plans/smoke.yaml.") from error
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{path}: cannot be read as text ({error}).") from error
    except yaml.MarkedYAMLError as error:
        line = f"line {error.problem_mark.line + 1}: " if error.problem_mark else ""
        raise UsageError(f"{path}: {line}{error.problem}.") from error
    except yaml.YAMLError as error:
        raise UsageError(f"{path}: not valid YAML ({error}).") from error
    if not isinstance(document, dict):
        raise UsageError(f"{path}: must hold a mapping with name, tier, seeds, tasks and variants.")
    return document
