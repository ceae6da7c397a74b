"""Of personal columns only what features derive is stored; a lead has the same features at every door."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pytest

from features.clock import to_ms
from features.columns import Texts
from features.crm.extra_columns import read_extra_columns
from features.crm.load import Loaded
from features.derived.ngrams import to_ngrams
from features.many_leads import Histories, ManyLeads
from serving.jobs.crm_records import CrmExport, iter_records
from serving.leads.batch_fast_path import parse_columns
from serving.leads.field_types import AttributeSchema
from serving.leads.lead_facts import LeadFacts, facts_from_store, parse_lead
from serving.leads.to_records import parse_record, to_record
from serving.store.store import Store
from serving.web.field_errors import InvalidFields
from tests.helpers.builders import is_same, loaded_of
from tests.helpers.exports.derived_crm import load_derived, tables, write_leads

LEADS = 40


@pytest.fixture(scope="module")
def loaded(tmp_path_factory: pytest.TempPathFactory) -> Loaded:
    return load_derived(tmp_path_factory.mktemp("derived"), LEADS)


@pytest.fixture
def schema(loaded: Loaded) -> AttributeSchema:
    return AttributeSchema.from_settings(loaded.settings)


def bodies(loaded: Loaded) -> list[dict[str, Any]]:
    """The leads as a CRM sends them."""
    rows = loaded.leads.to_pylist()
    return [
        {
            "lead_id": row["id"],
            "created_at": str(row["created"]).replace(" ", "T"),
            "attributes": {column: row[column] for column in loaded.settings.columns},
        }
        for row in rows
    ]


def listed(loaded: Loaded) -> list[list[object]]:
    """The features of each lead as training and `hotlead score` compute them."""
    moments = np.full(len(loaded.crm), loaded.crm.snapshot + 1)
    view = ManyLeads(Histories(loaded.crm), np.arange(len(loaded.crm)), moments)
    columns = loaded.settings.table.compute_many(view).values()
    lists = [c.to_list() if isinstance(c, Texts) else c.tolist() for c in columns]
    return [list(row) for row in zip(*lists, strict=True)]


def test_a_lead_in_a_body_has_the_features_of_the_list(loaded: Loaded, schema: AttributeSchema) -> None:
    now, table = loaded.crm.snapshot, loaded.settings.table
    for body, expected in zip(bodies(loaded), listed(loaded), strict=True):
        facts = parse_lead(orjson.dumps(body), schema, now)
        assert isinstance(facts, LeadFacts)
        assert is_same(table.compute_one(facts.view(now + 1)), expected)


def test_a_batch_has_the_features_of_the_list(loaded: Loaded, schema: AttributeSchema) -> None:
    now = loaded.crm.snapshot
    batch = parse_columns(bodies(loaded), schema, now)
    columns = loaded.settings.table.compute_many(batch.view(now + 1)).values()
    lists = [c.to_list() if isinstance(c, Texts) else c.tolist() for c in columns]
    assert is_same([list(row) for row in zip(*lists, strict=True)], listed(loaded))


@pytest.mark.parametrize("availability", ["at_creation", "today"])
def test_an_imported_lead_has_the_features_of_the_list(tmp_path: Path, availability: str) -> None:
    write_leads(tmp_path, LEADS)
    document = tables()
    document["features"] = {
        name: {**feature, "known": availability} if "known" in feature else feature
        for name, feature in document["features"].items()
    }
    loaded = loaded_of(tmp_path, **document)
    now, schema = loaded.crm.snapshot, AttributeSchema.from_settings(loaded.settings)
    store = Store.open(f"sqlite:///{tmp_path / 'store.db'}", tmp_path / "spool")
    try:
        export = CrmExport(loaded.crm, **asdict(read_extra_columns(loaded)))
        store.add_records(tuple(iter_records(export, loaded.settings))).result()
        for lead_id, expected in zip(loaded.crm.lead_ids.tolist(), listed(loaded), strict=True):
            stored = store.lead(lead_id)
            assert stored is not None
            facts = facts_from_store(stored, schema, now)
            assert is_same(loaded.settings.table.compute_one(facts.view(now + 1)), expected)
    finally:
        store.close()
    content = b"".join(path.read_bytes() for path in tmp_path.glob("store.db*"))
    assert "営業部".encode() in content  # a title is stored as it is
    for personal in (".co.jp", "gmail", "見積依頼", "thesis"):
        assert personal.encode() not in content


def test_a_record_keeps_no_address_and_no_text(loaded: Loaded, schema: AttributeSchema) -> None:
    body = {
        "lead_id": "L1",
        "updated_at": "2026-01-01T00:00:00Z",
        "attributes": {
            "mail": "taro@gmail.com",
            "inquiry": "見積をください",
            "wanted": "2026/4/1",
            "employees": "1,200",
            "mail_2": "taro@gmail.com",
        },
    }
    body_in = parse_record("leads", orjson.dumps(body), schema, to_ms(datetime(2026, 1, 2, tzinfo=UTC)))
    record = to_record("leads", body_in, schema.columns)
    assert record.body["attributes"] == {
        "mail": "free",
        "inquiry": to_ngrams("見積をください"),
        "wanted": "2026-03-31T15:00:00.000Z",
        "employees": "1,200",
    }
    assert "見積" not in str(record.body)


def test_a_text_that_is_no_date_is_named(loaded: Loaded, schema: AttributeSchema) -> None:
    body = {"lead_id": "L1", "attributes": {"wanted": "soon"}}
    with pytest.raises(InvalidFields) as refused:
        parse_lead(body, schema, loaded.crm.snapshot)
    (error,) = refused.value.errors
    assert (error.path, "a date" in error.allowed) == ("body.attributes.wanted", True)
