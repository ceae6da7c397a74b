"""The query parameters of the API: reasons, language, moment, page."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal, TypeVar

import orjson
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from features.clock import CLOCKS_DIFFER_MS, iso
from features.kinds import Language
from scoring.decision.score import Explain
from serving.leads.field_types import Identifier, Moment, Name
from serving.predictions.call_list import CURSOR
from serving.predictions.predictor import ScoreOptions
from serving.web.field_errors import InvalidFields, field_error, from_validation_error

PageLimit = Annotated[int, Field(ge=1, le=1_000, strict=False)]


class Query(BaseModel):
    """The parameters of a query; unknown ones are errors."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class ScoreQuery(Query):
    """How leads are to be scored."""

    explain: Explain = Field(default="top", description="Which of the model's reasons are told.")
    lang: Language = Field(default="en", description="The language of what people read.")
    as_of: Moment | None = Field(
        default=None, description="Score as of this moment, not now; not the future."
    )


class HistoryQuery(Query):
    """The lead whose scores are read, and how many of the newest."""

    lead_id: Identifier
    limit: PageLimit = 100


class HotQuery(Query):
    """The owner of the call list (None: all), the size of its page, and the language."""

    owner: Name | None = None
    limit: PageLimit = 100
    lang: Language = "en"
    after: Annotated[str, Field(pattern=CURSOR)] | None = Field(
        default=None, description="The `next` of the page before."
    )


class DocumentQuery(Query):
    """The version of OpenAPI that the document is written in."""

    version: Literal["3.0", "3.1"] = Field(
        default="3.1", description="3.0 for CRMs that read no other; it says less."
    )


Q = TypeVar("Q", bound=Query)


def parse_query(model: type[Q], params: Mapping[str, str]) -> Q:
    """The parameters of a query. Raises InvalidFields with all errors."""
    try:
        return model.model_validate_json(orjson.dumps(dict(params)))
    except ValidationError as error:
        raise from_validation_error(error, "query", model) from None


def score_options(params: Mapping[str, str], now: int, request_id: str | None) -> ScoreOptions:
    """How leads are to be scored. `now` is ms UTC. Raises InvalidFields, also for a moment in the future."""
    if not params:
        return ScoreOptions(now=now, request_id=request_id)
    as_of = params.get("as_of", "")
    # The + of a time's offset is a space in a query unless the sender encodes it.
    plain_params = {**params, "as_of": as_of.replace(" ", "+")} if "T" in as_of else params
    query = parse_query(ScoreQuery, plain_params)
    if query.as_of is not None and query.as_of > now + CLOCKS_DIFFER_MS:
        allowed = f"a moment that has come (it is {iso(now)})"
        raise InvalidFields([field_error("query.as_of", as_of, allowed)])
    return ScoreOptions(
        now=now, explain=query.explain, lang=query.lang, as_of=query.as_of, request_id=request_id
    )
