"""Builds a company with a deployed model and stored predictions with their outcomes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from features.clock import MS_PER_DAY
from features.columns import Column, Texts, encode_texts
from features.settings import CrmSettings, load_settings
from scoring.model.bundle import Origin, write_bundle
from scoring.model.evidence import MODEL
from scoring.model.model import EVIDENCE_FILE
from scoring.scorecard.load import find_card
from serving.settings import ServiceSettings
from serving.store.records import Prediction, Record
from serving.store.store import Store
from tests.helpers.evidence_builder import evidence, model_of
from tests.helpers.service.stores import prediction, record
from tests.helpers.small_crm import CARD, small_crm

DAY = MS_PER_DAY


@dataclass(frozen=True)
class Company:
    """The settings of a company and the version of its deployed model."""

    settings: ServiceSettings
    crm: CrmSettings
    model: str


def make_company(folder: Path, url: str | None = None) -> Company:
    """A company whose model was evaluated on leads from referral and from ads in equal parts."""
    crm_toml = small_crm(folder, leads=60)
    (folder / "scorecard.toml").write_text(CARD, encoding="utf-8")
    environment = {"HOTLEAD_CRM": str(crm_toml), **({} if url is None else {"HOTLEAD_STORE_URL": url})}
    settings, crm = ServiceSettings.from_environment(environment), load_settings(crm_toml)
    features = _features(1_000, ("referral", "ads"))
    rng = np.random.default_rng(5)
    judged = evidence(rng.random(1_000) < 0.3, features, scores={MODEL: rng.normal(-1, 1, 1_000)})
    model = model_of(features, find_card(crm.folder, crm.table), trained_through="2026-01-31T00:00:00Z")
    model = replace(model, table=crm.table)
    model_folder = folder / "model"
    model_folder.mkdir()
    model.save(model_folder)
    judged.save(model_folder / EVIDENCE_FILE)
    write_bundle(settings.bundles, model_folder, Origin(model.version, "1", "run", 0))
    return Company(settings, crm, model.version)


def fill_store(
    store: Store, model: str, now: int, bias: float = 0.0, channels: Sequence[str] = ("referral", "ads")
) -> None:
    """Store 1,000 predictions of two months ago and 300 new leads from `channels`.

    Leads win with the predicted probability plus `bias`.
    """
    answers, closed = _make_answers(model, now - 60 * DAY, bias)
    store.add_predictions(answers).result(60)
    store.add_records([*closed, *_new_leads(now, channels)]).result(60)


def _make_answers(model: str, answered_ms: int, bias: float) -> tuple[list[Prediction], list[Record]]:
    rng = np.random.default_rng(1)
    chance = rng.uniform(0.02, 0.6, 1_000)
    won = rng.random(1_000) < np.clip(chance + bias, 0, 1)
    rules = rng.integers(0, 101, 1_000)
    answers = [
        prediction(
            f"A{i}",
            answered_ms,
            model_version=model,
            probability=float(chance[i]),
            rules_score=int(rules[i]),
            rules_stage="hot" if rules[i] >= 80 else "cold",
        )
        for i in range(1_000)
    ]
    closed = [
        record(
            "outcomes",
            f"o{i}",
            answered_ms + (3 + i % 20) * DAY,
            lead_id=f"A{i}",
            outcome="won" if won[i] else "lost",
        )
        for i in range(1_000)
        if won[i] or i % 3
    ]
    return answers, closed


def _new_leads(now: int, channels: Sequence[str]) -> list[Record]:
    features, records = _features(300, channels, 9), list[Record]()
    channel, visits = features["channel"], features["visits"]
    assert isinstance(channel, Texts)
    assert isinstance(visits, np.ndarray)
    for i, name in enumerate(channel.to_list()):
        created = now - (9 + i % 15) * DAY
        attributes = {"channel": name, "employees": float(features["employees"][i])}  # type: ignore[index]
        records.append(
            record(
                "leads", f"l{i}", created + 60_000, lead_id=f"N{i}", attributes=attributes, created_at=created
            )
        )
        records += [
            record("activities", f"a{i}-{n}", created - (n + 1) * 60_000, lead_id=f"N{i}", type="visit")
            for n in range(int(visits[i]))
        ]
    return records


def _features(count: int, channels: Sequence[str], seed: int = 2) -> dict[str, Column]:
    rng = np.random.default_rng(seed)
    return {
        "channel": encode_texts([str(name) for name in rng.choice(list(channels), count)]),
        "employees": rng.integers(5, 500, count).astype(np.float64),
        "visits": rng.poisson(2, count).astype(np.float64),
        "age": rng.choice([0.0, 7.0], count),
    }
