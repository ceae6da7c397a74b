"""Data of leads that are no features: accounts, first contacts and reasons for lost deals."""

from __future__ import annotations

from dataclasses import dataclass

from features.clock import NEVER
from features.crm.load import Loaded
from features.crm.parsing import as_texts, as_times


@dataclass(frozen=True)
class ExtraColumns:
    """One entry per lead: the id of its account, its first contact (ms UTC) and the reason for the loss;
    None if unknown."""

    accounts: list[str | None]
    first_contacts: list[int | None]
    lost_reasons: list[str | None]


def read_extra_columns(loaded: Loaded) -> ExtraColumns:
    """Read the columns that crm.toml names."""
    return ExtraColumns(_accounts(loaded), _first_contacts(loaded), _lost_reasons(loaded))


def _read_texts(loaded: Loaded, column: str | None) -> list[str | None]:
    if column is None:
        return [None] * len(loaded.crm)
    texts: list[str | None] = as_texts(loaded.leads[column], _missing_values(loaded)).to_pylist()
    return texts


def _accounts(loaded: Loaded) -> list[str | None]:
    return _read_texts(loaded, loaded.settings.leads.account)


def _first_contacts(loaded: Loaded) -> list[int | None]:
    """From the column of the role; an activity of the role is among the activities already."""
    settings, column = loaded.settings, loaded.settings.roles.first_contact
    if column is None or column not in loaded.leads.column_names:
        return [None] * len(loaded.crm)
    parsed = as_times(
        loaded.leads[column], _missing_values(loaded), settings.zone, settings.leads.time_format_of(column)
    )
    return [None if time_ms == NEVER else time_ms for time_ms in parsed.values.tolist()]


def _lost_reasons(loaded: Loaded) -> list[str | None]:
    """For a lead with several deals, that of the last."""
    reasons = _read_texts(loaded, None)
    deals = loaded.settings.deals
    if deals is None or deals.lost_reason is None:
        return reasons
    deal_reasons = as_texts(loaded.deals[deals.lost_reason], _missing_values(loaded)).to_pylist()
    for row, reason in zip(loaded.deal_leads.tolist(), deal_reasons, strict=True):
        reasons[row] = reason or reasons[row]
    return reasons


def _missing_values(loaded: Loaded) -> frozenset[str]:
    return frozenset({"", *loaded.settings.missing})
