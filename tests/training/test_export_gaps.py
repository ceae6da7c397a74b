"""What the registered model knows otherwise than an export has it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from features.columns import Texts
from features.crm.load import Loaded
from tests.conftest import Demo
from training.export_gaps import find_export_gaps


def test_the_export_that_a_model_was_trained_on_has_no_gaps(demo: Demo, demo_loaded: Loaded) -> None:
    assert find_export_gaps(demo_loaded.crm, demo_loaded.settings.table, demo.out) == []


def test_an_emptied_column_and_a_renamed_value_are_gaps(demo: Demo, demo_loaded: Loaded) -> None:
    crm, table = demo_loaded.crm, demo_loaded.settings.table
    channel, size = crm.attributes["channel"], crm.attributes["employees"]
    assert isinstance(channel, Texts)
    renamed = Texts(channel.codes, (f"new {channel.categories[0]}", *channel.categories[1:]))
    columns = {**crm.attributes, "channel": renamed, "employees": np.full(len(size), np.nan)}
    gaps = find_export_gaps(replace(crm, attributes=columns), table, demo.out)
    assert {gap.feature: gap.cause for gap in gaps} == {"employees": "empty", "channel": "unknown_value"}
    assert gaps[-1].former == channel.categories[0]


def test_without_a_model_there_is_nothing_to_compare(demo_loaded: Loaded, tmp_path: Path) -> None:
    assert find_export_gaps(demo_loaded.crm, demo_loaded.settings.table, tmp_path) == []
