"""The facts of a lead: each under a label of its own."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from features.clock import iso, now_ms
from features.kinds import Language
from serving.review import site as site_module
from serving.review.web.translations import page_texts, translate_page
from tests.helpers.service.review_site import Reviewer
from tests.helpers.service.service_app import App

_TEMPLATE = Path(site_module.__file__).parent / "templates" / "lead.html"
_LABEL = re.compile(r'<dt[^>]*>{{ say\("(\w+)"\) }}</dt>')


@pytest.mark.parametrize(
    ("lang", "excluded", "reason", "trigger"),
    [("en", "Excluded", "Competitor", "Asked for a quote"), ("ja", "対象外", "競合企業", "見積を依頼")],
)
def test_an_excluded_lead_is_not_labelled_as_hot_at_once(
    site: tuple[App, Reviewer], lang: Language, excluded: str, reason: str, trigger: str
) -> None:
    app, _ = site
    created = iso(now_ms() - 3_600_000)
    lead = {"lead_id": "L1", "updated_at": created, "created_at": created, "attributes": {"channel": "rival"}}
    assert app.post("/v1/leads", lead, role="crm").status_code == 201
    quote = {"lead_id": "L1", "type": "quote", "at": created, "value": 5}
    assert app.post("/v1/activities", quote, role="crm").status_code == 201
    page = Reviewer(app, lang=lang).page("/review/leads/L1").text
    at_once = page_texts()["lead_at_once"][lang]
    assert f"<dt>{excluded}</dt><dd>{reason}</dd>" in page
    assert re.findall(rf"<dt>{re.escape(at_once)}</dt><dd>(.*?)</dd>", page) == [trigger]


@pytest.mark.parametrize("lang", ["en", "ja"])
def test_no_two_labels_say_the_same(lang: Language) -> None:
    labels = [translate_page(key, lang) for key in _LABEL.findall(_TEMPLATE.read_text(encoding="utf-8"))]
    assert len(labels) > 8
    assert len({*labels}) == len(labels)
