"""Workers stay light: LightGBM and PyArrow load pandas and scikit-learn wherever they find them, and no
score needs them. Without them a worker takes half the memory and starts two seconds sooner.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from importlib.abc import MetaPathFinder
from types import ModuleType

HEAVY_PACKAGES = ("pandas", "sklearn")
BLOCK_IMPORTS_VARIABLE = "HOTLEAD_LIGHT"


class _ImportBlocker(MetaPathFinder):
    """Finds none of HEAVY."""

    def find_spec(self, name: str, path: Sequence[str] | None, target: ModuleType | None = None) -> None:
        if name in HEAVY_PACKAGES:
            raise ModuleNotFoundError(f"{name} is left out of a worker", name=name)


def block_heavy_imports(environ: Mapping[str, str]) -> None:
    """Make this process find none of HEAVY, where its environment says that it only serves."""
    if environ.get(BLOCK_IMPORTS_VARIABLE) == "1":
        sys.meta_path.insert(0, _ImportBlocker())
