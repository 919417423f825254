"""The reward server's OpenAPI description: its routes, and the bodies they take as this very server takes them.

The framework would describe a body that is a parameter of a route, but it would also read it whole; here limits come
first, so that routes take the bare request, and their bodies are described here.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from gotr1_eval.web.reward_schemas import PROTOCOL, BatchRequest, HandshakeRequest, ScoreRequest, Terms

_BODIES: Mapping[str, type[BaseModel]] = {"/score": ScoreRequest, "/": BatchRequest, "/handshake": HandshakeRequest}


def describe(app: FastAPI, terms: Terms) -> dict[str, Any]:
    """The routes of a server with these terms; formed once for an application."""
    if app.openapi_schema is None:
        described = get_openapi(title=app.title, version=PROTOCOL, routes=app.routes)
        app.openapi_schema = _with_bodies(described, terms)
    return app.openapi_schema


def _with_bodies(description: dict[str, Any], terms: Terms) -> dict[str, Any]:
    place = "#/components/schemas/{model}"
    _, described = models_json_schema([(model, "validation") for model in _BODIES.values()], ref_template=place)
    schemas = copy.deepcopy(described["$defs"])
    names = {"type": "string", "enum": list(terms.served)}
    for name in ("ScoreItem", "BatchRequest", "HandshakeRequest"):
        fields = schemas[name]["properties"]
        fields["scorer_version"].pop("anyOf")
        fields["scorer_version"]["enum"] = [terms.scorer_version, None]
        if "required_rewards" in fields:
            fields["required_rewards"]["items"] = names
    schemas["BatchRequest"]["properties"]["reward"]["anyOf"] = [names, *([{"type": "null"}] if terms.headline else [])]
    schemas["HandshakeRequest"]["example"]["required_rewards"] = [terms.served[-1]]
    schemas["ScoreRequest"]["example"]["requests"][0]["required_rewards"] = [terms.served[-1]]
    components = description.setdefault("components", {})
    components.setdefault("schemas", {}).update(schemas)
    components["securitySchemes"] = {
        "header": {"type": "http", "scheme": "bearer"},
        "password": {"type": "http", "scheme": "basic", "description": "The token is the password."},
        "query": {"type": "apiKey", "in": "query", "name": "token"},
    }
    for path, model in _BODIES.items():
        schema = {"$ref": place.format(model=model.__name__)}
        body = {"required": True, "content": {"application/json": {"schema": schema}}}
        description["paths"][path]["post"]["requestBody"] = body
    for route in description["paths"].values():
        for operation in route.values():
            operation["security"] = [{}, {"header": []}, {"password": []}, {"query": []}]
    return description
