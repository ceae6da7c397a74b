from __future__ import annotations

from dataclasses import replace

from scoring.evaluation.segments import SegmentQuality
from scoring.review_requests import write_models
from scoring.statistics.metrics import Estimate
from tests.helpers.service.review_site import Reviewer
from tests.helpers.service.service_app import App


def test_the_models_page_shows_how_well_a_model_does_by_segment(site: tuple[App, Reviewer]) -> None:
    app, reviewer = site
    gap = Estimate(0.041, 0.012, 0.07)
    quality = SegmentQuality(
        segment="channel",
        value="trade fair & more",
        leads=1200,
        won_leads=300,
        predicted=Estimate(0.2, 0.19, 0.21),
        actual=Estimate(0.241, 0.21, 0.27),
        gap=gap,
        roc_auc=Estimate(0.8, 0.7, 0.9),
        lift=Estimate(2.5, 2.0, 3.0),
    )
    small = replace(quality, value="events", leads=30, won_leads=19)
    counts = ("won_leads", "leads", "measured_won_leads", "measured_leads")
    about: dict[str, object] = {**dict.fromkeys(counts, 1), "trained_through": None, "figures": {}}
    about["segments"] = [quality.to_dict(), small.to_dict()]
    model = {"registered": "1", "version": "a", "about": about, "tags": {}}
    write_models(app.settings.bundles, {"at": 0, "gate": None, "models": {"champion": model}})
    text = reviewer.page("/review/models").text
    assert "trade fair &amp; more" in text
    assert "+4.1 <small>[+1.2, +7.0]</small>" in text
    assert text.count("not measurable") == 2  # the note and the small segment
