import sqlite3
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from demo.crm import DemoCrm, generate, true_probability, write_parquet, write_sqlite, write_truth

AS_OF = pd.Timestamp("2026-10-01")
AGE, HORIZON = 7, 90
DAY = pd.Timedelta(days=1)


@pytest.fixture(scope="module")
def crm() -> DemoCrm:
    return generate(leads=3_000)


@pytest.fixture(scope="module")
def full_crm() -> DemoCrm:
    return generate()


def frame(crm: DemoCrm, table: str) -> pd.DataFrame:
    return crm.tables[table].to_pandas()


def outcomes(crm: DemoCrm) -> pd.DataFrame:
    """One row per lead in the order of the truth: the outcome and the age in days at its close."""
    deals = frame(crm, "deals")[["lead_id", "outcome", "closed_at"]]
    leads = frame(crm, "leads")[["lead_id", "account_id", "created_at"]]
    joined = leads.merge(deals, on="lead_id", how="left", validate="one_to_one")
    joined["age"] = (joined["closed_at"] - joined["created_at"]) / DAY
    return joined


def settled_outcomes(crm: DemoCrm, age: int, horizon: int) -> tuple[np.ndarray, np.ndarray]:
    """True probability and drawn win of the leads open at this age whose horizon ended by the snapshot."""
    joined = outcomes(crm)
    ended = (AS_OF - joined["created_at"]) / DAY >= age + horizon
    rows = np.flatnonzero(ended & ~(joined["age"] <= age))
    won = (joined["outcome"] == "won") & (joined["age"] <= age + horizon)
    return true_probability(crm.truth, rows, age, horizon), won.to_numpy()[rows]


def test_the_same_seed_gives_the_same_crm(crm: DemoCrm) -> None:
    second = generate(leads=3_000)
    assert all(second.tables[name].equals(table) for name, table in crm.tables.items())
    assert second.truth.equals(crm.truth)


def test_another_seed_gives_another_crm(crm: DemoCrm) -> None:
    assert not generate(leads=3_000, seed=8).tables["leads"].equals(crm.tables["leads"])


def test_the_counts_are_as_documented(full_crm: DemoCrm) -> None:
    leads, deals = frame(full_crm, "leads"), frame(full_crm, "deals")
    outcome = deals["outcome"].value_counts()
    assert len(leads) == 24_000
    assert leads["account_id"].nunique() == 9_000
    assert leads.groupby("account_id").size().max() <= 10
    assert 380_000 < full_crm.tables["activities"].num_rows < 430_000
    assert 2_000 <= outcome["won"] <= 2_300
    assert 8_600 < outcome["won"] + outcome["lost"] < 9_400
    assert 0.13 < leads["first_contact_at"].isna().mean() < 0.17
    assert 0.09 < leads["employees"].isna().mean() < 0.15


@pytest.mark.parametrize(("leads", "a_lead"), [(1, 17.0), (60, 1.0), (2_000, 5.0), (2_000, 30.0)])
def test_the_number_of_activities_scales_with_the_leads(leads: int, a_lead: float) -> None:
    tables = generate(leads=leads, activities_per_lead=a_lead).tables
    assert tables["leads"].num_rows == leads
    if leads >= 1_000:
        assert tables["activities"].num_rows / leads == pytest.approx(a_lead, rel=0.1)


def test_a_crm_without_leads_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 1"):
        generate(leads=0)


def test_no_time_is_at_or_after_the_snapshot(crm: DemoCrm) -> None:
    assert crm.as_of.isoformat() == "2026-09-30T15:00:00+00:00"
    for table in crm.tables:
        for name, column in frame(crm, table).select_dtypes("datetime").items():
            assert column.max() < AS_OF, (table, name)
            assert column.min() >= pd.Timestamp("2024-10-01"), (table, name)


def test_no_activity_is_after_the_close(crm: DemoCrm) -> None:
    closes = outcomes(crm).set_index("lead_id")["closed_at"].fillna(AS_OF)
    for table in ("activities", "changes"):
        rows = frame(crm, table)
        assert (rows["at"] <= rows["lead_id"].map(closes)).all(), table
    deals = frame(crm, "deals")
    assert (deals["opened_at"] <= deals["closed_at"].fillna(AS_OF)).all()


def test_the_first_activity_is_minutes_before_the_creation(crm: DemoCrm) -> None:
    created = frame(crm, "leads").set_index("lead_id")["created_at"]
    acts = frame(crm, "activities")
    before = (acts["lead_id"].map(created) - acts["at"]) / pd.Timedelta(minutes=1)
    early = before[before >= 0]
    assert acts.loc[early.index, "lead_id"].is_unique
    assert len(early) == len(created)
    assert early.between(1, 10).all()


def test_leads_without_first_contact_have_no_deal(crm: DemoCrm) -> None:
    leads, deals = frame(crm, "leads"), frame(crm, "deals")
    unworked = leads.loc[leads["first_contact_at"].isna(), "lead_id"]
    assert leads["owner"].isna().equals(leads["first_contact_at"].isna())
    assert not deals["lead_id"].isin(unworked).any()
    assert not frame(crm, "changes")["lead_id"].isin(unworked).any()


def test_account_columns_belong_to_the_account(crm: DemoCrm) -> None:
    of_account = frame(crm, "leads").groupby("account_id")
    for column in ("employees", "industry", "prefecture", "is_competitor"):
        assert of_account[column].nunique(dropna=False).max() == 1, column


def test_the_current_values_are_the_last_changes(crm: DemoCrm) -> None:
    leads = frame(crm, "leads").set_index("lead_id")
    last = frame(crm, "changes").groupby(["lead_id", "column_name"])["value"].last().unstack()
    for column in ("budget", "authority", "need", "timing"):
        expected = last[column].reindex(leads.index)
        pd.testing.assert_series_equal(leads[column], expected, check_names=False)


def test_reasons_belong_to_lost_deals_and_plans_to_won_deals(crm: DemoCrm) -> None:
    deals = frame(crm, "deals")
    assert (deals["lost_reason"].notna() == (deals["outcome"] == "lost")).all()
    assert (deals["signed_plan"].notna() == (deals["outcome"] == "won")).all()
    assert (deals["closed_at"].isna() == (deals["outcome"] == "open")).all()
    assert (deals["amount_jpy"] > 0).all()


def test_campaigns_cover_every_lead_and_month(crm: DemoCrm) -> None:
    leads, campaigns = frame(crm, "leads"), frame(crm, "campaigns")
    leads["month"] = leads["created_at"].dt.strftime("%Y-%m")
    keys = ["campaign", "channel", "month"]
    brought = set(leads[keys].itertuples(index=False, name=None))
    assert brought == set(campaigns[keys].itertuples(index=False, name=None))
    assert not campaigns.duplicated(["campaign", "month"]).any()
    assert (campaigns["cost_jpy"] > 0).all()


def test_the_giveaway_brings_many_leads_that_rarely_win(full_crm: DemoCrm) -> None:
    joined = outcomes(full_crm)
    giveaway = frame(full_crm, "leads")["campaign"] == "social_giveaway_2026"
    won = joined["outcome"] == "won"
    assert giveaway.sum() > 800
    assert joined.loc[giveaway, "created_at"].min() > pd.Timestamp("2026-01-01")
    assert won[giveaway].mean() < 0.4 * won[~giveaway].mean()


@pytest.mark.parametrize("seed", [1, 2])
@pytest.mark.parametrize("age", [0, AGE, 30])
def test_the_truth_agrees_with_the_drawn_fates(seed: int, age: int) -> None:
    truth, won = settled_outcomes(generate(leads=24_000, seed=seed, activities_per_lead=1), age, HORIZON)
    for band in np.array_split(np.argsort(truth), 8):
        expected, drawn = truth[band].sum(), won[band].sum()
        spread = np.sqrt((truth[band] * (1 - truth[band])).sum())
        assert abs(drawn - expected) < 4 * spread + 0.5


def test_the_truth_agrees_for_every_behaviour(full_crm: DemoCrm) -> None:
    """Given the truth, earlier behaviour carries no further information about the outcome."""
    joined = outcomes(full_crm)
    truth = true_probability(full_crm.truth, np.arange(len(joined)), AGE, HORIZON)
    acts = frame(full_crm, "activities").merge(joined[["lead_id", "created_at"]], on="lead_id")
    early = acts[acts["at"] <= acts["created_at"] + AGE * DAY]
    ended = (AS_OF - joined["created_at"]) / DAY >= AGE + HORIZON
    usable = ended & ~(joined["age"] <= AGE)
    won = (joined["outcome"] == "won") & (joined["age"] <= AGE + HORIZON)
    for kind in ("price_page", "quote_request", "call", "trial_login", "meeting_request"):
        acted = usable & joined["lead_id"].isin(early.loc[early["type"] == kind, "lead_id"])
        spread = np.sqrt((truth[acted] * (1 - truth[acted])).sum())
        assert abs(won[acted].sum() - truth[acted].sum()) < 4 * spread, kind


def test_the_truth_ranks_as_well_as_documented(full_crm: DemoCrm) -> None:
    truth, won = settled_outcomes(full_crm, AGE, HORIZON)
    ranks = pd.Series(truth).rank().to_numpy()
    wins = won.sum()
    area = (ranks[won].sum() - wins * (wins + 1) / 2) / (wins * (len(won) - wins))
    assert 0.82 < area < 0.88


def test_true_probability_takes_one_age_per_row(crm: DemoCrm) -> None:
    rows, ages = np.array([5, 5, 9]), np.array([0.0, 30.0, 7.0])
    together = true_probability(crm.truth, rows, ages, HORIZON)
    single_rows = [
        true_probability(crm.truth, [row], age, HORIZON)[0] for row, age in zip(rows, ages, strict=True)
    ]
    assert together == pytest.approx(single_rows)
    assert true_probability(crm.truth, rows, 0, 0) == pytest.approx(0)


def test_sqlite_contains_the_tables_and_not_the_truth(crm: DemoCrm, tmp_path: Path) -> None:
    path = tmp_path / "new" / "crm.sqlite"
    for _ in range(2):  # the second time replaces the file
        write_sqlite(crm, path)
    assert [file.name for file in path.parent.iterdir()] == ["crm.sqlite"]
    with sqlite3.connect(path) as database:
        names = pd.read_sql("SELECT name FROM sqlite_master WHERE type = 'table'", database)
        assert set(names["name"]) == set(crm.tables)
        for name in crm.tables:
            read = pd.read_sql(f"SELECT * FROM {name}", database)
            expected = frame(crm, name)
            for column in expected.select_dtypes("datetime"):
                expected[column] = expected[column].dt.strftime("%Y-%m-%d %H:%M:%S")
            pd.testing.assert_frame_equal(read, expected, check_dtype=False)


def test_a_failed_write_keeps_the_old_file(crm: DemoCrm, tmp_path: Path) -> None:
    path = tmp_path / "crm.sqlite"
    path.write_text("old")
    broken = DemoCrm({"leads": crm.tables["leads"]}, crm.truth, crm.as_of)
    with pytest.raises(sqlite3.OperationalError):
        write_sqlite(broken, path)
    assert path.read_text() == "old"
    assert len(list(tmp_path.iterdir())) == 1


def test_parquet_round_trip(crm: DemoCrm, tmp_path: Path) -> None:
    write_parquet(crm, tmp_path / "crm")
    write_truth(crm, tmp_path / "truth.parquet")
    assert len(list((tmp_path / "crm").iterdir())) == len(crm.tables)
    for name, table in crm.tables.items():
        assert pq.read_table(tmp_path / "crm" / f"{name}.parquet").equals(table)
    assert pq.read_table(tmp_path / "truth.parquet").equals(crm.truth)
