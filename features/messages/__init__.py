"""What Hotlead says to people, in English and Japanese.

A message is an English template with its values; the catalogue `ja/*.toml` has the Japanese template with the
same placeholders. Write

    raise DataError("{file}: {rows:,} rows cannot be used.", file=path, rows=12)
    report_step(Message("reading the CRM"))

and add the Japanese to the catalogue: a test names every template without one.
"""

from features.messages.catalogue import recognise, to_japanese
from features.messages.message import (
    Message,
    MessageLines,
    MessageText,
    ReportStep,
    abridge,
    all_of,
    as_message,
    either,
    quote,
    quote_all,
    sentence,
    to_text,
)

__all__ = [
    "Message",
    "MessageLines",
    "MessageText",
    "ReportStep",
    "abridge",
    "all_of",
    "as_message",
    "either",
    "quote",
    "quote_all",
    "recognise",
    "sentence",
    "to_japanese",
    "to_text",
]
