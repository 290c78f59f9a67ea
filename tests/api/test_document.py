"""The document of the API says what is served, and nothing that was released is taken away."""

import json
from copy import deepcopy

import pytest
from jsonschema import Draft202012Validator

import api
from api.document import document, written
from dev.api_document import NOW, RELEASED, breaking
from tests.api.systems import V1


@pytest.fixture
def said():
    return json.loads(json.dumps(document(api.ENDPOINTS)))


def test_the_document_in_the_tree_is_that_of_the_code():
    assert NOW.read_text("utf-8") == written(api.ENDPOINTS), "run `python -m dev.api_document`"


def test_nothing_that_was_released_breaks(said):
    assert breaking(json.loads(RELEASED.read_text("utf-8")), said) == []


def test_each_route_is_described_and_nothing_else(app, said):
    served = {
        (rule.rule.removeprefix(V1), method)
        for rule in app.url_map.iter_rules()
        if rule.rule.startswith(f"{V1}/")
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
    }
    described = {
        (path.replace("{", "<").replace("}", ">"), method.upper())
        for path, methods in said["paths"].items()
        for method in methods
    }
    assert described == served


def test_its_schemas_are_schemas(said):
    for schema in said["components"]["schemas"].values():
        Draft202012Validator.check_schema(schema)


def test_answers_are_as_described(ours, said):
    for path, url in (
        ("/campaigns", f"{V1}/campaigns"),
        ("/campaigns/{campaign}", ours.of_campaign),
        ("/campaigns/{campaign}/recipients", f"{ours.of_campaign}/recipients"),
        ("/campaigns/{campaign}/counts", f"{ours.of_campaign}/counts"),
        ("/campaigns/{campaign}/fields", f"{ours.of_campaign}/fields"),
        ("/campaigns/{campaign}/check", f"{ours.of_campaign}/check"),
        ("/campaigns/{campaign}/payments", f"{ours.of_campaign}/payments"),
        ("/accounts", f"{V1}/accounts"),
    ):
        schema = said["paths"][path]["get"]["responses"]["200"]["content"]["application/json"]["schema"]
        whole = {**schema, "components": said["components"]}
        assert list(Draft202012Validator(whole).iter_errors(ours.get(url).json)) == [], path


def test_document_and_page_are_served_from_here(client):
    assert client.get("/api/openapi.json").json["openapi"] == "3.1.0"
    page = client.get("/api/reference").get_data(as_text=True)
    assert "http://" not in page
    assert "https://" not in page
    for name in ("swagger_bundle.js", "swagger_style.css", "start.js"):
        assert f"/api/reference/{name}" in page
        assert client.get(f"/api/reference/{name}").status_code == 200
    assert client.get("/api/reference/other.js").status_code == 404


def _without(said, *keys):
    changed = deepcopy(said)
    place = changed
    for key in keys[:-1]:
        place = place[key]
    del place[keys[-1]]
    return changed


def test_a_break_is_seen(said):
    assert breaking(said, said) == []
    assert breaking(said, _without(said, "paths", "/campaigns", "get")) == ["GET /campaigns is gone"]
    lacks = breaking(said, _without(said, "components", "schemas", "Campaign", "properties", "state"))
    assert "GET /campaigns/{campaign} 200 lacks state" in lacks
    nullable = deepcopy(said)
    nullable["components"]["schemas"]["Campaign"]["properties"]["people"] = {"type": "string"}
    assert "GET /campaigns/{campaign} 200.people may be string" in breaking(said, nullable)
    wanted = deepcopy(said)
    wanted["components"]["schemas"]["NewCampaign"]["required"].append("starter")
    assert "POST /campaigns now wants starter" in breaking(said, wanted)
    shorter = deepcopy(said)
    shorter["components"]["schemas"]["Settle"]["properties"]["reason"]["maxLength"] = 10
    assert any("bounded closer by maxLength" in one for one in breaking(said, shorter))


def test_an_addition_is_no_break(said):
    more = deepcopy(said)
    more["paths"]["/new"] = more["paths"]["/campaigns"]
    more["components"]["schemas"]["Campaign"]["properties"]["more"] = {"type": "string"}
    more["components"]["schemas"]["NewCampaign"]["properties"]["more"] = {"type": "string"}
    assert breaking(said, more) == []
