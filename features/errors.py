"""Errors for users: what is wrong, where, what is allowed, and the next step."""

from __future__ import annotations

from typing import TYPE_CHECKING

from features.messages import Message, quote_all

if TYPE_CHECKING:
    from features.language import Language


class MessageError(Exception):
    """An error with a message: an English template and its values, or a message that has both."""

    def __init__(self, template: str | Message, /, **values: object) -> None:
        self.message = template if isinstance(template, Message) else Message(template, **values)
        super().__init__(self.message)

    def text(self, lang: Language) -> str:
        """The message in a language; `str(error)` is the English one."""
        return self.message.text(lang)


class HotleadError(MessageError):
    """An error that the user can correct. `exit_code` is that of the command."""

    exit_code = 1


class InvalidValue(MessageError, ValueError):
    """A value of crm.toml or scorecard.toml is invalid; the check of the file says where it stands."""


class SettingsError(HotleadError):
    """crm.toml, scorecard.toml or an option is invalid."""

    exit_code = 3


class DataError(HotleadError):
    """The data cannot be used."""

    exit_code = 4


class OutsideError(HotleadError):
    """Something outside Hotlead failed: a file, a disk, a database, a tracking server."""

    exit_code = 5


class ConfirmationNeeded(HotleadError):
    """A person has to decide or confirm something first."""

    exit_code = 7


def suggest_nearest(name: str, candidates: list[str]) -> Message:
    """A hint with the candidates most similar to `name`, or with all of them if none is similar."""
    if matches := _nearest(name, candidates):
        return Message("nearest: {names}", names=quote_all(matches))
    if not candidates:
        return Message("known: none")
    return Message("known: {names}", names=quote_all(sorted(candidates)[:12]))


def nearest_sentence(name: str, candidates: list[str]) -> Message:
    """The hint of `suggest_nearest` as a sentence."""
    if matches := _nearest(name, candidates):
        return Message("Nearest: {names}.", names=quote_all(matches))
    if not candidates:
        return Message("Known: none.")
    return Message("Known: {names}.", names=quote_all(sorted(candidates)[:12]))


def _nearest(name: str, candidates: list[str]) -> list[str]:
    import difflib  # rarely needed, so the start of the command does not wait for it

    return difflib.get_close_matches(name, candidates, n=3, cutoff=0.5)
