"""Lead scoring from Python: the functions behind the `hotlead` command, with tables as pandas data frames.

>>> import hotlead
>>> crm_toml = hotlead.make_demo("demo-crm", leads=1_500)
>>> training = hotlead.train(crm_toml)
>>> closed = hotlead.features(hotlead.read_crm(crm_toml))
>>> model = hotlead.load_model("challenger", out="demo-crm/hotlead-out")
>>> model.predict_proba(closed.X).shape == (len(closed), 2)
True

`out` is always the output folder, by default hotlead-out beside crm.toml. Errors are subclasses of
`hotlead.HotleadError` with a sentence for people. Results that are pages show themselves in a notebook.

Imports inside functions keep `import hotlead` fast, and load models where the libraries of training are not
installed.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import pandas as pd

from features.clock import to_ms
from features.errors import HotleadError
from features.kinds import Language
from features.messages import Message
from features.settings import CrmSettings, load_settings
from training.pyfunc import ScoringModel

if TYPE_CHECKING:
    from hotlead.frames import CrmTables, FeatureFrame
    from hotlead.results import ResultPage, RulesComparison, TrainedModel
    from scoring.evaluation.replay import CardReplay
    from training.backtest import Backtest
    from training.registry.promotion import PromotionResult

__all__ = [
    "HotleadError",
    "ScoringModel",
    "backtest",
    "compare",
    "features",
    "load_model",
    "make_demo",
    "promote",
    "read_crm",
    "replay_rules",
    "score",
    "train",
]

StepPrinter = Callable[[Message | str], Any]
"""Called with the name of each step of a long job as it begins; `print` will do."""

AnyPath = str | PathLike[str]
DEFAULT_CRM_TOML, OUT = "crm.toml", "hotlead-out"
ALIASES = ("champion", "challenger", "previous")


def make_demo(folder: AnyPath, leads: int = 24_000, seed: int = 7) -> Path:
    """Write a demo CRM into `folder`, and return its crm.toml.

    >>> crm_toml = hotlead.make_demo("demo-crm", leads=1_500)
    """
    from demo.run import make_demo as write_demo

    return write_demo(Path(folder), leads, seed)


def read_crm(
    crm_toml: AnyPath = DEFAULT_CRM_TOML, out: AnyPath | None = None, lang: Language = "en"
) -> CrmTables:
    """Read a CRM: its tables, the rows that were rejected, and the findings of the audit (`hotlead check`).

    Raises DataError if too many rows cannot be used; then they are in rejects.csv in `out`.

    >>> crm = hotlead.read_crm("demo-crm/crm.toml")
    >>> list(crm.outcomes.columns)
    ['created', 'closed', 'won', 'closed_at', 'won_at', 'amount']
    """
    from features.crm.load import load
    from hotlead.frames import CrmTables

    settings = load_settings(Path(crm_toml))
    return CrmTables(load(settings, _out(crm_toml, out) / "rejects.csv", write=False), lang)


def features(
    crm: CrmTables, leads: Literal["closed", "open"] = "closed", as_of: datetime | None = None
) -> FeatureFrame:
    """The features of a CRM, as training and scoring compute them, without those that the audit leaves out.

    `closed`: one row for each moment of a lead whose outcome is known, oldest first, with `y`. `open`: one
    row for each lead that is open at `as_of`, by default the moment of the export.

    >>> crm = hotlead.read_crm("demo-crm/crm.toml")
    >>> closed, open_leads = hotlead.features(crm), hotlead.features(crm, "open")
    >>> list(closed.frame().columns[:4])
    ['lead_id', 'moment', 'group', 'won']
    >>> open_leads.y is None
    True
    """
    if leads == "closed":
        return crm.closed_features()
    return crm.open_features(_to_moment(as_of, crm.loaded.settings))


def train(
    crm_toml: AnyPath = DEFAULT_CRM_TOML,
    out: AnyPath | None = None,
    *,
    seed: int = 0,
    tune_seconds: float = 0,
    lang: Language = "en",
    report_step: StepPrinter | None = None,
) -> TrainedModel:
    """Train on the closed deals, judge on the newest, and register the model as challenger.

    The same as `hotlead train`. Raises DataError if there are too few deals.

    >>> training = hotlead.train("demo-crm/crm.toml")
    >>> bool(training.metrics.loc[("model", "log_loss"), "value"] < 0.5)
    True
    """
    from hotlead.results import TrainedModel
    from training.reports.model_report import report_page
    from training.train import train_and_register

    folder, step = _out(crm_toml, out), report_step or _ignore
    run = train_and_register(Path(crm_toml), folder, step, lang, seed, tune_seconds)
    record = run.record
    return TrainedModel(run, lang, lambda language: report_page(record.trained, record.charts, language))


def load_model(name: AnyPath = "champion", out: AnyPath = OUT) -> ScoringModel:
    """A model: an alias in the registry of `out`, a URI of MLflow, or a folder.

    Aliases are champion, challenger and previous; a URI is for example `models:/hotlead/3`. Raises
    SettingsError if there is none, DataError if it is damaged.

    >>> model = hotlead.load_model("challenger", out="demo-crm/hotlead-out")
    >>> leads = hotlead.features(hotlead.read_crm("demo-crm/crm.toml"), "open").X
    >>> model.predict_proba(leads).shape == (len(leads), 2)
    True
    >>> reasons = model.explain(leads)  # log-odds: each row adds up to the log-odds of its probability
    """
    from scoring.model.model import MODEL_FILE, Model

    if str(name) in ALIASES:
        from training.registry.mlflow_store import find_model

        return ScoringModel(find_model(Path(out), (str(name),)).model)
    scheme, colon, _ = str(name).partition(":/")
    is_uri = bool(colon) and len(scheme) > 1  # C:/models is a folder
    folder = _download(str(name), Path(out)) if is_uri else Path(name)
    return ScoringModel(Model.load(next((p.parent for p in folder.rglob(MODEL_FILE)), folder)))


def score(
    crm_toml: AnyPath = DEFAULT_CRM_TOML,
    out: AnyPath | None = None,
    *,
    to: AnyPath | None = None,
    as_of: datetime | None = None,
    reasons: Literal["top", "all", "none"] = "top",
    top: int = 1000,
    lang: Language = "en",
    report_step: StepPrinter | None = None,
    sort: Literal["score", "expected_value"] = "score",
) -> pd.DataFrame:
    """The list of open leads, highest score first, with the decision, reasons and action of each.

    The same as `hotlead score`; `to` writes it to a file or database as well, `sort` puts the highest
    expected value first. A time without a zone is in that of crm.toml.

    >>> calls = hotlead.score("demo-crm/crm.toml")
    >>> calls["score"].is_monotonic_decreasing
    True
    """
    from tempfile import TemporaryDirectory

    from training.lists.batch import ListRequest
    from training.lists.score_crm import score_crm

    settings = load_settings(Path(crm_toml))
    with TemporaryDirectory() as folder:
        target = str(to) if to is not None else str(Path(folder) / "scores.parquet")
        request = ListRequest(target, 0, reasons, top, lang, sort=sort)
        results, moment, step = _out(crm_toml, out), _to_moment(as_of, settings), report_step or _ignore
        scored_list = score_crm(settings, results, request, moment, step, lambda *_: None)
    return scored_list.scored.table.to_pandas()


def compare(
    crm_toml: AnyPath = DEFAULT_CRM_TOML, out: AnyPath | None = None, lang: Language = "en"
) -> RulesComparison:
    """Compare the challenger, else the champion, with the rules on the newest closed deals."""
    from hotlead.results import RulesComparison
    from training.compare import compare as compare_crm

    comparison = compare_crm(load_settings(Path(crm_toml)), _out(crm_toml, out))
    return RulesComparison(comparison, lang, comparison.page)


def promote(
    crm_toml: AnyPath = DEFAULT_CRM_TOML,
    out: AnyPath | None = None,
    *,
    override: str | None = None,
    user: str | None = None,
    lang: Language = "en",
) -> ResultPage[PromotionResult]:
    """Make the challenger champion if it passes the gate, or for the recorded reason in `override`."""
    from hotlead.results import ResultPage
    from scoring.scorecard.load import find_card
    from training.registry.promotion import promote as promote_model
    from training.reports.promotion_page import promotion_page

    settings = load_settings(Path(crm_toml))
    card = find_card(settings.folder, settings.table)
    promotion = promote_model(_out(crm_toml, out), card, override, user)
    return ResultPage(promotion, lang, lambda language: promotion_page(promotion, override, language))


def backtest(
    crm: CrmTables, months: int = 6, seed: int = 0, report_step: StepPrinter | None = None
) -> ResultPage[Backtest]:
    """Retrain month by month on past deals, and compare model and rules on each month."""
    from hotlead.results import ResultPage
    from training.backtest import backtest as test_back
    from training.fitting.dataset import build_dataset
    from training.reports.backtest_page import backtest_page

    step, name = report_step or _ignore, crm.loaded.settings.name
    result = test_back(build_dataset(crm.loaded, crm.left_out, step), months, seed, step)
    return ResultPage(result, crm.lang, lambda language: backtest_page(result, name, language))


def replay_rules(
    scorecard_toml: AnyPath,
    crm_toml: AnyPath = DEFAULT_CRM_TOML,
    out: AnyPath | None = None,
    lang: Language = "en",
) -> ResultPage[CardReplay]:
    """Replay a new scorecard.toml against the present one on closed deals; nothing is applied."""
    from hotlead.results import ResultPage
    from scoring.pages.replay import replay_page
    from training.compare import replay

    settings, folder = load_settings(Path(crm_toml)), _out(crm_toml, out)
    result = replay(Path(scorecard_toml), settings, folder, _ignore)
    return ResultPage(result, lang, lambda language: replay_page(result, language))


def _download(uri: str, out: Path) -> Path:
    from training.registry.mlflow_store import check_store, mlflow_store

    if uri.startswith(("models:", "runs:")):
        check_store(out)
    with mlflow_store(out) as (mlflow, _):
        return Path(mlflow.artifacts.download_artifacts(uri))


def _out(crm_toml: AnyPath, out: AnyPath | None) -> Path:
    return Path(crm_toml).parent / OUT if out is None else Path(out)


def _to_moment(moment: datetime | None, settings: CrmSettings) -> int | None:
    if moment is None:
        return None
    return to_ms(moment if moment.tzinfo else moment.replace(tzinfo=settings.zone))


def _ignore(step: Message | str) -> None:
    """Report no step."""
