"""Samples of long CSV and Parquet files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from features.crm import propose as init
from features.crm.sources.samples import RowSampler, even_blocks
from features.crm.table_settings import Source
from features.crm.tables import read_rows

ROWS, LIMIT = 60_000, 200_000


def test_a_sampler_keeps_few_rows_at_even_distances_and_both_ends() -> None:
    sampler = RowSampler(LIMIT)
    for start in range(0, ROWS, 1_000):
        notable = np.arange(start, start + 1_000) == 30_333
        sampler.add(pa.table({"n": np.arange(start, start + 1_000)}), notable)
    positions, table = sampler.result()
    assert table["n"].to_pylist() == positions.tolist()
    assert len(positions) < 0.6 * ROWS
    assert set(range(2_000)) | {30_330, 30_331, 30_332, 30_333} <= set(positions.tolist())
    assert positions[-1_000:].tolist() == list(range(ROWS - 1_000, ROWS))
    between = positions[(positions > 3_000) & (positions < 30_000)]
    assert len(set(np.diff(between).tolist())) == 1


def test_a_short_table_has_all_its_rows() -> None:
    sampler = RowSampler(LIMIT)
    sampler.add(pa.table({"n": [1, 2, 3]}))
    positions, table = sampler.result()
    assert (positions.tolist(), table["n"].to_pylist()) == ([0, 1, 2], [1, 2, 3])
    assert even_blocks(10, 50_000) == [(0, 10)]
    assert even_blocks(100, 16)[-1] == (98, 2)


def test_a_sample_of_csv_knows_row_numbers_and_keeps_repeated_headers(tmp_path: Path) -> None:
    lines = [f'{n},"a\nb"' for n in range(1, ROWS + 1)]
    lines[40_000] = "id,note"
    lines[50_000] = "ragged"
    (tmp_path / "a.csv").write_text("\n".join(["id,note", *lines]), encoding="utf-8")
    rows = read_rows(Source(source="a.csv"), tmp_path, None, LIMIT)
    assert rows.is_sample
    assert rows.table["id"].to_pylist() == [str(n) for n in rows.numbers]
    assert tuple(map(str, rows.notes)) == ("a.csv: 1 rows left out, repeating the header.",)
    assert [r.row for r in rows.rejects] == [50_001]
    assert rows.read + rows.dropped == ROWS


def test_a_sample_of_parquet(tmp_path: Path) -> None:
    pq.write_table(pa.table({"n": np.arange(1, ROWS + 1)}), tmp_path / "a.parquet", row_group_size=5_000)
    rows = read_rows(Source(source="a.parquet"), tmp_path, None, LIMIT)
    assert rows.is_sample
    assert rows.table["n"].to_pylist() == rows.numbers.tolist()
    assert rows.read == ROWS


def test_init_counts_all_leads_of_a_file_that_it_samples(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ids repeat in a long table of activities, also where no id repeats in its sample."""
    monkeypatch.setattr(init, "_MIN_BYTES", LIMIT)
    monkeypatch.setattr(init, "_MAX_BYTES", LIMIT)
    leads, outcomes = 12_000, ("Won", "Lost", "Lost", "Open")
    rows = [
        f"L{n:08d},{('web', 'fair')[n % 2]},2026-0{n % 9 + 1}-03,{outcomes[n % 4]},"
        + ("" if n % 4 == 3 else f"2026-0{n % 9 + 1}-20")
        for n in range(leads)
    ]
    (tmp_path / "leads.csv").write_text("\n".join(["Lead Id,Source,Created,Outcome,Closed", *rows]))
    visits = [f"{7 * n % leads},2026-09-2{n % 9},visit" for n in range(3 * leads)]
    visits = [f"L{int(v.split(',')[0]):08d},{v.split(',', 1)[1]}" for v in visits]
    (tmp_path / "visits.csv").write_text("\n".join(["Lead Id,At,Type", *visits]))
    proposal = init.propose(["leads.csv", "visits.csv"], tmp_path)
    summary = proposal.summary
    assert (summary.leads, summary.won, summary.lost, summary.still_open) == (12_000, 3_000, 6_000, 3_000)
    assert '[leads]\nsource = "leads.csv"' in proposal.text
    assert '[activities]\nsource = "visits.csv"' in proposal.text
