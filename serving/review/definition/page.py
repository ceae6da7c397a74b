"""The definition of a hot lead: read, changed, tried on past deals, saved, signed, put in force."""

from __future__ import annotations

import asyncio
import tomllib
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy.engine import Connection
from starlette.responses import Response

from features.errors import HotleadError
from features.files import whole_file
from scoring.evaluation.replay import Replayed
from scoring.model.bundle import load_bundle
from scoring.pages.page import Block
from scoring.pages.replay import replay_in_brief
from scoring.pages.rules import rules_page
from scoring.scorecard.load import SCORECARD_FILE, check_features, parse_card, whole_card
from scoring.scorecard.scorecard import Scorecard
from serving.review.definition import versions
from serving.review.definition.diff import Change, differences
from serving.review.definition.form import (
    Field,
    Form,
    form_of,
    read_form,
    with_changes,
    written_changes,
)
from serving.review.definition.toml_edit import flat_text, written
from serving.review.definition.versions import Signed, Stale, Version
from serving.review.web.forms import Fields
from serving.review.web.page_request import PageRoute, Visit
from serving.web.credentials import LOOPBACK
from serving.web.problems import not_found

HOME = "/review/definition"
REPLAYED_SECONDS = 600.0


@dataclass(frozen=True)
class Edit:
    """What was typed: the card that it makes (None: it does not hold), and what is wrong, by field.

    `base` is the version that the form was made from, `newest` the one that there is now.
    """

    base: Version
    newest: Version
    form: Form
    typed: Fields
    wrong: Fields
    card: Scorecard | None = None
    text: str = ""


async def show(visit: Visit) -> Response:
    """The definition in force, and all versions."""
    told = await _versions(visit)
    card = visit.house.watch.in_use.scorer.card
    return visit.html(
        "definition.html",
        versions=told,
        card=card,
        blocks=_blocks(card, visit),
        in_force=versions.in_force(told),
        parties=visit.house.crm.review.sign_off,
    )


async def show_version(visit: Visit) -> Response:
    """One version: what it changes, and its signatures."""
    told = await _versions(visit)
    return _version_page(visit, _numbered(told, visit), told, Fields())


async def edit(visit: Visit) -> Response:
    """The form, of the newest version."""
    newest = (await _versions(visit))[0]
    form = form_of(_whole(newest.text), _table(visit), visit.lang)
    return _edit_page(visit, Edit(newest, newest, form, Fields(), Fields()))


async def submit(visit: Visit) -> Response:
    """Try what was typed on past deals, or save it."""
    told = {name: str(value) for name, value in (await visit.form()).items()}
    edit = _read(told, await _versions(visit), visit)
    if edit.card is None:
        return _edit_page(visit, edit, status=422)
    if edit.base.number != edit.newest.number:
        return _edit_page(visit, edit, status=409)
    replay = await _replayed(visit, edit.card)
    tried = replay is None or told.get("tried") == edit.card.version
    if told.get("act") != "save" or not tried:
        return _edit_page(visit, edit, replay, wants=told.get("act") == "save")
    if not told.get("note", "").strip():
        wrong = Fields({"note": visit.say("definition_wrong_note")})
        return _edit_page(visit, replace(edit, wrong=wrong), replay, 422)
    return await _saved(visit, edit, told["note"].strip(), replay)


async def sign(visit: Visit) -> Response:
    """Sign a version for a party; the last signature puts it in force."""
    form, told = await visit.form(), await _versions(visit)
    version, party = _numbered(told, visit), str(form.get("party", ""))
    if version.number != told[0].number:
        return _version_page(visit, version, told, Fields(), 409)
    if party not in versions.may_sign(version, visit.key.id, _parties(visit), _once(visit)):
        wrong = Fields({"party": visit.say("definition_wrong_party")})
        return _version_page(visit, version, told, wrong, 422)
    key, note = visit.key, str(form.get("note", "")).strip()
    try:
        await visit.change(
            lambda at: versions.sign(
                at, version.number, party, key.name, key.id, visit.now, note, _once(visit)
            )
        )
    except Signed:
        wrong = Fields({"party": visit.say("definition_wrong_party")})
        return _version_page(visit, version, told, wrong, 409)
    except Stale:  # in this very moment
        return _version_page(visit, version, await _versions(visit), Fields(), 409)
    return await _enforce(visit, version.number)


async def enforce(visit: Visit) -> Response:
    """Put a version in force that all have signed: where the file could not be written at once."""
    await visit.form()
    return await _enforce(visit, _numbered(await _versions(visit), visit).number)


async def back(visit: Visit) -> Response:
    """Save an old version as a new one; it is signed like any other."""
    await visit.form()
    told = await _versions(visit)
    old, newest = _numbered(told, visit), told[0]
    note = visit.say("definition_back_note", number=old.number)

    def save(at: Connection) -> int:
        return versions.save(at, newest.number, old.text, old.version, visit.key.name, note, visit.now)

    try:
        number = await visit.change(save)
    except Stale:
        return visit.back(HOME)
    return await _after_saving(visit, number)


async def _saved(visit: Visit, edit: Edit, note: str, replay: list[Block] | None) -> Response:
    card, author = edit.card, visit.key.name
    assert card is not None

    def save(at: Connection) -> int:
        return versions.save(at, edit.base.number, edit.text, card.version, author, note, visit.now)

    try:
        number = await visit.change(save)
    except Stale:  # in this very moment
        told = dict(edit.typed)
        return _edit_page(visit, _read(told, await _versions(visit), visit), replay, 409)
    return await _after_saving(visit, number)


async def _after_saving(visit: Visit, number: int) -> Response:
    if not _parties(visit):
        return await _enforce(visit, number)
    return visit.back(f"{HOME}/{number}", done="definition_done_saved")


async def _enforce(visit: Visit, number: int) -> Response:
    """Write the file where all have signed the newest version, and note it."""
    told = await _versions(visit)
    version = next(each for each in told if each.number == number)
    if version.number != told[0].number:
        return _version_page(visit, version, told, Fields(), 409)
    if version.missing(_parties(visit)) or version.in_force_at is not None:
        return visit.back(f"{HOME}/{number}", done="definition_done_signed")
    try:
        await asyncio.to_thread(_write, visit, version.text)
    except HotleadError as problem:
        wrong = Fields({"file": str(problem)})
        return _version_page(visit, version, told, wrong, 503)
    await visit.change(lambda at: versions.enforced(at, number, visit.now))
    await asyncio.to_thread(visit.house.look)
    return visit.back(f"{HOME}/{number}", done="definition_done_in_force")


def _write(visit: Visit, text: str) -> None:
    """The file in one step: who reads it sees the old one or the new one. Raises OutsideError."""
    with whole_file(visit.house.crm.folder / SCORECARD_FILE) as part:
        part.write_text(text, encoding="utf-8")


async def _versions(visit: Visit) -> list[Version]:
    """All versions, newest first; what was written into the file by hand becomes one of them."""
    told = await visit.see(versions.all_versions)
    text, card = _file(visit)
    present = versions.in_force(told)
    if present is None or present.version != card.version:
        with suppress(Stale):  # another took it in at this very moment
            await visit.change(
                lambda at: versions.imported(at, text, card.version, visit.now, _parties(visit))
            )
        told = await visit.see(versions.all_versions)
    return told


def _file(visit: Visit) -> tuple[str, Scorecard]:
    """The file's text and the card in it; where there is none or it does not hold, the card in use."""
    path, card = visit.house.crm.folder / SCORECARD_FILE, visit.house.watch.in_use.scorer.card
    try:
        text = path.read_text(encoding="utf-8-sig")
        return text, parse_card(tomllib.loads(text), SCORECARD_FILE)
    except (OSError, ValueError, HotleadError):
        return flat_text(card), card


def _read(told: Mapping[str, str], known: list[Version], visit: Visit) -> Edit:
    """What was typed, on top of the newest version: the changes are those against the form's base."""
    newest = known[0]
    base = next((v for v in known if str(v.number) == told.get("base")), newest)
    table, lang = _table(visit), visit.lang
    form = form_of(_whole(base.text), table, lang)
    changes, wrong = read_form(told, form, lang)
    edit = Edit(base, newest, form, Fields(told), Fields(wrong))
    if base.number != newest.number:
        edit = _on_newest(edit, [f for f in form.fields if f.path in changes], visit)
    if edit.wrong:
        return edit
    form = edit.form
    whole = _whole(newest.text)
    card, wrong = with_changes(whole, changes, form, lang)
    if card is None:
        return replace(edit, wrong=Fields(wrong))
    try:
        check_features(card, table, SCORECARD_FILE)
        text = written(newest.text, written_changes(whole, changes), card)
    except HotleadError as problem:
        return replace(edit, wrong=Fields({"bands/hot": str(problem)}))
    return replace(edit, card=card, text=text)


def _on_newest(edit: Edit, own: list[Field], visit: Visit) -> Edit:
    """What others saved, with one's own changes on top; those that have no place there any more are told."""
    told, form = edit.typed, form_of(_whole(edit.newest.text), _table(visit), visit.lang)
    there = {(field.path, field.label) for field in form.fields}
    kept = {f.name: told[f.name] for f in own if f.name in told and (f.path, f.label) in there}
    gone = {
        f.name: visit.say("definition_gone", what=f.label, number=edit.newest.number)
        for f in own
        if (f.path, f.label) not in there
    }
    typed = Fields({**_values(form), **kept, "note": told["note"]})
    return replace(edit, form=form, typed=typed, wrong=Fields({**edit.wrong, **gone}))


def _values(form: Form) -> dict[str, str]:
    return {field.name: field.value for field in form.fields}


async def _replayed(visit: Visit, card: Scorecard) -> list[Block] | None:
    """What the card would have done on the deals that the model was judged on; None without them."""
    present = visit.house.watch.in_use.scorer.card
    key = ("replay", *visit.house.watch.in_use.scorer.versions, card.version, visit.lang)
    told, _ = await visit.kept(key, REPLAYED_SECONDS, lambda: _replay(visit, present, card))
    return told


def _replay(visit: Visit, present: Scorecard, card: Scorecard) -> list[Block] | None:
    try:
        bundle = load_bundle(visit.house.settings.bundles)
        if bundle is None:
            return None
        return list(replay_in_brief(Replayed(bundle.evidence, present, card), visit.lang))
    except (HotleadError, KeyError):  # a card may look at features that the evidence lacks
        return None


def _edit_page(
    visit: Visit,
    edit: Edit,
    replay: list[Block] | None = None,
    status: int = 200,
    wants: bool = False,
) -> Response:
    card = visit.house.watch.in_use.scorer.card
    theirs = _between(edit.base, edit.newest, visit) if edit.base.number != edit.newest.number else []
    mine = [] if edit.card is None else differences(_card(edit.newest), edit.card, _table(visit), visit.lang)
    return visit.html(
        "definition_edit.html",
        status,
        edit=edit,
        form=edit.form,
        replay=_shown(replay),
        theirs=theirs,
        mine=mine,
        present=card,
        tried=edit.card is not None and (status == 200),
        wants=wants,
        no_evidence=edit.card is not None and replay is None and status == 200,
    )


def _version_page(
    visit: Visit, version: Version, told: list[Version], wrong: Fields, status: int = 200
) -> Response:
    base = next((v for v in told if v.number == version.based_on), None)
    return visit.html(
        "definition_version.html",
        status,
        version=version,
        changes=_between(base, version, visit),
        base=base,
        wrong=wrong,
        parties=_parties(visit),
        blocks=_blocks(_card(version), visit),
        mine=versions.may_sign(version, visit.key.id, _parties(visit), _once(visit)),
        newest=version.number == told[0].number,
        latest=told[0].number,
        in_force=versions.in_force(told),
    )


def _between(base: Version | None, version: Version, visit: Visit) -> list[Change]:
    if base is None:
        return []
    return differences(_card(base), _card(version), _table(visit), visit.lang)


def _blocks(card: Scorecard, visit: Visit) -> list[tuple[str, Block]]:
    return _shown(list(rules_page(card, visit.lang).blocks)) or []


def _shown(blocks: list[Block] | None) -> list[tuple[str, Block]] | None:
    return None if blocks is None else [(type(block).__name__, block) for block in blocks]


def _numbered(told: list[Version], visit: Visit) -> Version:
    number = visit.request.path_params["number"]
    found = next((version for version in told if version.number == number), None)
    if found is None:
        raise not_found("There is no such version of the definition.")
    return found


def _whole(text: str) -> dict[str, Any]:
    return whole_card(tomllib.loads(text), SCORECARD_FILE)


def _card(version: Version) -> Scorecard:
    return parse_card(tomllib.loads(version.text), SCORECARD_FILE)


def _table(visit: Visit) -> Any:
    return visit.house.crm.table


def _parties(visit: Visit) -> tuple[str, ...]:
    return visit.house.crm.review.sign_off


def _once(visit: Visit) -> bool:
    """Whether one key signs for one party alone; in the open demo one person plays all parts."""
    return visit.key.id != LOOPBACK.id


ROUTES = (
    PageRoute("GET", "/definition", show),
    PageRoute("GET", "/definition/edit", edit),
    PageRoute("POST", "/definition/edit", submit),
    PageRoute("GET", "/definition/{number:int}", show_version),
    PageRoute("POST", "/definition/{number:int}/sign", sign),
    PageRoute("POST", "/definition/{number:int}/enforce", enforce),
    PageRoute("POST", "/definition/{number:int}/back", back),
)
