"""The OpenAPI document: what the API takes and gives, with the attributes of this company's CRM."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from features.settings import CrmSettings
from serving.api.openapi.examples import examples
from serving.api.openapi.requests import KINDS_OF_BODY, YEARS, one_or_list, sent_schemas
from serving.api.openapi.responses import answer_schemas, problem_schemas
from serving.api.openapi.schema import Schema, ref
from serving.api.openapi.scores import score_schemas
from serving.api.query_params import DocumentQuery, HistoryQuery, HotQuery, Query, ScoreQuery
from serving.leads.bodies import BATCH_MOST
from serving.web import permissions as access
from serving.web.problems import MEDIA_TYPE, TITLES

VERSION = "1.0.0"
_POST = (400, 413, 415, 422)
_EVERY = (401, 429)


def openapi(crm: CrmSettings) -> dict[str, Any]:
    """The OpenAPI 3.1 document of the service of a company."""
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Hotlead",
            "version": VERSION,
            "description": f"Lead scores for {crm.name}. {YEARS}",
        },
        "servers": [{"url": "/"}],
        "tags": [{"name": name, "description": told} for name, told in _TAGS.items()],
        "security": [{"bearer": []}, {"apiKey": []}],
        "paths": {**_scoring(crm), **_records(crm), **_reading(), **_health()},
        "components": {
            "schemas": {
                **sent_schemas(crm),
                **score_schemas(),
                **answer_schemas(),
                **problem_schemas(),
            },
            "responses": {_name(status): _problem(status) for status in _DETAILS},
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


def _scoring(crm: CrmSettings) -> dict[str, Any]:
    many = f"Up to {BATCH_MOST:,} leads, each with its own result. What is said of one lead holds for each."
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
                _body(ref("Lead"), examples(crm)["/v1/score"]),
                {200: ("The score.", ref("Score"))},
                (*_POST, 404, 503),
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
                _body(ref("Batch"), examples(crm)["/v1/score/batch"]),
                {
                    200: ("All were scored.", ref("BatchAnswer")),
                    207: ("Some have a problem of their own.", ref("BatchAnswer")),
                },
                _POST,
                ScoreQuery,
            )
        },
    }


def _records(crm: CrmSettings) -> dict[str, Any]:
    again = (
        " One, or a list, which is checked as a whole first. The same `id` and `version` with the same "
        'content is 200 "already known", with other content 409; a higher version corrects.'
    )
    told = {"oneOf": [ref("Acknowledgement"), ref("Acknowledgements")]}
    found = {}
    for kind, body in KINDS_OF_BODY.items():
        path, title = f"/v1/{kind}", _SENT[kind]
        found[path] = {
            "post": _operation(
                "POST",
                path,
                f"send{kind.title()}",
                "records",
                title,
                f"{title}.{again}",
                _body(one_or_list(body), examples(crm)[path]),
                {200: ("All of it was known.", told), 201: ("It is stored.", told)},
                (*_POST, 409, 503),
            )
        }
    return found


_SENT = {
    "leads": "Send what is known of a lead from a moment on",
    "activities": "Send what a lead did",
    "outcomes": "Send deals that were won or lost",
    "opportunities": "Send opportunities that came from a lead",
    "handovers": "Send the steps between marketing, inside sales and field sales",
    "overrides": "Send a person's word on a lead: hot or not",
    "verdicts": "Send a reviewer's word on a lead: whether model or rules were right",
}


def _reading() -> dict[str, Any]:
    def get(
        path: str,
        name: str,
        title: str,
        answer: str,
        query: type[Query] | None = None,
        statuses: tuple[int, ...] = (),
    ) -> dict[str, Any]:
        told = {200: (f"{title}.", ref(answer))}
        return {
            "get": _operation("GET", path, name, "lists", title, f"{title}.", None, told, statuses, query)
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


def _health() -> dict[str, Any]:
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
    metrics["responses"]["200"] = _plain("Metrics in the text format of Prometheus.")
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
                "responses": {"200": _plain(title)} | others,
            }
        }
        for path, name, title, others in (
            ("/livez", "isAlive", "The process lives", {}),
            ("/readyz", "isReady", "The service answers", {"503": _answer("503")}),
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
    roles = sorted(access.TABLE[method, path])
    problems = {*statuses, *_EVERY, *(() if len(roles) == 3 else (403,))}
    told = {
        "operationId": name,
        "tags": [tag],
        "summary": title,
        "description": f"{description} Keys: {', '.join(roles)}.",
        "x-roles": roles,
        "parameters": [*_parameters(query), {"$ref": "#/components/parameters/RequestId"}],
        "responses": {
            **{str(status): _json(*answer) for status, answer in answers.items()},
            **{str(status): _answer(str(status)) for status in sorted(problems)},
        },
    }
    return told if body is None else {**told, "requestBody": body}


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
            "description": told.get("description", _ABOUT.get(name, "")),
            "schema": _asked(told),
        }
        for name, told in schema["properties"].items()
    ]


_ABOUT = {
    "lead_id": "The sender's id of the lead.",
    "limit": "So many at most.",
    "owner": "Only those of this owner, as the scorecard names it.",
    "lang": "The language of what people read.",
}


def _asked(told: dict[str, Any]) -> Schema:
    """The schema of a parameter: what is not told is left out, so there is no null."""
    kept = {k: v for k, v in told.items() if k not in ("title", "description", "anyOf")}
    branches: list[Schema] = told.get("anyOf", [])
    inner = next((s for s in branches if s.get("type") != "null"), Schema())
    merged = {**kept, **inner}
    return {k: v for k, v in merged.items() if (k, v) != ("default", None)}


def _body(schema: Schema, told: Any) -> dict[str, Any]:
    return {
        "required": True,
        "content": {"application/json": {"schema": schema, "examples": dict(told)}},
    }


def _json(description: str, schema: Schema) -> dict[str, Any]:
    return {
        "description": description,
        "headers": _headers("X-Request-ID"),
        "content": {"application/json": {"schema": schema}},
    }


def _plain(description: str) -> dict[str, Any]:
    return {
        "description": description,
        "headers": _headers("X-Request-ID"),
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
_OWN_HEADERS = {401: "WWW-Authenticate", 429: "Retry-After", 503: "Retry-After"}
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


def _problem(status: int) -> dict[str, Any]:
    names = ["X-Request-ID", *([_OWN_HEADERS[status]] if status in _OWN_HEADERS else [])]
    return {
        "description": _DETAILS[status],
        "headers": _headers(*names),
        "content": {MEDIA_TYPE: {"schema": ref("Problem")}},
    }


def _headers(*names: str) -> dict[str, Any]:
    return {name: {"$ref": f"#/components/headers/{name}"} for name in names}


def _name(status: int) -> str:
    return TITLES[status].replace(" ", "")


def _answer(status: str) -> dict[str, Any]:
    return {"$ref": f"#/components/responses/{_name(int(status))}"}
