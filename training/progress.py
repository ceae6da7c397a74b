"""How a long job reports its progress."""

from __future__ import annotations

from features.messages import ReportStep

StepReporter = ReportStep
"""Called with the name of each step as it begins."""
