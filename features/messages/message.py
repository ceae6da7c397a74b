"""A message: an English template with its values, which a person reads in English or Japanese."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol, TypeAlias, runtime_checkable

from features.messages.catalogue import recognise, to_japanese

if TYPE_CHECKING:
    from features.language import Language

_SEPARATORS: Mapping[str, str] = {"en": ", ", "ja": "、"}


@runtime_checkable
class MessageText(Protocol):
    """Anything with a text in each language: a message, an error, a finding."""

    def text(self, lang: Language) -> str: ...


@dataclass(frozen=True, init=False, repr=False)
class Message:
    """A sentence or a part of one.

    `template` is English, with placeholders as of `str.format` for `values`; without values it is the text
    itself. A value may be a message or an error, which is translated too, or a list, which is joined with
    commas. `str(message)` is the English text.
    """

    template: str
    values: Mapping[str, object] = field(hash=False)

    def __init__(self, template: str, /, **values: object) -> None:
        object.__setattr__(self, "template", template)
        object.__setattr__(self, "values", values)

    def text(self, lang: Language) -> str:
        template = self.template if lang == "en" else to_japanese(self.template)
        if not self.values:
            return template
        return template.format(**{name: _to_value(value, lang) for name, value in self.values.items()})

    def __str__(self) -> str:
        return self.text("en")

    def __repr__(self) -> str:
        return repr(str(self))


@dataclass(frozen=True)
class MessageLines:
    """Messages of which each is a line."""

    lines: tuple[MessageText | str, ...]

    def text(self, lang: Language) -> str:
        return "\n".join(to_text(line, lang) for line in self.lines)

    def __str__(self) -> str:
        return self.text("en")

    def __bool__(self) -> bool:
        return bool(self.lines)


ReportStep: TypeAlias = Callable[[Message | str], None]
"""Reports a step of a command as it begins; a `str` is in the language of the command already."""


def as_message(text: str | Message) -> Message:
    """A text of a library as a message; a text without a template in the catalogue stays as it is."""
    if isinstance(text, Message):
        return text
    recognised = recognise(text)
    if recognised is None:
        return Message("{text}", text=text)
    template, values = recognised
    return Message(template, **{name: as_message(value) for name, value in values.items()})


def sentence(message: Message) -> Message:
    """A part of a sentence as a whole one, with its full stop."""
    return Message("{text}.", text=message)


def quote(value: object) -> Message:
    """A value in the quotation marks of the language."""
    return Message("{value!r}", value=value)


def quote_all(values: Iterable[object]) -> tuple[Message, ...]:
    """Values in quotation marks, to be joined with commas."""
    return tuple(quote(value) for value in values)


def either(values: Sequence[object]) -> Message:
    """One, two or more values, one of which is meant."""
    if len(values) < 2:
        return Message("{names}", names=tuple(values))
    return Message("{first} or {last}", first=tuple(values[:-1]), last=values[-1])


def all_of(values: Sequence[object]) -> Message:
    """One, two or more values, all of which are meant."""
    if len(values) < 2:
        return Message("{names}", names=tuple(values))
    return Message("{first} and {last}", first=tuple(values[:-1]), last=values[-1])


def abridge(values: Sequence[object], limit: int) -> Message:
    """The first of some values, and how many more there are."""
    more = len(values) - limit
    if more <= 0:
        return Message("{names}", names=tuple(values))
    return Message("{names} and {more:,} more", names=tuple(values[:limit]), more=more)


def to_text(value: object, lang: Language) -> str:
    """The text of a message, of a list of messages, or of any other value."""
    return str(_to_value(value, lang))


class _JoinedList(str):
    """The values of a list joined with commas; `!r` in a template shows the list as it is in the file."""

    _values: Sequence[object]

    def __new__(cls, text: str, values: Sequence[object]) -> _JoinedList:
        joined = super().__new__(cls, text)
        joined._values = values
        return joined

    def __repr__(self) -> str:
        return repr(self._values)


def _to_value(value: object, lang: Language) -> object:
    """A value as a template takes it: texts for messages and lists, other values as they are."""
    if isinstance(value, MessageText):
        return value.text(lang)
    if isinstance(value, list | tuple):
        return _JoinedList(_SEPARATORS[lang].join(to_text(part, lang) for part in value), value)
    return value
