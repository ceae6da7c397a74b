"""The pages of the definition of a hot lead: shown, changed, tried on past deals, saved, signed, put in
force."""

from __future__ import annotations

import asyncio
import tomllib
from contextlib import suppress
from dataclasses import replace

from sqlalchemy.engine import Connection
from starlette.responses import Response

from features.errors import HotleadError
from features.files import atomic_file
from scoring.evaluation.replay import CardReplay
from scoring.model.bundle import load_bundle
from scoring.pages.page import Block
from scoring.pages.replay import replay_in_brief
from scoring.pages.rules import rules_page
from scoring.scorecard.load import SCORECARD_FILE, parse_card
from scoring.scorecard.scorecard import Scorecard
from serving.review.definition import versions
from serving.review.definition.diff import CardDifference, diff_cards
from serving.review.definition.edit import DefinitionEdit, card_of_version, full_card, parse_submission
from serving.review.definition.form import build_form
from serving.review.definition.toml_edit import card_to_toml
from serving.review.definition.versions import AlreadySigned, Outdated, Signature, Version
from serving.review.web.forms import Fields
from serving.review.web.page_request import PageRequest, PageRoute
from serving.store.state.audit_log import Change, record_change
from serving.web.authentication import LOOPBACK
from serving.web.problems import not_found

HOME = "/review/definition"
REPLAY_CACHE_SECONDS = 600.0


async def show(visit: PageRequest) -> Response:
    """The definition in force, and all versions."""
    saved_versions = await _sync_versions(visit)
    card = visit.scorer.card
    return visit.html(
        "definition.html",
        versions=saved_versions,
        card=card,
        blocks=_blocks(card, visit),
        in_force=versions.find_in_force(saved_versions),
        parties=visit.crm.review.sign_off,
    )


async def show_version(visit: PageRequest) -> Response:
    """One version: what it changes, and its signatures."""
    saved_versions = await _sync_versions(visit)
    return _render_version_page(visit, _requested_version(saved_versions, visit), saved_versions, Fields())


async def show_edit_form(visit: PageRequest) -> Response:
    """The form, of the newest version."""
    newest = (await _sync_versions(visit))[0]
    form = build_form(full_card(newest.text), visit.crm.table, visit.lang)
    edit = DefinitionEdit(base=newest, newest=newest, form=form, typed=Fields(), errors=Fields())
    return _render_edit_page(visit, edit)


async def submit(visit: PageRequest) -> Response:
    """Try what was typed on past deals, or save it."""
    submitted = {name: str(value) for name, value in (await visit.form()).items()}
    edit = parse_submission(submitted, await _sync_versions(visit), visit)
    if edit.card is None:
        return _render_edit_page(visit, edit, status=422)
    if edit.base.number != edit.newest.number:
        return _render_edit_page(visit, edit, status=409)
    replay = await _cached_replay(visit, edit.card)
    tried = replay is None or submitted.get("tried") == edit.card.version
    if submitted.get("act") != "save" or not tried:
        return _render_edit_page(visit, edit, replay, wants=submitted.get("act") == "save")
    if not submitted.get("note", "").strip():
        errors = Fields({"note": visit.translate("definition_wrong_note")})
        return _render_edit_page(visit, replace(edit, errors=errors), replay, 422)
    try:
        return await _save(visit, edit.base.number, edit.text, edit.card.version, submitted["note"].strip())
    except Outdated:  # in this very moment
        edit = parse_submission(submitted, await _sync_versions(visit), visit)
        return _render_edit_page(visit, edit, replay, 409)


async def sign(visit: PageRequest) -> Response:
    """Sign a version for a party; the last signature puts it in force."""
    form, saved_versions = await visit.form(), await _sync_versions(visit)
    version, party = _requested_version(saved_versions, visit), str(form.get("party", ""))
    if version.number != saved_versions[0].number:
        return _render_version_page(visit, version, saved_versions, Fields(), 409)
    wrong_party = Fields({"party": visit.translate("definition_wrong_party")})
    one_party = _is_one_party_per_key(visit)
    if party not in versions.signable_parties(version, visit.key.id, _parties(visit), one_party):
        return _render_version_page(visit, version, saved_versions, wrong_party, 422)
    note = str(form.get("note", "")).strip()
    signature = Signature(party, visit.key.name, visit.key.id, visit.now, note)

    def write(connection: Connection) -> None:
        versions.sign(connection, version.number, signature, one_party)
        change = Change(visit.actor, "definition_signed", str(version.number), {"party": party})
        record_change(connection, change)

    try:
        await visit.write(write)
    except AlreadySigned:
        return _render_version_page(visit, version, saved_versions, wrong_party, 409)
    except Outdated:  # in this very moment
        return _render_version_page(visit, version, await _sync_versions(visit), Fields(), 409)
    return await _activate(visit, version.number)


async def activate(visit: PageRequest) -> Response:
    """Put a version in force that all have signed: where the file could not be written at once."""
    await visit.form()
    return await _activate(visit, _requested_version(await _sync_versions(visit), visit).number)


async def restore(visit: PageRequest) -> Response:
    """Save an old version as a new one; it is signed like any other."""
    await visit.form()
    saved_versions = await _sync_versions(visit)
    old, newest = _requested_version(saved_versions, visit), saved_versions[0]
    note = visit.translate("definition_back_note", number=old.number)
    try:
        return await _save(visit, newest.number, old.text, old.version, note)
    except Outdated:
        return visit.redirect(HOME)


async def _save(visit: PageRequest, base: int, text: str, version: str, note: str) -> Response:
    """Save a new version made from `base`, and put it in force where nobody has to sign. Raises Outdated."""

    def write(connection: Connection) -> int:
        number = versions.save(connection, base, text, version, visit.key.name, note, visit.now)
        detail = {"version": version, "based_on": base, "note": note}
        record_change(connection, Change(visit.actor, "definition_saved", str(number), detail))
        return number

    number = await visit.write(write)
    if not _parties(visit):
        return await _activate(visit, number)
    return visit.redirect(f"{HOME}/{number}", message_key="definition_done_saved")


async def _activate(visit: PageRequest, number: int) -> Response:
    """Write the file where all have signed the newest version, and note it."""
    saved_versions = await _sync_versions(visit)
    version = next(candidate for candidate in saved_versions if candidate.number == number)
    if version.number != saved_versions[0].number:
        return _render_version_page(visit, version, saved_versions, Fields(), 409)
    if version.missing(_parties(visit)) or version.in_force_at is not None:
        return visit.redirect(f"{HOME}/{number}", message_key="definition_done_signed")
    try:
        await asyncio.to_thread(_write_file, visit, version.text)
    except HotleadError as problem:
        errors = Fields({"file": str(problem)})
        return _render_version_page(visit, version, saved_versions, errors, 503)

    def write(connection: Connection) -> None:
        if versions.mark_in_force(connection, number, visit.now):
            detail = {"version": version.version}
            record_change(connection, Change(visit.actor, "definition_in_force", str(number), detail))

    await visit.write(write)
    await asyncio.to_thread(visit.components.refresh)
    return visit.redirect(f"{HOME}/{number}", message_key="definition_done_in_force")


def _write_file(visit: PageRequest, text: str) -> None:
    """The file in one step: who reads it sees the old one or the new one. Raises OutsideError."""
    with atomic_file(visit.crm.folder / SCORECARD_FILE) as part:
        part.write_text(text, encoding="utf-8")


async def _sync_versions(visit: PageRequest) -> list[Version]:
    """All versions, newest first; what was written into the file by hand becomes one of them."""
    saved_versions = await visit.read(versions.all_versions)
    text, card = _read_file(visit)
    present = versions.find_in_force(saved_versions)
    if present is None or present.version != card.version:
        version, now, parties = card.version, visit.now, _parties(visit)
        with suppress(Outdated):  # another took it in at this very moment
            await visit.write(
                lambda connection: versions.import_file_version(connection, text, version, now, parties)
            )
        saved_versions = await visit.read(versions.all_versions)
    return saved_versions


def _read_file(visit: PageRequest) -> tuple[str, Scorecard]:
    """The file's text and the card in it; where there is none or it does not hold, the card in use."""
    card = visit.scorer.card
    try:
        text = (visit.crm.folder / SCORECARD_FILE).read_text(encoding="utf-8-sig")
        return text, parse_card(tomllib.loads(text), SCORECARD_FILE)
    except (OSError, ValueError, HotleadError):
        return card_to_toml(card), card


async def _cached_replay(visit: PageRequest, card: Scorecard) -> list[Block] | None:
    """What the card would have done on the deals that the model was judged on; None without them."""
    present = visit.scorer.card
    key = ("replay", *visit.scorer.versions, card.version, visit.lang)
    blocks, _ = await visit.cache.get(
        key, REPLAY_CACHE_SECONDS, lambda: _compute_replay(visit, present, card)
    )
    return blocks


def _compute_replay(visit: PageRequest, present: Scorecard, card: Scorecard) -> list[Block] | None:
    try:
        bundle = load_bundle(visit.settings.bundles)
        if bundle is None:
            return None
        return list(replay_in_brief(CardReplay(bundle.evidence, present, card), visit.lang))
    except (HotleadError, KeyError):  # a card may look at features that the evidence lacks
        return None


def _render_edit_page(
    visit: PageRequest,
    edit: DefinitionEdit,
    replay: list[Block] | None = None,
    status: int = 200,
    wants: bool = False,
) -> Response:
    changed_meanwhile = edit.base.number != edit.newest.number
    mine: list[CardDifference] = []
    if edit.card is not None:
        mine = diff_cards(card_of_version(edit.newest), edit.card, visit.crm.table, visit.lang)
    return visit.html(
        "definition_edit.html",
        status,
        edit=edit,
        form=edit.form,
        replay=_with_type_names(replay),
        theirs=_diff_versions(edit.base, edit.newest, visit) if changed_meanwhile else [],
        mine=mine,
        present=visit.scorer.card,
        tried=edit.card is not None and status == 200,
        wants=wants,
        no_evidence=edit.card is not None and replay is None and status == 200,
    )


def _render_version_page(
    visit: PageRequest, version: Version, saved_versions: list[Version], errors: Fields, status: int = 200
) -> Response:
    base = next((v for v in saved_versions if v.number == version.based_on), None)
    return visit.html(
        "definition_version.html",
        status,
        version=version,
        changes=_diff_versions(base, version, visit),
        base=base,
        wrong=errors,
        parties=_parties(visit),
        blocks=_blocks(card_of_version(version), visit),
        mine=versions.signable_parties(version, visit.key.id, _parties(visit), _is_one_party_per_key(visit)),
        newest=version.number == saved_versions[0].number,
        latest=saved_versions[0].number,
        in_force=versions.find_in_force(saved_versions),
    )


def _diff_versions(base: Version | None, version: Version, visit: PageRequest) -> list[CardDifference]:
    if base is None:
        return []
    return diff_cards(card_of_version(base), card_of_version(version), visit.crm.table, visit.lang)


def _blocks(card: Scorecard, visit: PageRequest) -> list[tuple[str, Block]]:
    return _with_type_names(list(rules_page(card, visit.lang).blocks)) or []


def _with_type_names(blocks: list[Block] | None) -> list[tuple[str, Block]] | None:
    return None if blocks is None else [(type(block).__name__, block) for block in blocks]


def _requested_version(saved_versions: list[Version], visit: PageRequest) -> Version:
    number = visit.request.path_params["number"]
    for version in saved_versions:
        if version.number == number:
            return version
    raise not_found("There is no such version of the definition.")


def _parties(visit: PageRequest) -> tuple[str, ...]:
    return visit.crm.review.sign_off


def _is_one_party_per_key(visit: PageRequest) -> bool:
    """Whether one key signs for one party alone; in the open demo one person plays all parts."""
    return visit.key.id != LOOPBACK.id


ROUTES = (
    PageRoute("GET", "/definition", show),
    PageRoute("GET", "/definition/edit", show_edit_form),
    PageRoute("POST", "/definition/edit", submit),
    PageRoute("GET", "/definition/{number:int}", show_version),
    PageRoute("POST", "/definition/{number:int}/sign", sign),
    PageRoute("POST", "/definition/{number:int}/enforce", activate),
    PageRoute("POST", "/definition/{number:int}/back", restore),
)
