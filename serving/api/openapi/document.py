"""The OpenAPI document: what the API takes and gives, with the attributes of this company's CRM."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from features.settings import CrmSettings
from serving.api.openapi.examples import build_examples
from serving.api.openapi.requests import MODEL_NAMES, YEARS, one_or_list, request_schemas
from serving.api.openapi.responses import problem_schemas, response_schemas
from serving.api.openapi.schema import Schema, ref
from serving.api.openapi.scores import score_schemas
from serving.api.query_params import DocumentQuery, HistoryQuery, HotQuery, Query, ScoreQuery
from serving.leads.bodies import MAX_BATCH
from serving.web import permissions as access
from serving.web.problems import MEDIA_TYPE, TITLES

VERSION = "1.0.0"
_POST_STATUSES = (400, 413, 415, 422)
_COMMON_STATUSES = (401, 429)


def build_openapi(crm: CrmSettings) -> dict[str, Any]:
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
            "schemas": {
                **request_schemas(crm),
                **score_schemas(),
                **response_schemas(),
                **problem_schemas(),
            },
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
    "records": "Send what happened; it is on the disk before it is acknowledged, and taken once.",
    "lists": "Read scores, the call list and the model in use.",
    "service": "How the service is.",
}


# -- Paths ---------------------------------------------------------------------------------------------


def _scoring_paths(crm: CrmSettings) -> dict[str, Any]:
    many = f"Up to {MAX_BATCH:,} leads, each with its own result. What is said of one lead holds for each."
    one = (
        "A lead is scored from its body, of which nothing is stored but the score; with its id alone, "
        "from what was sent of it before. Interest fades: the same lead scored later cools by itself."
    )
    return {
        "/v1/score": {
            "post": _operation(
                "POST",
                "/v1/score",
                "scoreLead",
                "scores",
                "Score one lead",
                one,
                _request_body(ref("Lead"), build_examples(crm)["/v1/score"]),
                {200: ("The score.", ref("Score"))},
                (*_POST_STATUSES, 404, 503),
                ScoreQuery,
            )
        },
        "/v1/score/batch": {
            "post": _operation(
                "POST",
                "/v1/score/batch",
                "scoreLeads",
                "scores",
                "Score many leads",
                many,
                _request_body(ref("BatchIn"), build_examples(crm)["/v1/score/batch"]),
                {
                    200: ("All were scored.", ref("BatchAnswer")),
                    207: ("Some have a problem of their own.", ref("BatchAnswer")),
                },
                _POST_STATUSES,
                ScoreQuery,
            )
        },
    }


def _record_paths(crm: CrmSettings) -> dict[str, Any]:
    repeat_note = (
        " One, or a list, which is checked as a whole first. The same `id` and `version` with the same "
        'content is 200 "already known", with other content 409; a higher version corrects.'
    )
    answer_schema = {"oneOf": [ref("Acknowledgement"), ref("Acknowledgements")]}
    paths = {}
    for kind, body in MODEL_NAMES.items():
        path, title = f"/v1/{kind}", _RECORD_TITLES[kind]
        paths[path] = {
            "post": _operation(
                "POST",
                path,
                f"send{kind.title()}",
                "records",
                title,
                f"{title}.{repeat_note}",
                _request_body(one_or_list(body), build_examples(crm)[path]),
                {200: ("All of it was known.", answer_schema), 201: ("It is stored.", answer_schema)},
                (*_POST_STATUSES, 409, 503),
            )
        }
    return paths


_RECORD_TITLES = {
    "leads": "Send what is known of a lead from a moment on",
    "activities": "Send what a lead did",
    "outcomes": "Send deals that were won or lost",
    "opportunities": "Send opportunities that came from a lead",
    "handovers": "Send the steps between marketing, inside sales and field sales",
    "overrides": "Send a person's word on a lead: hot or not",
    "verdicts": "Send a reviewer's word on a lead: whether model or rules were right",
}


def _lookup_paths() -> dict[str, Any]:
    def get(
        path: str,
        name: str,
        title: str,
        answer: str,
        query: type[Query] | None = None,
        statuses: tuple[int, ...] = (),
    ) -> dict[str, Any]:
        responses = {200: (f"{title}.", ref(answer))}
        return {
            "get": _operation(
                "GET", path, name, "lists", title, f"{title}.", None, responses, statuses, query
            )
        }

    return {
        "/v1/scores": get(
            "/v1/scores",
            "getScores",
            "The scores of a lead with their trend",
            "History",
            HistoryQuery,
            (404, 422, 503),
        ),
        "/v1/hot": get(
            "/v1/hot",
            "getHot",
            "The call list: hot leads, first deadline first",
            "CallList",
            HotQuery,
            (422, 503),
        ),
        "/v1/model": get("/v1/model", "getModel", "The model and the scorecard in use", "ModelInUse"),
    }


def _service_paths() -> dict[str, Any]:
    metrics = _operation(
        "GET",
        "/metrics",
        "getMetrics",
        "service",
        "Metrics for Prometheus",
        "Needs no key from the machine itself.",
        None,
        {},
    )
    metrics["responses"]["200"] = _text_response("Metrics in the text format of Prometheus.")
    described = _operation(
        "GET",
        "/v1/openapi.json",
        "getOpenapi",
        "service",
        "This document",
        "This document.",
        None,
        {200: ("It.", {"type": "object"})},
        (422,),
        DocumentQuery,
    )
    alive = {
        path: {
            "get": {
                "operationId": name,
                "tags": ["service"],
                "summary": title,
                "security": [],
                "responses": {"200": _text_response(title)} | others,
            }
        }
        for path, name, title, others in (
            ("/livez", "isAlive", "The process lives", {}),
            ("/readyz", "isReady", "The service answers", {"503": _response_ref("503")}),
        )
    }
    return {"/v1/openapi.json": {"get": described}, "/metrics": {"get": metrics}, **alive}


# -- Parts of an operation -----------------------------------------------------------------------------


def _operation(
    method: str,
    path: str,
    name: str,
    tag: str,
    title: str,
    description: str,
    body: dict[str, Any] | None,
    answers: dict[int, tuple[str, Schema]],
    statuses: Iterable[int] = (),
    query: type[Query] | None = None,
) -> dict[str, Any]:
    """An operation, with the roles that may and the problems that there may be."""
    roles = sorted(access.PERMISSIONS[method, path])
    problems = {*statuses, *_COMMON_STATUSES, *(() if len(roles) == 3 else (403,))}
    operation = {
        "operationId": name,
        "tags": [tag],
        "summary": title,
        "description": f"{description} Keys: {', '.join(roles)}.",
        "x-roles": roles,
        "parameters": [*_parameters(query), {"$ref": "#/components/parameters/RequestId"}],
        "responses": {
            **{str(status): _json_response(*answer) for status, answer in answers.items()},
            **{str(status): _response_ref(str(status)) for status in sorted(problems)},
        },
    }
    return operation if body is None else {**operation, "requestBody": body}


def _parameters(query: type[Query] | None) -> list[dict[str, Any]]:
    """The parameters of a query, from the model that checks it."""
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
    "limit": "So many at most.",
    "owner": "Only those of this owner, as the scorecard names it.",
    "lang": "The language of what people read.",
}


def _parameter_schema(field_schema: dict[str, Any]) -> Schema:
    """The schema of a parameter: what is not told is left out, so there is no null."""
    base = {k: v for k, v in field_schema.items() if k not in ("title", "description", "anyOf")}
    branches: list[Schema] = field_schema.get("anyOf", [])
    inner = next((s for s in branches if s.get("type") != "null"), Schema())
    merged = {**base, **inner}
    return {k: v for k, v in merged.items() if (k, v) != ("default", None)}


def _request_body(schema: Schema, body_examples: Any) -> dict[str, Any]:
    return {
        "required": True,
        "content": {"application/json": {"schema": schema, "examples": dict(body_examples)}},
    }


def _json_response(description: str, schema: Schema) -> dict[str, Any]:
    return {
        "description": description,
        "headers": _header_refs("X-Request-ID"),
        "content": {"application/json": {"schema": schema}},
    }


def _text_response(description: str) -> dict[str, Any]:
    return {
        "description": description,
        "headers": _header_refs("X-Request-ID"),
        "content": {"text/plain": {"schema": {"type": "string"}}},
    }


# -- Problems ------------------------------------------------------------------------------------------

_DETAILS = {
    400: "The body is not JSON in UTF-8.",
    401: "There is no valid key.",
    403: "A key of this role may not do this.",
    404: "Nothing is known of this lead.",
    409: "Something was sent before under the same id and version with other content.",
    413: "The body is too large.",
    415: "The body is not sent as plain application/json.",
    422: "Fields do not hold: `errors` names each with what it got and what is allowed.",
    429: "This key asks too often.",
    503: "The store is away. Try again later.",
}
_STATUS_HEADERS = {401: "WWW-Authenticate", 429: "Retry-After", 503: "Retry-After"}
_HEADERS: dict[str, Any] = {
    "X-Request-ID": {
        "description": "The sender's own X-Request-ID, or one made up.",
        "required": True,
        "schema": {"type": "string", "pattern": "^[A-Za-z0-9._-]{1,64}$"},
    },
    "Retry-After": {
        "description": "Seconds to wait.",
        "required": True,
        "schema": {"type": "integer", "minimum": 1},
    },
    "WWW-Authenticate": {
        "description": "How to bring a key.",
        "required": True,
        "schema": {"type": "string"},
    },
}
_REQUEST_ID: dict[str, Any] = {
    "name": "X-Request-ID",
    "in": "header",
    "required": False,
    "schema": {"type": "string"},
    "description": "The sender's own id of the request, 1 to 64 of A-Z a-z 0-9 . _ - (another is replaced).",
}


def _problem_response(status: int) -> dict[str, Any]:
    names = ["X-Request-ID", *([_STATUS_HEADERS[status]] if status in _STATUS_HEADERS else [])]
    return {
        "description": _DETAILS[status],
        "headers": _header_refs(*names),
        "content": {MEDIA_TYPE: {"schema": ref("Problem")}},
    }


def _header_refs(*names: str) -> dict[str, Any]:
    return {name: {"$ref": f"#/components/headers/{name}"} for name in names}


def _response_name(status: int) -> str:
    return TITLES[status].replace(" ", "")


def _response_ref(status: str) -> dict[str, Any]:
    return {"$ref": f"#/components/responses/{_response_name(int(status))}"}
