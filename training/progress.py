"""How a long job reports its progress."""

from __future__ import annotations

from collections.abc import Callable

StepReporter = Callable[[str], None]
"""Called with the name of each step as it begins."""
