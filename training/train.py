"""`hotlead train`: read, audit, evaluate, fit, report, register."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from features.crm.audit import Audit
from features.crm.load import load
from features.kinds import Language
from features.messages import Message
from features.settings import CrmSettings, load_settings
from scoring.evaluation.segments import measure_segments
from scoring.model.pseudonyms import Pseudonyms, key_file
from training.fitting.choosing import choose
from training.fitting.cross_fit import score_served
from training.fitting.dataset import build_dataset, check_enough_deals
from training.fitting.fit import fit
from training.fitting.holdout import build_evidence, evaluate, is_measurable
from training.fitting.result import RunRecord, TrainingResult, describe_training, explain_sample
from training.fitting.text_words import with_text_words
from training.fitting.time_to_win.fitting import fit_time_to_win
from training.fitting.time_to_win.measuring import describe_time_to_win
from training.fitting.tuning import tune
from training.progress import StepReporter
from training.registry.mlflow_store import check_server
from training.registry.registration import Registration, register
from training.reports.model_report import describe_run, draw_charts, report


@dataclass(frozen=True)
class TrainingRun:
    """The record of a finished training, its registration and its report file."""

    record: RunRecord
    registration: Registration
    report: Path

    def to_dict(self) -> dict[str, Any]:
        """The model, its registration, the report and the description of the training, as JSON."""
        return {
            "model": self.record.trained.model.version,
            "registered": self.registration.version,
            "run": self.registration.run_id,
            "report": str(self.report),
            **self.record.trained.model.about,
        }


def train_and_register(
    crm_toml: Path, out: Path, report_step: StepReporter, lang: Language, seed: int, tune_seconds: float = 0
) -> TrainingRun:
    """Train on the closed deals of a crm.toml, write model folder and report to `out`, and register.

    The settings and the MLflow server are checked first, so that a long run does not fail at its end.
    """
    settings = load_settings(crm_toml)
    check_server(out)
    trained = train(settings, out, report_step, seed, tune_seconds, lang)
    report_step(Message("writing the report and registering the model"))
    record = build_record(trained, crm_toml, lang)
    return TrainingRun(record, publish(record, out), out / record.report_file)


def train(
    settings: CrmSettings,
    out: Path,
    report_step: StepReporter,
    seed: int = 0,
    tune_seconds: float = 0,
    lang: Language = "en",
) -> TrainingResult:
    """Read, audit, evaluate on the newest deals and refit on all of them.

    Rejected rows go to `out`/rejects.csv, with reasons in `lang`; `report_step` is called as each step
    begins. Raises DataError if the data do not suffice for a model.
    """
    report_step(Message("reading the CRM"))
    loaded = load(settings, out / "rejects.csv", lang=lang)
    audit = Audit.from_loaded(loaded)
    data = build_dataset(loaded, audit.left_out, report_step)
    check_enough_deals(data.examples)

    choose_recipe = partial(choose, seed=seed)
    if tune_seconds > 0:
        choose_recipe = partial(tune, seed=seed, seconds=tune_seconds, store=out / "tuning.db")

    report_step(Message("choosing on later deals and measuring on the newest"))
    evaluation = evaluate(data, choose_recipe, seed)
    report_step(Message("refitting on all deals"))
    # a recipe that folds differ in, or that too few deals chose, is chosen again
    is_settled = len(evaluation.recipes) == 1 and is_measurable(data, evaluation)
    recipe = evaluation.recipes[0] if is_settled else choose_recipe(data)
    model = with_text_words(fit(data, recipe, seed), loaded)
    model = replace(
        model, time_to_win=fit_time_to_win(data.with_segments(recipe.segments), model.encoding, seed)
    )
    report_step(Message("scoring the newest deals as the model in use does"))
    served = score_served(data, recipe, model, evaluation, seed)
    about = describe_training(loaded, data, evaluation, recipe, audit, seed)
    about["time_to_win"] = describe_time_to_win(data, seed)
    data, pseudonyms = data.with_segments(recipe.segments), Pseudonyms.load(key_file(out))
    evidence = build_evidence(data, evaluation, served, loaded.crm, dict(settings.segments), pseudonyms)
    segments = measure_segments(evidence)
    return TrainingResult(
        loaded=loaded,
        data=data,
        audit=audit,
        evaluation=evaluation,
        model=model.with_about(**about, segments=[quality.to_dict() for quality in segments]),
        evidence=evidence,
        segments=segments,
        explanation=explain_sample(model, data, evaluation),
    )


def build_record(trained: TrainingResult, crm_toml: Path, lang: Language) -> RunRecord:
    """What is stored of a training run; charts are drawn once, for the report and for MLflow."""
    charts = draw_charts(trained, lang)
    return RunRecord(trained, charts, report(trained, charts, lang), crm_toml, describe_run(trained, lang))


def publish(record: RunRecord, out: Path) -> Registration:
    """Write the model folder and the report to `out`, and register the model as challenger.

    The model is saved once, to a folder of this run: another run may write to `out` at the same time.
    """
    with tempfile.TemporaryDirectory() as run_folder:
        model_folder = record.save_model(Path(run_folder) / "model")
        record.write(out, model_folder)
        return register(record, model_folder, out)
