"""The form of the definition as it was sent: checked, and turned into a scorecard."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, replace

from features.errors import HotleadError
from scoring.scorecard.load import SCORECARD_FILE, check_features, merge_profile, parse_card
from scoring.scorecard.scorecard import Scorecard
from serving.review.definition import form as forms
from serving.review.definition.form import CardField, CardForm
from serving.review.definition.toml_edit import edit_toml
from serving.review.definition.versions import Version
from serving.review.web.forms import Fields
from serving.review.web.page_request import PageRequest


@dataclass(frozen=True, kw_only=True)
class DefinitionEdit:
    """A form as it was sent: the texts by field, the scorecard that they make with its TOML `text` (None:
    they make no valid one), and the errors by field.

    The form was filled in from the version `base`; `newest` is the newest version of now.
    """

    base: Version
    newest: Version
    form: CardForm
    typed: Fields
    errors: Fields
    card: Scorecard | None = None
    text: str = ""


def parse_submission(
    submitted: Mapping[str, str], saved_versions: list[Version], visit: PageRequest
) -> DefinitionEdit:
    """The sent form on top of the newest version: its changes are those against the form's base."""
    newest = saved_versions[0]
    base = next((v for v in saved_versions if str(v.number) == submitted.get("base")), newest)
    table, lang = visit.crm.table, visit.lang
    form = forms.build_form(full_card(base.text), table, lang)
    changes, errors = forms.read_form(submitted, form, lang)
    edit = DefinitionEdit(base=base, newest=newest, form=form, typed=Fields(submitted), errors=Fields(errors))
    if base.number != newest.number:
        edit = _rebase_on_newest(edit, [f for f in form.fields if f.path in changes], visit)
    if edit.errors:
        return edit
    form = edit.form
    newest_card = full_card(newest.text)
    card, errors = forms.card_with_changes(newest_card, changes, form, lang)
    if card is None:
        return replace(edit, errors=Fields(errors))
    try:
        check_features(card, table, SCORECARD_FILE)
        text = edit_toml(newest.text, forms.to_toml_changes(newest_card, changes), card)
    except HotleadError as problem:
        return replace(edit, errors=Fields({"bands/hot": str(problem)}))
    return replace(edit, card=card, text=text)


def _rebase_on_newest(
    edit: DefinitionEdit, changed_fields: list[CardField], visit: PageRequest
) -> DefinitionEdit:
    """The newest version's form with the sent changes on top; changes of fields that are gone are errors."""
    submitted = edit.typed
    form = forms.build_form(full_card(edit.newest.text), visit.crm.table, visit.lang)
    existing = {(field.path, field.label) for field in form.fields}
    typed, errors = Fields({field.name: field.value for field in form.fields}), Fields(edit.errors)
    for field in changed_fields:
        if (field.path, field.label) not in existing:
            number = edit.newest.number
            errors[field.name] = visit.translate("definition_gone", what=field.label, number=number)
        elif field.name in submitted:
            typed[field.name] = submitted[field.name]
    typed["note"] = submitted["note"]
    return replace(edit, form=form, typed=typed, errors=errors)


def full_card(text: str) -> dict[str, object]:
    """The values of a scorecard's TOML, with those of its profile."""
    return merge_profile(tomllib.loads(text), SCORECARD_FILE)


def card_of_version(version: Version) -> Scorecard:
    return parse_card(tomllib.loads(version.text), SCORECARD_FILE)
