"""Reports as plain JSON types."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import Any

import numpy as np


def to_jsonable(obj: Any) -> Any:
    """Dataclasses and mappings become dicts, arrays and tuples lists, nan None.

    A dataclass field whose metadata has `former_name` is also written under that key.
    """
    if is_dataclass(obj) and not isinstance(obj, type):
        values = {f.name: to_jsonable(getattr(obj, f.name)) for f in fields(obj)}
        former = {
            f.metadata["former_name"]: values[f.name] for f in fields(obj) if "former_name" in f.metadata
        }
        return values | former
    if isinstance(obj, Mapping):
        return {str(key): to_jsonable(value) for key, value in obj.items()}
    if isinstance(obj, list | tuple | np.ndarray):
        return [to_jsonable(value) for value in obj]
    if isinstance(obj, np.generic):
        return to_jsonable(obj.item())
    return None if isinstance(obj, float) and obj != obj else obj
