"""The page of the models says what was measured of each."""

from __future__ import annotations

from html import unescape

import pytest

from features.kinds import Language
from scoring.pages.time_to_win import describe_time_evaluation
from scoring.review_requests import write_models
from tests.helpers.service.review_site import Reviewer
from tests.helpers.service.service_app import App


@pytest.mark.parametrize("lang", ["en", "ja"])
def test_a_model_says_how_well_its_days_to_the_win_were_met(
    site: tuple[App, Reviewer], lang: Language
) -> None:
    app, _ = site
    evaluation = {"leads": 7, "learnt_from": 1_200, "has_weights": False, "figures": None}
    about = {
        "trained_through": None,
        "won_leads": 1,
        "leads": 2,
        "measured_won_leads": 1,
        "measured_leads": 1,
        "figures": {},
        "time_to_win": evaluation,
    }
    model = {"registered": "1", "version": "a", "about": about, "tags": {}}
    write_models(app.settings.bundles, {"at": 0, "gate": None, "models": {"champion": model}})
    text = unescape(Reviewer(app, lang=lang).page("/review/models").text)
    assert describe_time_evaluation(evaluation, lang) in text
