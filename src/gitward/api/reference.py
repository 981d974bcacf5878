"""The API's description for people (`/docs`) and for programs (`/openapi.json`).

The page is one document without a script and loads nothing, because the browser that shows it may hold callers' tokens.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
from collections.abc import Iterator
from html import escape
from typing import Any

from fastapi import APIRouter, FastAPI, Request
from fastapi.responses import HTMLResponse, Response

Json = dict[str, Any]
router = APIRouter(include_in_schema=False)

_STYLE = """
:root { color-scheme: light dark; }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
code, pre { font: 14px/1.4 ui-monospace, monospace; overflow-wrap: anywhere; }
h2 { margin-top: 3rem; } h3 { margin-top: 2rem; border-top: 1px solid #8886; padding-top: 1rem; }
table { border-collapse: collapse; width: 100%; } td { text-align: left; vertical-align: top; padding: .25rem .5rem; }
tr { border-top: 1px solid #8884; } .note { opacity: .75; }
"""
_HASH = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
SECURITY_HEADERS = {
    "Content-Security-Policy": f"default-src 'none'; style-src 'sha256-{_HASH}'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}


class Reference:
    """Both documents, made when they are first asked for, in a thread: there are many fields."""

    def __init__(self, app: FastAPI) -> None:
        self._app = app
        self._lock = asyncio.Lock()
        self._made: tuple[bytes, str] | None = None

    async def documents(self) -> tuple[bytes, str]:
        """The JSON and the page."""
        async with self._lock:
            if self._made is None:
                self._made = await asyncio.to_thread(self._make)
        return self._made

    def _make(self) -> tuple[bytes, str]:
        document = self._app.openapi()
        return json.dumps(document, separators=(",", ":")).encode(), page(document)


@router.get("/openapi.json")
async def openapi(request: Request) -> Response:
    """For programs."""
    content, _ = await _reference(request).documents()
    return Response(content, media_type="application/json")


@router.get("/docs")
async def docs(request: Request) -> HTMLResponse:
    """For people."""
    _, text = await _reference(request).documents()
    return HTMLResponse(text, headers=SECURITY_HEADERS)


def _reference(request: Request) -> Reference:
    reference = request.app.state.reference
    assert isinstance(reference, Reference)
    return reference


def page(document: Json) -> str:
    """An OpenAPI document as one page of HTML."""
    info = document["info"]
    schemas = document["components"]["schemas"]
    parts = [f"<h1>{escape(info['title'])} {escape(info['version'])}</h1>", _prose(info["description"])]
    parts.append('<p>For programs: <a href="openapi.json">openapi.json</a>.</p>')
    for tag in document["tags"]:
        parts.append(f"<h2>{escape(tag['name'])}</h2>{_prose(tag['description'])}")
        parts += [_operation(*each) for each in _operations(document, tag["name"])]
    parts.append("<h2>Shapes</h2>")
    parts += [_shape(name, schema) for name, schema in sorted(schemas.items())]
    body = "\n".join(parts)
    head = f'<meta charset="utf-8"><title>{escape(info["title"])}</title><style>{_STYLE}</style>'
    return f'<!doctype html>\n<html lang="en"><head>{head}</head><body>\n{body}\n</body></html>\n'


def _operations(document: Json, tag: str) -> Iterator[tuple[str, str, Json]]:
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            if tag in operation.get("tags", ()):
                yield method.upper(), path, operation


def _operation(method: str, path: str, operation: Json) -> str:
    identity = escape(operation["operationId"])
    parts = [f'<h3 id="{identity}"><code>{method} {escape(path)}</code></h3>', _prose(operation.get("description", ""))]
    rows = [
        _row(
            each["name"], each["schema"], each["in"], required=each.get("required", False), text=each.get("description")
        )
        for each in operation.get("parameters", ())
    ]
    parts.append(_table(rows))
    content = operation.get("requestBody", {}).get("content", {})
    parts += [f"<p>Body ({escape(kind)}): {_type(each['schema'])}</p>" for kind, each in content.items()]
    answers = [
        f"<tr><td><code>{escape(status)}</code></td><td>{escape(answer['description'])}</td><td>{_contents(answer)}</td></tr>"
        for status, answer in operation["responses"].items()
    ]
    return "\n".join([*parts, f"<table>{''.join(answers)}</table>"])


def _contents(answer: Json) -> str:
    each = (f"{escape(kind)} {_type(what.get('schema', {}))}" for kind, what in answer.get("content", {}).items())
    return "<br>".join(each)


def _shape(name: str, schema: Json) -> str:
    required = schema.get("required", ())
    rows = [
        _row(field, each, "", required=field in required, text=each.get("description"))
        for field, each in schema.get("properties", {}).items()
    ]
    values = "" if rows else f"<p>{_type(schema)}</p>"
    return f'<h3 id="{escape(name)}">{escape(name)}</h3>{_prose(schema.get("description", ""))}{values}{_table(rows)}'


def _row(name: str, schema: Json, place: str, *, required: bool, text: str | None) -> str:
    needed = "required" if required else _default(schema)
    notes = escape(", ".join(filter(None, [place, _bounds(schema)])))
    first = f"<td><code>{escape(name)}</code></td><td>{_type(schema)} <span class=note>{notes}</span></td>"
    return f"<tr>{first}<td>{needed}</td><td>{escape(text or '')}</td></tr>"


def _default(schema: Json) -> str:
    return f"default <code>{escape(json.dumps(schema['default']))}</code>" if "default" in schema else ""


def _table(rows: list[str]) -> str:
    return f"<table>{''.join(rows)}</table>" if rows else ""


def _type(schema: Json) -> str:
    """In a few words, with links to the shapes."""
    if "$ref" in schema:
        name = escape(schema["$ref"].rpartition("/")[2])
        return f'<a href="#{name}">{name}</a>'
    if "anyOf" in schema:
        return " or ".join(_type(each) for each in schema["anyOf"])
    if "enum" in schema or "const" in schema:
        return ", ".join(f"<code>{escape(str(each))}</code>" for each in schema.get("enum", [schema.get("const")]))
    if schema.get("type") == "array":
        return f"list of {_type(schema.get('items', {}))}"
    return escape(" ".join(filter(None, [schema.get("type", "any"), schema.get("format")])))


_BOUNDS = {
    "minLength": "at least {} characters",
    "maxLength": "at most {} characters",
    "minimum": "from {}",
    "maximum": "to {}",
    "maxItems": "at most {} of them",
    "maxProperties": "at most {} of them",
    "pattern": "like {}",
}


def _bounds(schema: Json) -> str:
    found = [schema, *schema.get("anyOf", ())]
    return ", ".join(text.format(each[name]) for each in found for name, text in _BOUNDS.items() if name in each)


def _prose(text: str) -> str:
    """Paragraphs; what stands between backticks is code."""
    paragraphs = (part.split("`") for part in escape(text).split("\n\n") if part.strip())
    return "".join(
        "<p>" + "".join(f"<code>{piece}</code>" if at % 2 else piece for at, piece in enumerate(pieces)) + "</p>"
        for pieces in paragraphs
    )
