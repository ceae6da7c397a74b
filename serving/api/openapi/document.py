"""The OpenAPI document of the API, with the attributes of this company's CRM."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from features.settings import CrmSettings
from serving.api.openapi.examples import Example, build_examples
from serving.api.openapi.requests import MODEL_NAMES, YEARS, one_or_list, request_schemas
from serving.api.openapi.schema import OpenapiObject, Schema, ref, response_schemas
from serving.api.query_params import DocumentQuery, HistoryQuery, HotQuery, Query, ScoreQuery
from serving.leads.bodies import MAX_BATCH
from serving.web import permissions as access
from serving.web.problems import MEDIA_TYPE, TITLES

VERSION = "1.0.0"
_POST_STATUSES = (400, 413, 415, 422)
_COMMON_STATUSES = (400, 401, 408, 429, 431, 503, 504)
_TEXT = ({"type": "string"}, "text/plain")


def build_openapi(crm: CrmSettings) -> OpenapiObject:
    """The OpenAPI 3.1 document of the service of a company."""
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Hotlead",
            "version": VERSION,
            "description": f"Lead scores for {crm.name}. {YEARS}",
        },
        "servers": [{"url": "/"}],
        "tags": [{"name": name, "description": description} for name, description in _TAGS.items()],
        "security": [{"bearer": []}, {"apiKey": []}],
        "paths": {**_scoring_paths(crm), **_record_paths(crm), **_lookup_paths(), **_service_paths()},
        "components": {
            "schemas": {**request_schemas(crm), **response_schemas()},
            "responses": {_response_name(status): _problem_response(status) for status in _DETAILS},
            "headers": _HEADERS,
            "parameters": {"RequestId": _REQUEST_ID},
            "securitySchemes": {
                "bearer": {"type": "http", "scheme": "bearer", "description": "A key of `hotlead keys add`."},
                "apiKey": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
            },
        },
    }


_TAGS = {
    "scores": "Score leads, now or as of a moment.",
    "records": "Send records; each is on the disk before it is acknowledged, and stored once.",
    "lists": "Read scores, the call list and the model in use.",
    "service": "The state of the service.",
}


# -- Paths ---------------------------------------------------------------------------------------------


def _scoring_paths(crm: CrmSettings) -> OpenapiObject:
    many = f"Up to {MAX_BATCH:,} leads, each with its own result. The notes on one lead hold for each."
    one = (
        "A lead is scored from its body, of which nothing but the score is stored; with its id alone, "
        "from its stored records. Interest fades: the same lead scored later cools by itself."
    )
    examples = build_examples(crm)
    score = _operation(
        "POST",
        "/v1/score",
        name="scoreLead",
        tag="scores",
        title="Score one lead",
        description=one,
        body=_request_body(ref("Lead"), examples["/v1/score"]),
        answers={200: ("The score.", ref("Score"))},
        statuses=(*_POST_STATUSES, 404, 503),
        query=ScoreQuery,
    )
    batch = _operation(
        "POST",
        "/v1/score/batch",
        name="scoreLeads",
        tag="scores",
        title="Score many leads",
        description=many,
        body=_request_body(ref("Batch"), examples["/v1/score/batch"]),
        answers={
            200: ("All were scored.", ref("BatchAnswer")),
            207: ("Some leads have a problem.", ref("BatchAnswer")),
        },
        statuses=_POST_STATUSES,
        query=ScoreQuery,
    )
    return {**score, **batch}


def _record_paths(crm: CrmSettings) -> OpenapiObject:
    repeat_note = (
        " One record, or a list, which is validated as a whole first. The same `id` and `version` with the "
        'same content is 200 "already known", with other content 409; a higher version corrects. '
        'A record of an erased lead is 200 "suppressed".'
    )
    answer_schema = {"oneOf": [ref("Acknowledgement"), ref("Acknowledgements")]}
    paths, examples = OpenapiObject(), build_examples(crm)
    for kind, body in MODEL_NAMES.items():
        path, title = f"/v1/{kind}", _RECORD_TITLES[kind]
        paths |= _operation(
            "POST",
            path,
            name=f"send{kind.title()}",
            tag="records",
            title=title,
            description=f"{title}.{repeat_note}",
            body=_request_body(one_or_list(body), examples[path]),
            answers={
                200: ("No record is new, or their leads were erased.", answer_schema),
                201: ("Stored.", answer_schema),
            },
            statuses=(*_POST_STATUSES, 409, 503),
        )
    return paths


_RECORD_TITLES = {
    "leads": "Send attributes of a lead that hold from a moment on",
    "activities": "Send activities of a lead",
    "outcomes": "Send deals that were won or lost",
    "opportunities": "Send opportunities that came from a lead",
    "handovers": "Send the steps between marketing, inside sales and field sales",
    "overrides": "Send a person's override of a lead: hot or not",
    "verdicts": "Send a reviewer's verdict on a lead: whether model or rules were right",
}


def _lookup_paths() -> OpenapiObject:
    def get(
        path: str,
        name: str,
        title: str,
        answer: str,
        statuses: Sequence[int] = (),
        query: type[Query] | None = None,
    ) -> OpenapiObject:
        answers = {200: (f"{title}.", ref(answer))}
        return _operation(
            "GET", path, name=name, tag="lists", title=title, answers=answers, statuses=statuses, query=query
        )

    history = "The scores of a lead with their trend"
    call_list = "The call list: hot leads, first deadline first"
    return {
        **get("/v1/scores", "getScores", history, "History", (404, 422, 503), HistoryQuery),
        **get("/v1/hot", "getHot", call_list, "CallList", (422, 503), HotQuery),
        **get("/v1/model", "getModel", "The model and the scorecard in use", "ModelInUse"),
    }


def _service_paths() -> OpenapiObject:
    metrics = _operation(
        "GET",
        "/metrics",
        name="getMetrics",
        tag="service",
        title="Metrics for Prometheus",
        description="Needs no key from the machine itself.",
        answers={200: ("Metrics in the text format of Prometheus.", *_TEXT)},
    )
    openapi = _operation(
        "GET",
        "/v1/openapi.json",
        name="getOpenapi",
        tag="service",
        title="This document",
        answers={200: ("The document.", {"type": "object"})},
        statuses=(422,),
        query=DocumentQuery,
    )
    alive = {
        path: {
            "get": {
                "operationId": name,
                "tags": ["service"],
                "summary": title,
                "security": [],
                "responses": {"200": _response(title, *_TEXT)} | others,
            }
        }
        for path, name, title, others in (
            ("/livez", "isAlive", "The process lives", {}),
            ("/readyz", "isReady", "The service answers", {"503": _response_ref("503")}),
        )
    }
    return {**openapi, **metrics, **alive}


# -- Parts of an operation -----------------------------------------------------------------------------


def _operation(
    method: str,
    path: str,
    *,
    name: str,
    tag: str,
    title: str,
    answers: Mapping[int, tuple[str, Schema] | tuple[str, Schema, str]],
    description: str = "",
    body: OpenapiObject | None = None,
    statuses: Sequence[int] = (),
    query: type[Query] | None = None,
) -> OpenapiObject:
    """A path with an operation, its roles and problems. `answers` has description, schema and media type."""
    roles = sorted(access.PERMISSIONS[method, path])
    problems = {*statuses, *_COMMON_STATUSES, *(() if len(roles) == 3 else (403,))}
    operation: OpenapiObject = {
        "operationId": name,
        "tags": [tag],
        "summary": title,
        "description": f"{description or f'{title}.'} Keys: {', '.join(roles)}.",
        "x-roles": roles,
        "parameters": [*_parameters(query), {"$ref": "#/components/parameters/RequestId"}],
        "responses": {
            **{str(status): _response(*answer) for status, answer in answers.items()},
            **{str(status): _response_ref(str(status)) for status in sorted(problems)},
        },
    }
    if body is not None:
        operation["requestBody"] = body
    return {path: {method.lower(): operation}}


def _parameters(query: type[Query] | None) -> list[OpenapiObject]:
    """The parameters of a query, from the model that validates it."""
    if query is None:
        return []
    schema = query.model_json_schema()
    return [
        {
            "name": name,
            "in": "query",
            "required": name in schema.get("required", ()),
            "description": field_schema.get("description", _PARAMETER_DESCRIPTIONS.get(name, "")),
            "schema": _parameter_schema(field_schema),
        }
        for name, field_schema in schema["properties"].items()
    ]


_PARAMETER_DESCRIPTIONS = {
    "lead_id": "The sender's id of the lead.",
    "limit": "The maximum number of entries.",
    "owner": "Only leads of this owner, as the scorecard names it.",
    "lang": "The language of texts.",
}


def _parameter_schema(field_schema: Schema) -> Schema:
    """The schema of a parameter. An absent parameter is left out, so null is not a value."""
    base = {k: v for k, v in field_schema.items() if k not in ("title", "description", "anyOf")}
    branches: list[Schema] = field_schema.get("anyOf", [])
    inner = next((s for s in branches if s.get("type") != "null"), Schema())
    merged = {**base, **inner}
    return {k: v for k, v in merged.items() if (k, v) != ("default", None)}


def _request_body(schema: Schema, body_examples: Mapping[str, Example]) -> OpenapiObject:
    return {
        "required": True,
        "content": {"application/json": {"schema": schema, "examples": dict(body_examples)}},
    }


def _response(
    description: str, schema: Schema, media_type: str = "application/json", *headers: str
) -> OpenapiObject:
    names = ("X-Request-ID", *headers)
    return {
        "description": description,
        "headers": {name: {"$ref": f"#/components/headers/{name}"} for name in names},
        "content": {media_type: {"schema": schema}},
    }


# -- Problems ------------------------------------------------------------------------------------------

_DETAILS = {
    400: "The body is not JSON in UTF-8, or the request is no HTTP/1.1 with one Host.",
    401: "There is no valid key.",
    403: "A key of this role may not do this.",
    404: "There is no record of this lead.",
    408: "The headers were not complete in time.",
    409: "The same id and version is stored with other content.",
    413: "The body is too large.",
    415: "The body is not sent as plain application/json.",
    422: "Fields are not valid: `errors` has each with what was sent and what is allowed.",
    429: "This key sends requests too often.",
    431: "The headers are too large.",
    503: "The store is unavailable, or the service is busy or stopping. Try again later.",
    504: "The answer took too long. Try again later.",
}
_STATUS_HEADERS = {
    401: ("WWW-Authenticate",),
    429: ("Retry-After",),
    503: ("Retry-After",),
    504: ("Retry-After",),
}
_HEADERS: OpenapiObject = {
    "X-Request-ID": {
        "description": "The X-Request-ID of the request, or a generated one.",
        "required": True,
        "schema": {"type": "string", "pattern": "^[A-Za-z0-9._-]{1,64}$"},
    },
    "Retry-After": {
        "description": "Seconds to wait.",
        "required": True,
        "schema": {"type": "integer", "minimum": 1},
    },
    "WWW-Authenticate": {"description": "How to send a key.", "required": True, "schema": {"type": "string"}},
}
_REQUEST_ID: OpenapiObject = {
    "name": "X-Request-ID",
    "in": "header",
    "required": False,
    "schema": {"type": "string"},
    "description": "The sender's id of the request, 1 to 64 of A-Z a-z 0-9 . _ - (any other is replaced).",
}


def _problem_response(status: int) -> OpenapiObject:
    return _response(_DETAILS[status], ref("Problem"), MEDIA_TYPE, *_STATUS_HEADERS.get(status, ()))


def _response_name(status: int) -> str:
    return TITLES[status].replace(" ", "")


def _response_ref(status: str) -> OpenapiObject:
    return {"$ref": f"#/components/responses/{_response_name(int(status))}"}
