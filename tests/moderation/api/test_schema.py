"""The OpenAPI document: valid, complete, and true of what the API answers; and the page that shows it."""

from collections.abc import Iterator
from typing import Any

import pytest
import yaml
from django.urls import reverse
from drf_spectacular.drainage import GENERATOR_STATS
from drf_spectacular.generators import SchemaGenerator
from openapi_schema_validator import OAS31Validator
from openapi_spec_validator import OpenAPIV31SpecValidator
from playwright.sync_api import ConsoleMessage, Page, Request, expect
from pytest_django.live_server_helper import LiveServer

from tests import world as w
from tests.media import gif, picture
from tests.world import World, api_client

LIST, ONE = "/api/v1/submissions/", "/api/v1/submissions/{id}/"


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    """The document as the generator makes it."""
    made: dict[str, Any] = SchemaGenerator().get_schema(request=None, public=True)
    return made


def operations(document: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for path, methods in document["paths"].items():
        yield from ((f"{method} {path}", operation) for method, operation in methods.items())


def check_body(document: dict[str, Any], path: str, method: str, answer: Any) -> None:
    """Compare an answer with what the document promises for its status and type."""
    promised = document["paths"][path][method]["responses"][str(answer.status_code)]["content"]
    schema = promised[answer["Content-Type"]]["schema"]
    OAS31Validator({**schema, "components": document["components"]}).validate(answer.json())


def test_it_is_valid_and_made_without_a_warning(capsys: pytest.CaptureFixture[str]) -> None:
    GENERATOR_STATS.reset()
    OpenAPIV31SpecValidator(SchemaGenerator().get_schema(request=None, public=True)).validate()
    assert not GENERATOR_STATS, capsys.readouterr().err


def test_json_and_yaml_for_everybody(document: dict[str, Any]) -> None:
    client = api_client()
    as_json = client.get("/api/v1/schema/")
    assert as_json["Content-Type"].startswith("application/vnd.oai.openapi+json")
    as_yaml = client.get("/api/v1/schema/?format=yaml")
    assert as_json.json()["paths"].keys() == yaml.safe_load(as_yaml.content)["paths"].keys() == document["paths"].keys()


def test_every_address_is_in_it(document: dict[str, Any]) -> None:
    assert set(document["paths"]) == {LIST, ONE, "/api/v1/labels/"}
    assert {operation["operationId"] for _, operation in operations(document)} == {
        "create_submission",
        "get_submission",
        "list_labels",
        "list_submissions",
    }


def test_every_operation_says_who_may_and_what_goes_wrong(document: dict[str, Any]) -> None:
    assert document["components"]["securitySchemes"]["token"]["scheme"] == "bearer"
    for name, operation in operations(document):
        assert operation["security"] == [{"token": []}], name
        for status in ("401", "403", "429", "503"):
            content = operation["responses"][status]["content"]
            assert content.keys() == {"application/problem+json"}, name
            assert content["application/problem+json"]["schema"] == {"$ref": "#/components/schemas/ProblemDetails"}


def test_an_upload(document: dict[str, Any]) -> None:
    operation = document["paths"][LIST]["post"]
    form = operation["requestBody"]["content"]
    assert form.keys() == {"multipart/form-data"}
    name = form["multipart/form-data"]["schema"]["$ref"].rpartition("/")[2]
    schema = document["components"]["schemas"][name]
    assert schema["required"] == ["file"]
    assert schema["properties"]["file"] | {"description": ""} == {
        "type": "string",
        "format": "binary",
        "description": "",
    }
    assert set(schema["properties"]) == {"file", "policy", "external_id", "metadata"}
    assert {each["name"]: each["in"] for each in operation["parameters"]} == {
        "wait": "query",
        "Idempotency-Key": "header",
    }
    assert {"200", "202", "400", "413", "415", "422"} <= set(operation["responses"])
    assert set(operation["responses"]["202"]["headers"]) == {"Location", "Idempotency-Replayed"}


def test_a_list(document: dict[str, Any]) -> None:
    parameters = {each["name"]: each["schema"] for each in document["paths"][LIST]["get"]["parameters"]}
    filters = {"status", "source", "external_id", "created_after", "created_before"}
    assert set(parameters) == filters | {"cursor", "limit"}
    assert parameters["limit"]["maximum"] == 200


def test_the_examples_are_true(document: dict[str, Any]) -> None:
    seen = 0
    for _, operation in operations(document):
        for response in operation["responses"].values():
            for content in response.get("content", {}).values():
                for example in content.get("examples", {}).values():
                    schema = {**content["schema"], "components": document["components"]}
                    OAS31Validator(schema).validate(example["value"])
                    seen += 1
    assert seen >= 3


def test_the_answers_are_as_promised(world: World, document: dict[str, Any]) -> None:
    client = api_client(world.key)
    for label in (None, "Weapons", "Blood & Gore"):
        pk = w.analysed(world.acme, label).pk
        check_body(document, ONE, "get", client.get(f"{LIST}{pk}/"))
    check_body(document, LIST, "get", client.get(LIST))
    check_body(document, "/api/v1/labels/", "get", client.get("/api/v1/labels/"))
    for data, status in ((picture(), 202), (gif(), 415), (b"", 400), (b"\xff\xd8\xff", 422)):
        answer = client.post(LIST, {"file": w.upload(data)})
        assert answer.status_code == status
        check_body(document, LIST, "post", answer)


# --- the page ---


def test_the_page_brings_its_own_files() -> None:
    answer = api_client().get(reverse("api-docs"))
    html = answer.content.decode()
    assert "<style" not in html and "://" not in html
    assert "script-src 'self'" in answer["Content-Security-Policy"]
    script = api_client().get(reverse("api-docs") + "?script=")
    assert script["Content-Type"] == "application/javascript"
    assert reverse("api-schema") in script.content.decode()


@pytest.mark.django_db(transaction=True)
def test_the_page_tries_a_token_and_breaks_no_rule(page: Page, live_server: LiveServer, transactional_db: None) -> None:
    world = w.build()
    said: list[str] = []
    asked: list[str] = []

    def note(message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            said.append(message.text)

    def ask(request: Request) -> None:
        asked.append(request.url)

    page.on("console", note)
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("request", ask)
    page.goto(f"{live_server.url}/api/v1/docs/")
    page.get_by_role("button", name="Authorize").first.click()
    page.get_by_label("Value").fill(world.key.token)
    page.get_by_role("button", name="Apply credentials").click()
    page.get_by_role("button", name="Close", exact=True).click()
    page.locator("#operations-Labels-list_labels").click()
    page.get_by_role("button", name="Try it out").click()
    page.get_by_role("button", name="Execute").click()
    expect(page.locator(".live-responses-table tr.response .response-col_status")).to_contain_text("200")
    assert said == []
    assert [url for url in asked if not url.startswith((live_server.url, "data:", "blob:"))] == []
