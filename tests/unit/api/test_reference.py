"""The page that describes the API: whole, and without anything from elsewhere."""

from __future__ import annotations

import base64
import hashlib
import re
from html.parser import HTMLParser

import httpx2
import pytest

from api import Api
from gitward.api.reference import page


class Elements(HTMLParser):
    """What a page is made of."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: list[tuple[str, str]] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes += [(name, value or "") for name, value in attrs]

    def handle_data(self, data: str) -> None:
        self.text += data


def read(text: str) -> Elements:
    elements = Elements()
    elements.feed(text)
    return elements


async def test_the_page_loads_nothing_and_runs_nothing(stranger: httpx2.AsyncClient) -> None:
    elements = read((await stranger.get("/docs")).text)
    assert not elements.tags & {"script", "link", "img", "iframe", "object", "embed", "form", "base", "svg"}
    assert {name for name, _ in elements.attributes} == {"charset", "lang", "href", "id", "class"}
    links = {value for name, value in elements.attributes if name == "href"}
    assert all(link.startswith("#") or link == "openapi.json" for link in links)
    assert {link[1:] for link in links if link != "openapi.json"} <= {v for n, v in elements.attributes if n == "id"}


async def test_a_browser_would_load_nothing_either(stranger: httpx2.AsyncClient) -> None:
    answer = await stranger.get("/docs")
    style = re.search("<style>(.*)</style>", answer.text, re.DOTALL)
    assert style is not None
    digest = base64.b64encode(hashlib.sha256(style[1].encode()).digest()).decode()
    policy = answer.headers["content-security-policy"].split("; ")
    assert policy == [
        "default-src 'none'",
        f"style-src 'sha256-{digest}'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
    ]
    assert answer.headers["x-content-type-options"] == "nosniff"


async def test_it_describes_every_call_and_every_field(api: Api, stranger: httpx2.AsyncClient) -> None:
    document = (await stranger.get("/openapi.json")).json()
    assert document == api.app.openapi()
    text = read((await stranger.get("/docs")).text).text
    for path, methods in document["paths"].items():
        for method in methods:
            assert f"{method.upper()} {path}" in text
    for schema in document["components"]["schemas"].values():
        for name, field in schema.get("properties", {}).items():
            assert name in text
            assert field.get("description", "") in text


@pytest.mark.parametrize("text", ["<script>alert(1)</script>", '"><img src=x>', "a & b"])
def test_what_it_is_made_of_is_never_markup(text: str) -> None:
    answers = {"200": {"description": text, "content": {text: {"schema": {"type": text, "format": text}}}}}
    parameter = {"name": text, "in": text, "description": text, "schema": {"type": "string", "pattern": text}}
    operation = {"operationId": text, "description": text, "tags": [text], "parameters": [parameter]}
    shape = {"description": text, "properties": {text: {"enum": [text], "description": text, "default": text}}}
    made = page(
        {
            "info": {"title": text, "version": text, "description": text},
            "tags": [{"name": text, "description": text}],
            "paths": {text: {"get": {**operation, "responses": answers}}},
            "components": {"schemas": {text: shape}},
        }
    )
    elements = read(made)
    assert not elements.tags & {"script", "img"}
    assert elements.text.count(text) >= 10
