"""The page of a promotion: the models, every check of the gate, and the outcome."""

from __future__ import annotations

from features.kinds import Language
from scoring.evaluation.gate import all_passed
from scoring.pages.gate import explain_failures, gate_page
from scoring.pages.page import Page
from scoring.texts import translate
from training.registry.promotion import PromotionResult


def promotion_page(promotion: PromotionResult, override: str | None, lang: Language) -> Page:
    """The page in `lang`; `override` is the reason for which the gate was passed over."""
    champion, before = translate("gate_no_champion", lang), promotion.champion
    if before is not None:
        champion = translate("gate_champion", lang, version=before.version, model=before.model.version)
    challenger = promotion.challenger
    versions = {"challenger": challenger.version, "model": challenger.model.version}
    summary = translate("gate_summary", lang, **versions, champion=champion)
    return gate_page(promotion.checks, summary, _outcome(promotion, override, lang), lang)


def _outcome(promotion: PromotionResult, override: str | None, lang: Language) -> str:
    if not promotion.promoted:
        joint = "／" if lang == "ja" else "; "
        reasons = joint.join(explain_failures(promotion.checks, lang))
        return translate("gate_refused", lang, reasons=reasons)
    if not all_passed(promotion.checks):
        return translate("gate_promoted_by_override", lang, why=override)
    return translate("gate_promoted", lang, challenger=promotion.challenger.version)
