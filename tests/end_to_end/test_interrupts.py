"""Ctrl-C in the middle of a command: exit code 130, one sentence, no half-written file."""

from __future__ import annotations

import signal
import time
from pathlib import Path

import pytest

from tests.conftest import Demo
from tests.helpers.small_crm import listing, run, small_crm, start

pytestmark = pytest.mark.slow


def interrupt_after(step: str, arguments: list[object]) -> tuple[int, str]:
    """Start a command and press Ctrl-C soon after it prints that a step begins: exit code and stderr."""
    process = start(arguments)
    assert process.stderr is not None
    lines = []
    for line in process.stderr:
        lines.append(line)
        if step in line:
            time.sleep(0.3)
            process.send_signal(signal.SIGINT)
            break
    _, rest = process.communicate(timeout=120)
    return process.returncode, "".join(lines) + rest


@pytest.mark.parametrize("step", ["reading the CRM", "choosing on later deals", "registering"])
def test_ctrl_c_during_train(step: str, tmp_path: Path) -> None:
    out = tmp_path / "out"
    code, stderr = interrupt_after(step, ["train", small_crm(tmp_path, leads=1_000), "--out", out])
    assert code == 130, stderr
    assert "Traceback" not in stderr
    assert "hotlead: stopped. No file is half-written" in stderr
    remaining = listing(out) if out.exists() else set()
    assert not [path for path in remaining if ".part" in path]
    if step != "registering":
        assert "model" not in remaining
        assert "report.html" not in remaining


def test_ctrl_c_during_score(tmp_path: Path, demo: Demo) -> None:
    to = tmp_path / "scores.parquet"
    arguments = ["score", demo.crm_toml, "--to", to, "--out", demo.out, "--reasons", "all"]
    code, stderr = interrupt_after("reading the CRM", arguments)
    assert code == 130, stderr
    assert "Traceback" not in stderr
    assert "run again to continue" in stderr
    assert not to.exists()
    assert listing(tmp_path) <= {".scores.parquet.scoring", ".scores.parquet.scoring/manifest.json"}
    assert run(*arguments).returncode == 0
    assert listing(tmp_path) == {"scores.parquet"}
