"""Promoting the challenger to champion, through the gate or by an override, and rolling back."""

from __future__ import annotations

import getpass
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from features.clock import iso, now_ms
from features.errors import DataError, SettingsError
from features.files import file_lock
from scoring.evaluation.gate import Check, ModelCandidate, all_passed, run_gate
from scoring.model.pseudonyms import Pseudonyms, key_file
from scoring.scorecard.scorecard import Scorecard
from scoring.to_json import to_jsonable
from training.registry.mlflow_store import (
    CHALLENGER,
    CHAMPION,
    PREVIOUS,
    RegisteredModel,
    change_version,
    check_store,
    find_model,
    find_versions,
    no_model_error,
    store_uri,
)

_LOCK = ".promote.lock"


@dataclass(frozen=True)
class PromotionResult:
    """The gate's checks of a challenger, and whether it was promoted."""

    challenger: RegisteredModel
    champion: RegisteredModel | None
    checks: list[Check]
    promoted: bool


@dataclass(frozen=True)
class RolledBack:
    """The versions of the restored champion and of the model that it replaces."""

    champion: str
    previous: str


def to_candidate(registered_model: RegisteredModel, out: Path) -> ModelCandidate:
    """A registered model as the gate compares it: its leads have the pseudonyms of this output folder."""
    pseudonyms = Pseudonyms.load(key_file(out))
    return ModelCandidate(registered_model.model, registered_model.evidence.with_pseudonyms(pseudonyms))


def promote(
    out: Path, card: Scorecard, override: str | None, user: str | None, note: str = ""
) -> PromotionResult:
    """Make the challenger champion if it passes the gate, or for the reason given in `override`.

    `card` is the current scorecard, `user` (by default the user of the process) and `note` are recorded.
    Raises SettingsError if there is no challenger.
    """
    with file_lock(out / _LOCK):
        challenger = _find_challenger(out)
        champion, unreadable = _find_readable_champion(out)
        if champion is not None and champion.version == challenger.version:
            raise SettingsError(
                "hotlead version {version} is the champion already. Train a new model first.",
                version=challenger.version,
            )
        former = to_candidate(champion, out) if champion else None
        checks = run_gate(to_candidate(challenger, out), card, former)
        checks += [unreadable] if unreadable else []
        promoted = all_passed(checks) or bool(override)
        if promoted:
            gate_tags = {"gate": json.dumps(to_jsonable(checks), ensure_ascii=False)[:4_900]}
            why = override or ": ".join(filter(None, ("passed the gate", note)))
            _make_champion(out, challenger.version, _event_tags("promoted", why, user, gate_tags))
        return PromotionResult(challenger, champion, checks, promoted)


def rollback(out: Path, why: str, user: str | None) -> RolledBack:
    """Make the previous champion the champion again.

    The replaced champion becomes the challenger unless there is one. Only one step back is possible.
    """
    with file_lock(out / _LOCK):
        check_store(out)
        champion, previous = find_versions(out, (CHAMPION, PREVIOUS)).values()
        if champion is None:
            raise no_model_error(store_uri(out))
        now, before = None if previous is None else previous.version, champion.version
        if now is None or now == before:
            raise SettingsError(
                "There is nothing to roll back to: no champion came before version {before}.", before=before
            )
        _restore(out, now, before, _event_tags("restored", why, user, {"in_place_of": before}))
        return RolledBack(now, before)


def _event_tags(event: str, why: str, user: str | None, more: Mapping[str, str]) -> dict[str, str]:
    """Who, when and why, as tags of a model version; each event has its own tags."""
    details = {"by": user or getpass.getuser(), "at": iso(now_ms()), "why": why, **more}
    return {f"hotlead.{event}.{name}": value for name, value in details.items()}


def _make_champion(out: Path, version: str, tags: Mapping[str, str]) -> None:
    """Write the tags of the model version and move the aliases.

    The alias of the champion is set after the tags: the service changes only when they are written.
    """
    former, challenger = find_versions(out, (CHAMPION, CHALLENGER)).values()
    aliases: dict[str, str | None] = {} if former is None else {PREVIOUS: former.version}
    aliases[CHAMPION] = version
    if challenger is not None and challenger.version == version:
        aliases[CHALLENGER] = None
    change_version(out, version, tags, aliases)


def _restore(out: Path, version: str, before: str, tags: Mapping[str, str]) -> None:
    aliases: dict[str, str | None] = {CHAMPION: version, PREVIOUS: None}
    if find_versions(out, (CHALLENGER,))[CHALLENGER] is None:
        aliases[CHALLENGER] = before
    change_version(out, version, tags, aliases)


def _find_challenger(out: Path) -> RegisteredModel:
    try:
        return find_model(out, (CHALLENGER,))
    except SettingsError as problem:
        if _find_champion(out) is None:
            raise
        raise SettingsError(
            "There is no challenger: the last model trained is the champion. Run `hotlead train` first."
        ) from problem


def _find_champion(out: Path) -> RegisteredModel | None:
    try:
        return find_model(out, (CHAMPION,))
    except SettingsError:
        return None


def _find_readable_champion(out: Path) -> tuple[RegisteredModel | None, Check | None]:
    """The champion, or a failed check if it cannot be read: then the models cannot be compared."""
    try:
        champion = _find_champion(out)
        if champion is not None:
            champion.evidence.check_not_empty()
    except DataError as problem:
        return None, Check("champion_readable", False, None, {"why": str(problem)})
    return champion, None
