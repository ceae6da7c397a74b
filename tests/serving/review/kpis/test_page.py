"""The page of the figures, its tables to take away, and the page to print."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from features.clock import to_ms
from serving.review.kpis.sheet import MAX_SHOWN_ROWS
from serving.review.web.csv_download import csv_response
from tests.helpers.service.review_site import Reviewer, review_app
from tests.helpers.service.service_app import CRM_TOML, App
from tests.helpers.service.stores import hot, prediction, record

REVIEW = """
[review]
costs = "costs.csv"

[review.targets]
hot_leads_a_month = 3
acceptance_rate = 0.6
opportunity_rate = 0.5
"""
HOUR = 3_600_000


def parse_tokyo_ms(text: str) -> int:
    return to_ms(datetime.fromisoformat(f"{text}+09:00"))


NOW = parse_tokyo_ms("2026-10-15T12:00")
MIDNIGHT = parse_tokyo_ms("2026-09-01T00:00")


@pytest.fixture
def site(tmp_path: Path) -> Iterator[tuple[App, Reviewer]]:
    with review_app(tmp_path, lambda: NOW, crm=CRM_TOML + REVIEW) as app_and_reviewer:
        yield app_and_reviewer


def september(app: App) -> None:
    """A and B turned hot in September, C in the last moment of August, D on the first of October."""
    moments = {
        "A": MIDNIGHT,
        "B": parse_tokyo_ms("2026-09-30T23:59"),
        "C": MIDNIGHT - 1,
        "D": parse_tokyo_ms("2026-10-01T00:00"),
    }
    hot_predictions = [hot(lead, moment) for lead, moment in moments.items()]
    uncounted_predictions = [
        hot("C", parse_tokyo_ms("2026-09-10T10:00")),
        hot("E", parse_tokyo_ms("2026-09-10T10:00"), replay=True),
    ]
    app.components.store.add_predictions(
        [*hot_predictions, *uncounted_predictions, prediction("F", MIDNIGHT)]
    ).result()
    app.components.store.add_records(
        [
            record("handovers", "1", MIDNIGHT + HOUR, lead_id="A", step="first_contact"),
            record("handovers", "2", MIDNIGHT + 2 * HOUR, lead_id="A", step="accepted"),
            record("handovers", "3", parse_tokyo_ms("2026-09-30T23:59"), lead_id="B", step="handed_over"),
            record(
                "handovers",
                "4",
                parse_tokyo_ms("2026-10-02T10:00"),
                lead_id="B",
                step="sent_back",
                reason="=no budget",
            ),
            record("opportunities", "5", parse_tokyo_ms("2026-09-20T10:00"), lead_id="A"),
            record("outcomes", "6", parse_tokyo_ms("2026-09-25T10:00"), lead_id="A", outcome="won"),
            record("outcomes", "7", parse_tokyo_ms("2026-09-25T11:00"), lead_id="C", outcome="lost"),
            record("leads", "8", MIDNIGHT, lead_id="A", attributes={"channel": "referral"}),
            record("leads", "9", MIDNIGHT, lead_id="B", attributes={"channel": "=cmd()"}),
        ]
    ).result()


def rows(reviewer: Reviewer, name: str, query: str = "month=2026-09") -> list[dict[str, Any]]:
    answer = reviewer.page(f"/review/figures/{name}.csv?{query}")
    assert answer.status_code == 200
    return list(csv.DictReader(io.StringIO(answer.content.decode("utf-8-sig"))))


def test_the_four_figures_with_what_they_are_counted_of(site: tuple[App, Reviewer]) -> None:
    app, reviewer = site
    september(app)
    page = reviewer.page("/review/figures?month=2026-09").text
    assert "KPIs 2026-09" in page
    for text in ("⚠ below the target 3", "⚠ below the target 60%", "✓ target 50%", "no target set"):
        assert text in page
    assert page.count("1 of 2 (95%: 9.5% – 90.5%)") >= 3
    month = rows(reviewer, "months")[0]
    assert month == {
        "month": "2026-09",
        "hot_leads": "2",
        "acceptance_rate": "0.5",
        "acceptance_rate_count": "1",
        "acceptance_rate_of": "2",
        "opportunity_rate": "0.5",
        "opportunity_rate_count": "1",
        "opportunity_rate_of": "2",
        "win_rate": "0.5",
        "win_rate_count": "1",
        "win_rate_of": "2",
    }


def test_japanese_pages_tell_the_counts_in_japanese(site: tuple[App, Reviewer]) -> None:
    september(site[0])
    page = Reviewer(site[0], lang="ja").page("/review/figures?month=2026-09").text
    assert "2件中1件（95%信頼区間 9.5% – 90.5%）" in page
    assert "ホットリードのその後" in page


def test_months_meet_at_midnight_in_the_companys_time_zone(site: tuple[App, Reviewer]) -> None:
    app, reviewer = site
    september(app)
    month_rows = rows(reviewer, "months", "month=2026-10")
    assert [row["hot_leads"] for row in month_rows[:3]] == ["1", "2", "1"]
    assert [row["month"] for row in month_rows[:3]] == ["2026-10", "2026-09", "2026-08"]
    assert len(month_rows) == 12


def test_several_months_are_told_as_one(site: tuple[App, Reviewer]) -> None:
    app, reviewer = site
    september(app)
    query = "from=2026-08&to=2026-10"
    page = reviewer.page(f"/review/figures?{query}").text
    assert "KPIs 2026-08 – 2026-10" in page
    assert "target 9" in page  # three a month
    assert "from=2026-08&amp;to=2026-10" in page
    assert rows(reviewer, "afterwards", query)[0]["of_hot_leads_of"] == "4"


def test_a_month_that_runs_may_still_reach_its_number(site: tuple[App, Reviewer]) -> None:
    app, reviewer = site
    september(app)
    page = reviewer.page("/review/figures").text
    assert "KPIs 2026-10" in page
    assert "KPIs to date" in page
    assert "below the target 3" not in page
    assert "month=2026-11" not in page


@pytest.mark.parametrize("month", ["0000-01", "2026-99", "9999-12", "2026-09'--", "<script>"])
def test_a_strange_month_is_the_present_one(site: tuple[App, Reviewer], month: str) -> None:
    answer = site[1].page("/review/figures", params={"month": month, "from": month})
    assert answer.status_code == 200
    assert "KPIs 2026-10" in answer.text
    assert "<script>" not in answer.text.split("<main")[1]


def test_sources_are_told_with_their_costs(site: tuple[App, Reviewer], tmp_path: Path) -> None:
    app, reviewer = site
    september(app)
    file = tmp_path / "costs.csv"
    file.write_text("month,channel,amount\n2026-09,referral,300\n2026-10,referral,7\n2026-09,fair,50\n")
    by_source = {row["source"]: row for row in rows(reviewer, "channel")}
    names = ("hot_leads", "wins", "cost", "cost_per_win")
    assert {name: tuple(row[n] for n in names) for name, row in by_source.items()} == {
        "referral": ("1", "1", "300.0", "300.0"),
        "'=cmd()": ("1", "0", "", ""),
        "fair": ("0", "0", "50.0", ""),
    }
    file.write_text("month,channel,amount\n2026-09,referral,much\n")
    page = reviewer.page("/review/figures?month=2026-09")
    assert page.status_code == 200
    assert "costs.csv, row 2, amount: “much” must be a number" in page.text
    assert "costs.csvの2行目" in Reviewer(app, lang="ja").page("/review/figures?month=2026-09").text
    file.write_text("month,channel,amount\n2026-09,referral,900\n")
    assert rows(reviewer, "channel")[0]["cost"] == "900.0"  # mended: seen at once


def test_without_costs_it_is_told_how_to_give_them(tmp_path: Path) -> None:
    with review_app(tmp_path, lambda: NOW) as (_, reviewer):
        page = reviewer.page("/review/figures").text
        assert "costs = &#34;costs.csv&#34;" in page
        assert "0 of 0" in page


def test_a_file_of_costs_that_is_not_there_is_told(site: tuple[App, Reviewer]) -> None:
    assert "The cost file costs.csv does not exist" in site[1].page("/review/figures").text


def test_leads_lost_late_lead_to_their_pages_and_all_are_in_the_file(site: tuple[App, Reviewer]) -> None:
    app, reviewer = site
    ids = [f"L/{i}" for i in range(MAX_SHOWN_ROWS + 10)]
    app.components.store.add_predictions([hot(lead, MIDNIGHT) for lead in ids]).result()
    lost = [record("outcomes", lead, MIDNIGHT + 30 * HOUR, lead_id=lead, outcome="lost") for lead in ids]
    app.components.store.add_records(lost).result()
    page = reviewer.page("/review/figures?month=2026-09").text
    assert "Lost leads with late first contact: 60" in page
    assert 'href="/review/leads/L%2F0"' in page or 'href="/review/leads/L/0"' in page
    assert "10 more rows are in the CSV file." in page
    assert len(rows(reviewer, "lost_late")) == 60


def test_reasons_stand_beside_the_number_of_their_definition(site: tuple[App, Reviewer]) -> None:
    app, reviewer = site
    reviewer.page("/review/definition")  # it notes the file as the first version
    version = app.components.model_watcher.live_model.scorer.card.version
    app.components.store.add_predictions(
        [hot("A", MIDNIGHT, card_version=version), hot("B", MIDNIGHT)]
    ).result()
    app.components.store.add_records(
        [
            record("handovers", lead, MIDNIGHT + 1, lead_id=lead, step="sent_back", reason="=1+1")
            for lead in "AB"
        ]
    ).result()
    reasons = {row["definition"]: row["reason"] for row in rows(reviewer, "sent_back")}
    assert reasons == {f"version 1 ({version})": "'=1+1", "c0ffee": "'=1+1"}


@pytest.mark.parametrize("begin", ["=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠"])
def test_no_spreadsheet_takes_a_text_for_a_formula(begin: str) -> None:
    body = bytes(csv_response("x", ["a", "b"], [[f"{begin}1+1", -1.5]]).body)
    assert body.startswith(b"\xef\xbb\xbf")
    head, (text, number) = csv.reader(io.StringIO(body.decode("utf-8-sig"), newline=""))
    assert (head, text, number) == (["a", "b"], f"'{begin}1+1", "-1.5")


def test_every_table_of_the_page_can_be_taken_away(site: tuple[App, Reviewer]) -> None:

    app, reviewer = site
    september(app)
    page = reviewer.page("/review/figures?month=2026-09").text
    names = re.findall(r'href="/review/figures/(\w+)\.csv\?month=2026-09"', page)
    assert {"months", "afterwards", "contact", "channel", "stages", "sent_back"} - {*names} == {"sent_back"}
    for name in names:
        answer = reviewer.page(f"/review/figures/{name}.csv?month=2026-09")
        assert answer.headers["content-disposition"] == f'attachment; filename="{name}-2026-09.csv"'
        assert answer.content.startswith(b"\xef\xbb\xbf")
        assert answer.text == Reviewer(app, lang="en").page(str(answer.url)).text


def test_the_page_to_print_has_all_tables_and_nothing_to_click(site: tuple[App, Reviewer]) -> None:
    app, reviewer = site
    september(app)
    page = reviewer.page("/review/figures/print?month=2026-09").text
    article = page.split("<article")[1].split("</article>")[0]
    assert "Monthly report 2026-09" in article
    assert article.count("<svg") == 2
    assert article.count("<table>") >= 4
    assert ".csv" not in article
    assert "<form" not in article


@pytest.mark.parametrize("path", ["", "/print", "/months.csv"])
def test_the_crms_key_opens_no_figures(site: tuple[App, Reviewer], path: str) -> None:
    answer = Reviewer(site[0], "crm").page(f"/review/figures{path}")
    assert answer.status_code in (303, 403)
    assert site[0].get(f"/review/figures{path}", role="crm").status_code in (303, 401, 403)


@pytest.mark.parametrize("name", ["none", "..%2Fmonths", "costs", "MONTHS"])
def test_a_table_that_there_is_not(site: tuple[App, Reviewer], name: str) -> None:
    assert site[1].page(f"/review/figures/{name}.csv").status_code == 404


def test_the_months_in_which_scoring_began_say_so(site: tuple[App, Reviewer]) -> None:
    app, reviewer = site
    september(app)
    began = "Scoring began on 2026-08-31"
    assert began in reviewer.page("/review/figures?month=2026-08").text
    assert began in reviewer.page("/review/figures/print?from=2026-08&to=2026-10").text
    assert "Scoring began" not in reviewer.page("/review/figures?month=2026-09").text
