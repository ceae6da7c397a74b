"""Anything that is reported, as JSON can hold it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import Any

import numpy as np


def plain(told: Any) -> Any:
    """Dataclasses and mappings become dicts, arrays and tuples lists, nan None."""
    if is_dataclass(told) and not isinstance(told, type):
        return {f.name: plain(getattr(told, f.name)) for f in fields(told)}
    if isinstance(told, Mapping):
        return {str(key): plain(value) for key, value in told.items()}
    if isinstance(told, list | tuple | np.ndarray):
        return [plain(value) for value in told]
    if isinstance(told, np.generic):
        return plain(told.item())
    return None if isinstance(told, float) and told != told else told
