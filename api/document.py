"""The document of the API (OpenAPI 3.1), made of the very endpoints that are served, and its reference page.

In: the endpoints. Out: JSON at /api/openapi.json, a page that shows it from this server's own files. Can't happen here:
an operation that is served and not described, or the other way round.
"""

import json
from collections.abc import Iterable, Mapping
from importlib import resources
from typing import Any

import msgspec
from flask import Blueprint, Response, abort

from api import answers
from api.door import PREFIX, REPLAYED, Endpoint
from app import limits
from app.api_access.idempotency import LONGEST_KEY
from app.api_access.keys import Scope
from app.web import bare_problems

ADDRESS = f"{limits.API}openapi.json"
_REFERENCE = f"{limits.API}reference"
_REF = "#/components/schemas/{name}"
_PROBLEM = "ProblemAnswer"
_ASSETS: Mapping[str, str] = {
    "swagger_bundle.js": "text/javascript",
    "swagger_preset.js": "text/javascript",
    "swagger_style.css": "text/css",
}
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; connect-src 'self';"
    " base-uri 'none'; frame-ancestors 'none'"
)
_START = f"""
window.onload = () => SwaggerUIBundle({{
  url: "{ADDRESS}", dom_id: "#reference", presets: [SwaggerUIBundle.presets.apis], supportedSubmitMethods: []
}});
"""
_PAGE = f"""<!doctype html><html lang="en"><meta charset="utf-8">
<meta name="viewport" content="width=device-width"><title>Todoke API</title>
<link rel="stylesheet" href="{_REFERENCE}/swagger_style.css"><main id="reference"></main>
<script src="{_REFERENCE}/swagger_bundle.js"></script><script src="{_REFERENCE}/start.js"></script></html>
"""
_IDS: Mapping[str, str] = {
    "campaign": "A campaign's id (cmp_…).",
    "recipient": "A recipient's id (rcp_…), or the company's own number (ref:A-123).",
    "payment": "A payment's id (pay_…).",
}
_PROBLEMS: Mapping[int, str] = {
    400: "The request can't be read, or lacks its Idempotency-Key.",
    403: "The key doesn't open this from this address, or lacks the scope.",
    404: "There is no such thing in this company.",
    405: "This address doesn't take this method.",
    409: "It can't be done as things stand, or the same is under way (Retry-After).",
    413: "The body is too large.",
    422: "The body or the query has faults, named in errors; or the Idempotency-Key was used for something else.",
    429: "Too many requests: see Retry-After.",
    500: "A fault of ours.",
    503: "Sending is held, or the database is busy: see Retry-After.",
}


def document(endpoints: Iterable[Endpoint]) -> dict[str, Any]:
    """Return the document of these endpoints."""
    endpoints = list(endpoints)
    kinds: list[Any] = [answers.ProblemAnswer]
    for one in endpoints:
        kinds += [kind for kind in (one.answers, one.body, one.query) if kind is not None]
    _, schemas = msgspec.json.schema_components(list(dict.fromkeys(kinds)), ref_template=_REF)
    paths: dict[str, dict[str, Any]] = {}
    for one in endpoints:
        paths.setdefault(_path(one), {})[one.method.lower()] = _operation(one, schemas)
    queries = {one.query.__name__ for one in endpoints if one.query is not None}
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Todoke API",
            "version": "1.0.0",
            "description": "Server to server. Codes of problems are explained at /api/problems.",
        },
        "servers": [{"url": PREFIX}],
        "security": [{"key": []}],
        "paths": dict(sorted(paths.items())),
        "components": {
            "schemas": {name: schema for name, schema in sorted(schemas.items()) if name not in queries},
            "securitySchemes": {
                "key": {"type": "http", "scheme": "bearer", "description": "A key (tdk_live_…, tdk_test_…)."}
            },
        },
    }


def written(endpoints: Iterable[Endpoint]) -> str:
    """Return the document as it is served and kept in the tree."""
    return json.dumps(document(endpoints), ensure_ascii=False, indent=1) + "\n"


def _path(endpoint: Endpoint) -> str:
    return endpoint.rule.replace("<", "{").replace(">", "}")


def _operation(endpoint: Endpoint, schemas: Mapping[str, Any]) -> dict[str, Any]:
    said = (endpoint.view.__doc__ or "").strip()
    operation: dict[str, Any] = {
        "operationId": endpoint.name,
        "summary": said.partition(".")[0] + ".",
        "description": f"{said} Scope: {endpoint.scope}.",
        "tags": [_tag(endpoint.scope)],
        "parameters": list(_parameters(endpoint, schemas)),
        "responses": _responses(endpoint),
    }
    if endpoint.body is not None:
        schema = {"$ref": _REF.format(name=endpoint.body.__name__)}
        operation["requestBody"] = {"required": True, "content": {answers.JSON: {"schema": schema}}}
    return operation


def _tag(scope: Scope) -> str:
    return str(scope)


def _parameters(endpoint: Endpoint, schemas: Mapping[str, Any]) -> Iterable[dict[str, Any]]:
    for name, words in _IDS.items():
        if f"<{name}>" in endpoint.rule:
            text = {"type": "string", "minLength": 1, "maxLength": 200}
            yield {"name": name, "in": "path", "required": True, "description": words, "schema": text}
    if endpoint.query is not None:
        for name, schema in schemas[endpoint.query.__name__]["properties"].items():
            yield {"name": name, "in": "query", "required": False, "schema": schema}
    if endpoint.method == "POST":
        yield {
            "name": "Idempotency-Key",
            "in": "header",
            "required": True,
            "description": "Another value for each operation, the same for its retries; kept for 72 hours.",
            "schema": {"type": "string", "pattern": "^[!-~]+$", "minLength": 1, "maxLength": LONGEST_KEY},
        }


def _responses(endpoint: Endpoint) -> dict[str, Any]:
    headers = {
        name: {"schema": {"type": "string"}}
        for name in ("RateLimit-Policy", "RateLimit", *([REPLAYED] if endpoint.method == "POST" else []))
    }
    schema = {"$ref": _REF.format(name=endpoint.answers.__name__)}
    answer = {"description": "Done.", "headers": headers, "content": {answers.JSON: {"schema": schema}}}
    problem = {bare_problems.MEDIA_TYPE: {"schema": {"$ref": _REF.format(name=_PROBLEM)}}}
    problems = {str(status): {"description": words, "content": problem} for status, words in _PROBLEMS.items()}
    return {str(endpoint.status): answer, **problems}


def blueprint(endpoints: Iterable[Endpoint]) -> Blueprint:
    """Return the routes of the document and of its page."""
    pages = Blueprint("api_document", __name__)
    said = written(endpoints)

    @pages.get(ADDRESS)
    def openapi() -> Response:
        """Return the document."""
        return Response(said, 200, {"Content-Type": answers.JSON, "Cache-Control": "no-cache"})

    @pages.get(_REFERENCE)
    def reference() -> Response:
        """Show the document."""
        headers = {"Content-Type": "text/html; charset=utf-8", "Content-Security-Policy": _POLICY}
        return Response(_PAGE, 200, {**headers, "Cache-Control": "no-cache"})

    @pages.get(f"{_REFERENCE}/<name>")
    def asset(name: str) -> Response:
        """Return one of the page's files."""
        kept = {"Cache-Control": "public, max-age=3600"}
        if name == "start.js":
            return Response(_START, 200, {"Content-Type": "text/javascript", **kept})
        if name not in _ASSETS:
            abort(404)
        data = resources.files("offapi").joinpath(name).read_bytes()
        return Response(data, 200, {"Content-Type": f"{_ASSETS[name]}; charset=utf-8", **kept})

    return pages
