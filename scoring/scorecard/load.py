"""Reading a scorecard.toml: the profile, the company's changes to it, and error messages."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from features.errors import SettingsError, nearest_sentence, suggest_nearest
from features.kinds import DaysSince
from features.messages import Message, MessageLines, quote_all
from features.table import FeatureTable
from features.toml import describe_invalid, explain_invalid, read_toml
from scoring.scorecard.scorecard import Condition, Scorecard

SCORECARD_FILE = "scorecard.toml"
_PROFILES = Path(__file__).with_name("profiles")
_FEATURES = ".features.toml"
_TABLES = frozenset(Scorecard.model_fields) - {"profile", "hot_is"}
_MAX_PROBLEMS = 6
"""The maximum number of problems in one message."""


def profiles() -> list[str]:
    """The names of the profiles that Hotlead ships."""
    return sorted(path.stem for path in _PROFILES.glob("*.toml") if not path.name.endswith(_FEATURES))


def profile_text(name: str) -> str:
    return (_PROFILES / f"{name}.toml").read_text(encoding="utf-8")


def profile_features(name: str) -> dict[str, Any]:
    """The tables of a crm.toml (features, words) that a profile needs."""
    path = _PROFILES / f"{name}{_FEATURES}"
    return tomllib.loads(path.read_text(encoding="utf-8")) if path.exists() else {}


def blank_card() -> Scorecard:
    """The card of a company without one: no rows, default shares for the model's stages."""
    path = Path(__file__).with_name("blank.toml")
    return parse_card(tomllib.loads(path.read_text(encoding="utf-8")), str(path))


def find_card(folder: Path, table: FeatureTable) -> Scorecard:
    """The scorecard.toml in `folder`, next to crm.toml; the blank card if there is none.

    Raises SettingsError if it is invalid.
    """
    path = folder / SCORECARD_FILE
    return load_card(path, table) if path.exists() else blank_card()


def card_in_use(folder: Path, table: FeatureTable) -> Scorecard:
    """The scorecard.toml in `folder`. Raises SettingsError if it is missing or invalid."""
    path = folder / SCORECARD_FILE
    if not path.exists():
        raise SettingsError(
            "{path}: there is no such file, so there are no rules. `hotlead rules "
            "suggest` writes a first one from the closed deals.",
            path=path,
        )
    return load_card(path, table)


def load_card(path: Path, table: FeatureTable) -> Scorecard:
    """Read and validate a scorecard.toml against the features of `table`.

    Raises SettingsError naming file, row, key, value and what is allowed.
    """
    first, *others = profiles()
    hint = Message(
        "`hotlead rules suggest` writes one from closed deals, or begin with one line: "
        'profile = "{first}" (or {others}).',
        first=first,
        others=others,
    )
    card = parse_card(read_toml(path, hint), str(path))
    check_features(card, table, str(path))
    return card


def parse_card(data: Mapping[str, Any], location: str) -> Scorecard:
    """The card of a parsed scorecard.toml with its profile merged; `location` is for error messages.

    Raises SettingsError.
    """
    try:
        return build_card(merge_profile(data, location))
    except ValidationError as problem:
        raise SettingsError("{lines}", lines=_sentences(problem, location)) from None


def merge_profile(data: Mapping[str, Any], location: str) -> dict[str, Any]:
    """A parsed scorecard.toml with its profile merged; tables with `off` are kept. Raises SettingsError."""
    base = _read_profile(data, location)
    _check_off(base, data, location)
    return _merge(base, data)


def build_card(data: Mapping[str, Any]) -> Scorecard:
    """The card of what `merge_profile` returned. Raises pydantic's ValidationError."""
    return Scorecard.model_validate(_without_off(dict(data)))


def check_features(card: Scorecard, table: FeatureTable, location: str) -> None:
    """Raise SettingsError if a rule does not fit the features of `table`."""
    problems = [*_condition_problems(card, table), *_prompt_problems(card, table)]
    if problems:
        shown, rest = problems[:_MAX_PROBLEMS], len(problems) - _MAX_PROBLEMS
        if rest > 0:
            shown.append(Message("{count} more of this kind.", count=rest))
        raise SettingsError("{lines}", lines=_lines(location, shown))


def _lines(location: str, problems: Iterable[Message]) -> MessageLines:
    return MessageLines(tuple(Message("{path}: {problem}", path=location, problem=p) for p in problems))


def _read_profile(data: Mapping[str, Any], location: str) -> dict[str, Any]:
    name = data.get("profile")
    if name is None:
        return {}
    if name not in profiles():
        raise SettingsError(
            "{location}: profile: must be one of {allowed} (got {name!r}).",
            location=location,
            allowed=quote_all(profiles()),
            name=name,
        )
    return tomllib.loads(profile_text(name))


def _merge(base: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """`changes` over `base`, table by table; the conditions of a row are replaced as a whole."""
    merged = dict(base)
    for key, value in changes.items():
        old = merged.get(key)
        is_nested = isinstance(old, Mapping) and isinstance(value, Mapping)
        merged[key] = _merge(old, value) if is_nested else value  # type: ignore[arg-type]
    return merged


def _check_off(
    base: Mapping[str, Any], changes: Mapping[str, Any], location: str, place: tuple[str, ...] = ()
) -> None:
    """Raise SettingsError if a table with only off = true has a name that the profile lacks."""
    for key, value in changes.items():
        if not isinstance(value, Mapping):
            continue
        if key not in base and dict(value) == {"off": True}:
            raise SettingsError(
                "{location}: {place} off: the profile has nothing of that name to switch off; {nearest}.",
                location=location,
                place=_format_place((*place, key)),
                nearest=suggest_nearest(key, list(base)),
            )
        old = base.get(key)
        _check_off(old if isinstance(old, Mapping) else {}, value, location, (*place, key))


def _without_off(data: dict[str, Any]) -> dict[str, Any]:
    """The data without the rows, rules and prompts that have off = true."""
    remaining = {}
    for key, value in data.items():
        if not isinstance(value, Mapping):
            remaining[key] = value
        elif value.get("off") is not True:
            remaining[key] = _without_off({k: v for k, v in value.items() if k != "off" or v is not False})
    return remaining


def _condition_problems(card: Scorecard, table: FeatureTable) -> list[Message]:
    return [
        Message("{place}: {problem}", place=f"[{place}.{name}] feature", problem=problem)
        for place, name, rule in card.rules()
        for condition in rule.when
        if (problem := _condition_problem(condition, card, table))
    ]


def _condition_problem(condition: Condition, card: Scorecard, table: FeatureTable) -> Message | None:
    name = condition.feature
    if name not in table.rows:
        return _unknown_feature(name, card, table)
    if name in table.free_texts:
        return Message(
            "{name!r} is a free text, of which only hashed n-grams are kept: no rule can look at it.",
            name=name,
        )
    if (condition.one_of is not None) == (name in table.texts):
        return None
    if condition.one_of is not None:
        return Message("{name!r} is a number: use at_least or at_most, not one_of.", name=name)
    return Message("{name!r} is a text: use one_of, not at_least or at_most.", name=name)


def _prompt_problems(card: Scorecard, table: FeatureTable) -> list[Message]:
    problems = []
    for name, prompt in card.prompts.items():
        for key in ("since", "answered"):
            feature, place = getattr(prompt, key), f"[prompts.{name}] {key}"
            if feature not in table.rows:
                problem = _unknown_feature(feature, card, table)
                problems.append(Message("{place}: {problem}", place=place, problem=problem))
            elif not isinstance(table.rows[feature], DaysSince):
                problem = Message("{name!r} must be of the kind days_since.", name=feature)
                problems.append(Message("{place}: {problem}", place=place, problem=problem))
    return problems


def _unknown_feature(name: str, card: Scorecard, table: FeatureTable) -> Message:
    hint = suggest_nearest(name, list(table.names))
    profile_defaults = profile_features(card.profile).get("features", {}) if card.profile else {}
    if name not in profile_defaults:
        return Message("{name!r} is no feature of crm.toml; {hint}.", name=name, hint=hint)
    missing = (
        Message("{name!r} is no feature of crm.toml; {hint}.", name=name, hint=hint)
        if str(hint).startswith("nearest")
        else Message("{name!r} is no feature of crm.toml.", name=name)
    )
    return Message(
        "{missing} The profile takes `{definition}` (all of them: {file}): add it to [features] with your "
        "own column or activity, or write off = true into this table of scorecard.toml.",
        missing=missing,
        definition=_inline({name: profile_defaults[name]}),
        file=f"scoring/scorecard/profiles/{card.profile}{_FEATURES}",
    )


def _inline(definition: Mapping[str, Any]) -> str:
    """A feature's definition as one line of TOML."""
    import tomlkit  # for an error message alone: every worker imports this module

    ((name, value),) = definition.items()
    table = tomlkit.inline_table()
    table.update(value)
    return tomlkit.dumps({name: table}).strip()


def _sentences(problem: ValidationError, location: str) -> MessageLines:
    errors = problem.errors(include_url=False)
    lines = [_sentence(error) for error in errors if not _follows(error, errors)][:_MAX_PROBLEMS]
    return _lines(location, dict.fromkeys(lines))


def _follows(error: Any, errors: list[Any]) -> bool:
    """Whether a list is reported as too short only because of an error inside it."""
    depth = len(error["loc"])
    return error["type"] == "too_short" and any(
        len(e["loc"]) > depth and e["loc"][:depth] == error["loc"] for e in errors
    )


def _sentence(error: Any) -> Message:
    loc, kind = error["loc"], error["type"]
    if kind == "extra_forbidden":
        return _unknown_key(loc, error.get("input"))
    if kind == "missing" and loc[-1] in ("en", "ja"):
        return Message(
            "{place}: the English text (en) is missing. Texts exist in both."
            if loc[-1] == "en"
            else "{place}: the Japanese text (ja) is missing. Texts exist in both.",
            place=_format_place(loc[:-1]),
        )
    if kind == "missing":
        return Message("{place}: is missing.", place=_format_place(loc))
    return describe_invalid(_format_place(loc), _error_message(error), error.get("input"))


def _unknown_key(loc: tuple[int | str, ...], received: object) -> Message:
    hint = nearest_sentence(str(loc[-1]), list(_model_at(loc[:-1]).model_fields))
    if isinstance(received, Mapping):
        place = f"[{loc[0]}]" if len(loc) == 1 else _format_place(loc)
        return Message("{place}: there is no such table. {hint}", place=place, hint=hint)
    if isinstance(received, list | tuple):
        return Message("{place}: there is no such key. {hint}", place=_format_place(loc), hint=hint)
    return Message(
        "{place}: there is no such key (got {value!r}). {hint}",
        place=_format_place(loc),
        value=received,
        hint=hint,
    )


def _error_message(error: Any) -> Message:
    """The message of an error, in words that need no knowledge of Python."""
    kind = error["type"]
    if kind == "model_type":
        keys = tuple(_model_at(error["loc"]).model_fields)
        return Message("must be a table with the keys {keys}", keys=keys)
    messages = {
        "too_short": Message("give one or more"),
        "tuple_type": Message("must be a list: [ … ]"),
        "dict_type": Message("must be a table"),
    }
    return messages.get(kind) or explain_invalid(error)


def _format_place(loc: tuple[int | str, ...]) -> str:
    """A place as in scorecard.toml: the table in brackets, then the key."""
    tables = [str(part) for part in loc]
    depth = _depth(tables)
    table, keys = ".".join(tables[:depth]), tables[depth:]
    numbered = [f"no. {int(k) + 1}" if k.isdigit() else k for k in keys]
    return " ".join([f"[{table}]"] * bool(table) + numbered)


def _depth(parts: list[str]) -> int:
    """The number of parts of a place that name its table."""
    if parts[:1] in (["fit"], ["intent"]):
        return min(3, len(parts)) if parts[1:2] == ["rows"] else 1
    if parts[:1] in (["triggers"], ["exclusions"], ["prompts"], ["stages"]):
        return min(2, len(parts))
    return 1 if len(parts) > 1 or (parts and parts[0] in _TABLES) else 0


def _model_at(loc: tuple[int | str, ...]) -> type[BaseModel]:
    """The pydantic model of the keys at a place."""
    model: Any = Scorecard
    for part in loc:
        if isinstance(part, int) or part not in model.model_fields:
            continue  # the name of a row, or its index in a list
        model = _inner(model.model_fields[part].annotation) or model
    result: type[BaseModel] = model
    return result


def _inner(annotation: Any) -> type[BaseModel] | None:
    """The model inside an annotation such as Mapping[str, Row] or Group | None."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    inside = (_inner(part) for part in getattr(annotation, "__args__", ()))
    return next((model for model in inside if model is not None), None)
