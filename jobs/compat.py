"""Import hooks that let torchvision and mmcv-lite be imported beside a CPU build of PyTorch.

torchvision's one public build is linked against CUDA; with a CPU torch its operators are missing and its import
dies when it registers shape rules for them. Declaring the two schemas first cures that. mmcv-lite has no compiled
operators, while mmsegmentation imports modules that ask for them by name; a stand-in answers the import and
refuses the call. Both hooks act when those modules are imported and do nothing where the real operators exist.
"""

import importlib
import importlib.util
import sys
from collections.abc import Callable, Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType
from typing import Any, NoReturn

_declared: list[Any] = []
"""The library handle: PyTorch withdraws a declaration when its handle is collected."""


def install() -> None:
    """Put the hooks in place; once per process, before anything imports torchvision or mmcv."""
    if not any(isinstance(finder, _Finder) for finder in sys.meta_path):
        sys.meta_path.insert(0, _Finder())


class _Finder(MetaPathFinder):
    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname == "torchvision._meta_registrations":
            _declare_operators()
        if fullname == "mmcv._ext" and PathFinder.find_spec(fullname, path) is None:
            return importlib.util.spec_from_loader(fullname, _NoOperators())
        return None


def _declare_operators() -> None:
    """Declare the schemas of nms and qnms unless torchvision's own operators have been loaded."""
    if importlib.import_module("torchvision.extension")._has_ops():
        return
    library = importlib.import_module("torch").library.Library("torchvision", "FRAGMENT")
    for name in ("nms", "qnms"):
        library.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    _declared.append(library)


class _NoOperators(Loader):
    """Loads `mmcv._ext` as a module in which every name is a function that refuses to be called."""

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        module = ModuleType(spec.name)
        module.__getattr__ = _refusing  # type: ignore[method-assign]  # the module-level hook of PEP 562
        return module

    def exec_module(self, module: ModuleType) -> None:
        """Nothing to run: the names appear when asked for."""


def _refusing(name: str) -> Callable[..., NoReturn]:
    if name.startswith("__"):
        raise AttributeError(name)

    def refuse(*arguments: object, **options: object) -> NoReturn:
        raise NotImplementedError(f"mmcv's operator {name!r} is compiled code; install mmcv in place of mmcv-lite.")

    return refuse
