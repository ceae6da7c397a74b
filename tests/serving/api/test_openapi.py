"""The OpenAPI document: valid, complete, and true."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
from schemathesis.specs.openapi.definitions import OPENAPI_30, OPENAPI_31
from starlette.routing import Route

from features.clock import iso
from serving.api.openapi.document import build_openapi
from serving.leads.field_types import parse_number
from serving.web import permissions as access
from tests.helpers.service.service_app import App, small_app
from tests.serving.api.openapi_fields import document_fields, problem_fields

TIMESTAMP = "2025-04-01T10:00:00+09:00"
OF_BENTOML = {"/livez", "/readyz"}
"""BentoML answers these."""


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[App]:
    with small_app(tmp_path_factory.mktemp("app")) as service_app:
        yield service_app


@pytest.fixture(scope="module")
def document(app: App) -> dict[str, Any]:
    """The document as the service gives it."""
    answer = app.get("/v1/openapi.json")
    assert answer.status_code == 200
    body: dict[str, Any] = answer.json()
    assert body == json.loads(json.dumps(build_openapi(app.components.crm)))
    return body


def operations(document: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield method.upper(), path, operation


def make_validator(document: dict[str, Any], schema: dict[str, Any]) -> Any:
    """Checks values against a schema of the document."""
    full_schema = {**schema, "components": document["components"]}
    return jsonschema_rs.Draft202012Validator(full_schema, validate_formats=True)


def close_schema(schema: Any) -> Any:
    """A schema in which no object may have more than the described properties."""
    if isinstance(schema, list):
        return [close_schema(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    closed_schema = {key: close_schema(value) for key, value in schema.items()}
    if isinstance(closed_schema.get("properties"), dict) and "type" in closed_schema:
        closed_schema.setdefault("additionalProperties", False)
    return closed_schema


def test_the_document_is_valid_openapi(document: dict[str, Any]) -> None:
    jsonschema_rs.Draft202012Validator(OPENAPI_31).validate(document)
    for name, schema in document["components"]["schemas"].items():
        assert jsonschema_rs.meta.is_valid(schema), name
        make_validator(document, schema)  # which fails where a reference or a pattern does not hold


def test_paths_fields_and_codes_are_those_that_were_published(document: dict[str, Any]) -> None:
    """The file was made from the document of the first release; see `document_fields`."""
    published = json.loads((Path(__file__).parents[2] / "data/openapi-fields.json").read_text("utf-8"))
    assert {"paths": document_fields(document), "problem": problem_fields(document)} == published


def test_schemas_keep_their_published_names(document: dict[str, Any]) -> None:
    published = (
        "Activity Attributes Batch BatchAnswer CallList Change History HotLead Lead ModelInUse Problem"
    )
    parts = "Acknowledgement ActionAnswer ModelAnswer PastScore PersonAnswer Problem Reason Score WrongField"
    assert {*published.split(), *parts.split()} <= set(document["components"]["schemas"])


def test_every_route_is_described_and_nothing_else(app: App, document: dict[str, Any]) -> None:
    routes = {
        (method, route.path)
        for route in app.web_app.routes
        if isinstance(route, Route) and not access.is_page(route.path) and route.path != access.ROOT
        for method in (route.methods or ())
        if method != "HEAD"
    }
    described = {(method, path) for method, path, _ in operations(document)}
    assert {method_path for method_path in described if method_path[1] not in OF_BENTOML} == routes
    assert {
        method_path for method_path in access.PERMISSIONS if method_path[1].startswith("/v1/")
    } <= described
    assert described <= set(access.PERMISSIONS)


def test_each_operation_has_a_name_a_tag_and_words(document: dict[str, Any]) -> None:
    all_operations = list(operations(document))
    names = [operation["operationId"] for _, _, operation in all_operations]
    assert len(set(names)) == len(names)
    tags = {tag["name"] for tag in document["tags"]}
    for _, path, operation in all_operations:
        assert operation["summary"], path
        assert set(operation["tags"]) <= tags


def test_roles_are_those_of_the_table(document: dict[str, Any]) -> None:
    for method, path, operation in operations(document):
        roles = access.PERMISSIONS[method, path]
        if path in OF_BENTOML:
            assert operation["security"] == []
        else:
            assert set(operation["x-roles"]) == roles
            assert ("403" in operation["responses"]) == (len(roles) < 3)


def bodies(document: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any], Any]]:
    """Path, schema and value of each example."""
    for _, path, operation in operations(document):
        for media in operation.get("requestBody", {}).get("content", {}).values():
            for example in media["examples"].values():
                yield path, media["schema"], example["value"]


def test_examples_hold_and_are_answered(app: App, document: dict[str, Any]) -> None:
    examples = sorted(bodies(document), key=lambda example: "score" in example[0])  # records come first
    assert {path for path, _, _ in examples} == {
        path for method, path in access.PERMISSIONS if method == "POST" and path.startswith("/v1/")
    }
    for path, schema, body in examples:
        make_validator(document, schema).validate(body)
        answer = app.post(path, body)
        assert answer.is_success, (path, answer.text)
        check(document, "post", path, answer)
    for _, _, body in examples:
        if isinstance(body, dict) and "lead_id" in body and "activities" in body:
            answer = app.get(f"/v1/scores?lead_id={body['lead_id']}")
            check(document, "get", "/v1/scores", answer)
    app.post("/v1/score", {"lead_id": "H", "activities": [{"type": "quote", "at": now(app)}]})
    for path in ("/v1/hot", "/v1/model"):
        check(document, "get", path, app.get(path))
    assert app.get("/v1/hot").json()["leads"]


def now(app: App) -> str:
    return iso(app.components.clock())


def check(document: dict[str, Any], method: str, path: str, answer: Any) -> None:
    """An answer is as described, and holds nothing that is not."""
    response = document["paths"][path][method]["responses"][str(answer.status_code)]
    full_schema = close_schema(
        {**response["content"]["application/json"]["schema"], "components": document["components"]}
    )
    jsonschema_rs.Draft202012Validator(full_schema, validate_formats=True).validate(answer.json())


def test_attributes_are_described_in_the_words_of_the_company(document: dict[str, Any]) -> None:
    properties = document["components"]["schemas"]["Attributes"]["properties"]
    assert set(properties) == {"channel", "employees", "budget", "authority", "need", "months"}
    assert properties["channel"]["description"] == (
        "Channel / 流入チャネル (category). Values with words: referral."
    )
    assert properties["employees"]["$ref"].endswith("/NumberValue")


ATTRIBUTES = [
    {"channel": "referral", "employees": 120, "hobby": "go"},
    {"employees": "1,200"},
    {"employees": None},
    {"employees": " 1.2E+03 "},
    {"employees": "NA"},
    {"employees": ""},
    {"channel": True},
    {"employees": "many"},
    {"employees": True},
    {"employees": "1_000"},
    {"employees": "1e99"},
    {"employees": 1e16},
    {"channel": ["a"]},
    {"channel": {}},
    {"hobby": "a\0b"},
    {"": 1},
    {"a\nb": 1},
]
VALUES: tuple[Any, ...] = ("3", "soon", 3, None, True, [])
STEPS: tuple[dict[str, Any], ...] = (
    {},
    {"reason": ""},
    {"reason": "x"},
    {"hearing": {}},
    {"hearing": None},
    {"hearing": {"timing": "3"}},
    {"hearing": {"timing": "soon"}},
    {"hearing": {"budget": 3}},
    {"due_at": TIMESTAMP},
    {"due_at": None},
    {"due_at": "soon"},
    {"more": 1},
)
BODIES: list[tuple[str, Any]] = [
    *(("/v1/score", {"lead_id": "L1", "attributes": attributes}) for attributes in ATTRIBUTES),
    *(
        ("/v1/leads", {"lead_id": "L1", "updated_at": TIMESTAMP, "attributes": attributes})
        for attributes in ATTRIBUTES
    ),
    *(
        ("/v1/score", {"lead_id": lead_id, "attributes": {}})
        for lead_id in ("", "a\tb", "x" * 201, 7, None, "é")
    ),
    *(
        ("/v1/score", {"lead_id": "L1", "changes": [{"column": c, "value": v, "at": TIMESTAMP}]})
        for c in ("months", "hobby", "budget")
        for v in VALUES
    ),
    *(
        ("/v1/handovers", {"lead_id": f"{step} {more}", "step": step, "at": TIMESTAMP, **more})
        for step in ("handed_over", "accepted", "sent_back", "hearing", "first_contact", "next_action", "x")
        for more in STEPS
    ),
    ("/v1/overrides", {"lead_id": "L1", "verdict": "hot", "reason": " ", "by": "y", "at": TIMESTAMP}),
    ("/v1/overrides", {"lead_id": "L2", "verdict": "warm", "reason": "x", "by": "y", "at": TIMESTAMP}),
    ("/v1/outcomes", {"lead_id": "L1", "outcome": "open", "closed_at": TIMESTAMP}),
    ("/v1/outcomes", {"lead_id": "L1", "outcome": "won", "closed_at": TIMESTAMP, "version": 0}),
    ("/v1/outcomes", {"lead_id": "L1", "outcome": "won", "closed_at": TIMESTAMP, "version": 3.0}),
    ("/v1/outcomes", {"lead_id": "L2", "outcome": "won", "closed_at": TIMESTAMP, "version": 1.5}),
    ("/v1/outcomes", []),
    ("/v1/outcomes", [[]]),
    ("/v1/outcomes", "x"),
    ("/v1/score/batch", {"leads": []}),
    ("/v1/activities", {"lead_id": "L1", "type": "visit", "at": "2025-04-01"}),
    ("/v1/activities", {"lead_id": "L1", "type": "visit", "at": 1743469200}),
    ("/v1/activities", {"lead_id": "L1", "type": "visit", "at": TIMESTAMP, "value": "3"}),
]


@pytest.mark.parametrize(("path", "body"), BODIES, ids=str)
def test_the_schema_demands_what_the_code_demands(
    app: App, document: dict[str, Any], path: str, body: Any
) -> None:
    media = document["paths"][path]["post"]["requestBody"]["content"]["application/json"]
    holds = make_validator(document, media["schema"]).is_valid(body)
    answer = app.post(path, body)
    assert answer.status_code in ((200, 201, 409) if holds else (422,)), answer.text


@pytest.mark.parametrize(
    "text",
    [
        "0",
        "-5",
        "+5",
        "5.",
        "1,200",
        "1,200,300.5",
        "12,00",
        "1,2",
        "1e5",
        "1E+05",
        "1.5e-12",
        "1e15",
        "1e14",
        "9.9E+14",
        "",
        " ",
        "NA",
        "N",
        "0x1",
        "--1",
        "1 2",
        ".5",
        "999999999999999",
        "1000000000000000",
    ],
)
def test_texts_of_numbers_are_described_as_they_are_read(
    app: App, document: dict[str, Any], text: str
) -> None:
    described = make_validator(document, document["components"]["schemas"]["NumberValue"]).is_valid(text)
    try:
        number = parse_number(text, {"", *app.components.crm.missing})
        assert number is None or abs(number) < 1e15
        read = True
    except ValueError:
        read = False
    assert described == read


def test_queries_are_described_as_they_are_read(app: App, document: dict[str, Any]) -> None:
    parameters = {
        path: {p["name"]: p for p in operation["parameters"] if p.get("in") == "query"}
        for _, path, operation in operations(document)
        if "parameters" in operation
    }
    assert set(parameters["/v1/score"]) == set(parameters["/v1/score/batch"]) == {"explain", "lang", "as_of"}
    assert set(parameters["/v1/scores"]) == {"lead_id", "limit"}
    assert parameters["/v1/scores"]["lead_id"]["required"]
    assert set(parameters["/v1/hot"]) == {"owner", "limit", "lang", "after"}
    limit = parameters["/v1/hot"]["limit"]["schema"]
    for value in (0, 1, 1000, 1001):
        holds = make_validator(document, limit).is_valid(value)
        assert (app.get(f"/v1/hot?limit={value}").status_code == 200) == holds


@pytest.mark.parametrize("word", ["#N/A", "n.a.", "(none)", "?", "-", "a|b", "x\\y", "[1]", "$"])
def test_a_word_for_what_is_missing_is_described_as_it_is(tmp_path: Path, word: str) -> None:
    with small_app(tmp_path) as app:
        crm = app.components.crm.model_copy(update={"missing": (word,)})
        document = build_openapi(crm)
        number_validator = make_validator(document, document["components"]["schemas"]["NumberValue"])
        assert number_validator.is_valid(word)
        assert not number_validator.is_valid(word + "x")


def test_the_simple_document_is_valid_openapi_3_0(app: App, document: dict[str, Any]) -> None:
    answer = app.get("/v1/openapi.json?version=3.0")
    assert answer.status_code == 200
    simple = answer.json()
    jsonschema_rs.Draft4Validator(OPENAPI_30).validate(simple)
    assert set(simple["paths"]) == {path for path in document["paths"] if path.startswith("/v1/")}
    text = json.dumps(simple)
    for word in ('"null"', '"const"', '"anyOf"', '"oneOf"', '"if"', '"propertyNames"'):
        assert word not in text
    for place in set(re.findall(r'"\$ref": "#/components/schemas/(\w+)"', text)):
        assert place in simple["components"]["schemas"]
    lead = simple["components"]["schemas"]["LeadIn"]["properties"]
    assert lead["version"] == {
        "type": "integer",
        "minimum": 1,
        "maximum": 10**9,
        "description": "A later one corrects.",
    }
    assert simple["components"]["schemas"]["NumberValue"]["type"] == "number"
    result = simple["components"]["schemas"]["BatchResult"]["properties"]
    assert result["status"]["type"] == "integer"
    assert result["answer"]["nullable"]


def test_the_simple_document_agrees_with_the_full_one(app: App, document: dict[str, Any]) -> None:
    """The examples of the full document are valid by the simple one too."""
    simple = app.get("/v1/openapi.json?version=3.0").json()
    for path, _, body in bodies(document):
        media = simple["paths"][path]["post"]["requestBody"]["content"]["application/json"]
        full_schema = {**media["schema"], "components": simple["components"]}
        if isinstance(body, dict):
            jsonschema_rs.Draft4Validator(full_schema).validate(body)


def test_another_version_of_openapi_is_not_known(app: App) -> None:
    assert app.get("/v1/openapi.json?version=2.0").status_code == 422
