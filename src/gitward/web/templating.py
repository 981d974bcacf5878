"""Jinja, with every value escaped, and the words in which pages tell times and numbers."""

from __future__ import annotations

import hashlib
from datetime import datetime, timedelta
from functools import lru_cache
from importlib.resources import files
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from gitward.sessions.model import now
from gitward.web.content.markdown import as_html
from gitward.web.content.visible import one_line, visible

ASSETS = files("gitward.web") / "assets"


@lru_cache(maxsize=32)
def asset_bytes(name: str) -> bytes:
    return (ASSETS / name).read_bytes()


@lru_cache(maxsize=32)
def asset(name: str) -> str:
    """The address of one of our own files; it changes with its content, so that it may be kept for ever."""
    return f"/assets/{hashlib.sha256(asset_bytes(name)).hexdigest()[:12]}/{name}"


def duration(seconds: float | None) -> str:
    """`0.4 s`, `34 s`, `5 min 02 s`, `3 h 20 min`."""
    if seconds is None:
        return ""
    if seconds < 0.1:
        return f"{round(seconds * 1000)} ms"
    if seconds < 10:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"


def age(moment: datetime) -> str:
    """How long ago, in a number and one word; to the minute, so that a list need not change all the time."""
    gone = max(timedelta(0), now() - moment).total_seconds()
    for size, name in ((86400 * 30, "mo"), (86400, "d"), (3600, "h"), (60, "min")):
        if gone >= size:
            return f"{int(gone // size)} {name}"
    return "now"


def number(value: float | None) -> str:
    return "–" if value is None else f"{value:,}"


def dollars(value: float | None) -> str:
    return "–" if value is None else f"${value:,.2f}" if value >= 0.1 or not value else f"${value:.4f}"


def moment(value: datetime) -> Markup:
    """When, as a person says it; the whole time stands beside it for whoever points at it."""
    exact = value.strftime("%Y-%m-%d %H:%M:%S UTC")
    return Markup('<time datetime="{}" title="{}">{}</time>').format(value.isoformat(), exact, age(value))


def coming(value: datetime) -> Markup:
    """When something will be: `in 5 h`, beside the whole time. It is told anew with the page only."""
    left = max(0.0, (value - now()).total_seconds())
    size, name = next((each for each in ((86400, "d"), (3600, "h"), (60, "min")) if left >= each[0]), (1, "s"))
    exact = value.strftime("%a %d %b, %H:%M UTC")
    return Markup('{} <span class="sub">in {} {}</span>').format(exact, int(left // size), name)


def _environment() -> Environment:
    made = Environment(
        loader=PackageLoader("gitward.web"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters |= {
        "visible": visible,
        "line": one_line,
        "markdown": as_html,
        "duration": duration,
        "age": age,
        "moment": moment,
        "coming": coming,
        "number": number,
        "dollars": dollars,
    }
    made.globals |= {"asset": asset}
    return made


_templates = _environment()


def render(name: str, **values: Any) -> str:
    """Blocks for as long as the values are many: long pages are rendered in a thread."""
    return _templates.get_template(name).render(**values)


def part(name: str, macro: str) -> Any:
    """A macro of a template, for a part of a page that is sent alone."""
    return getattr(_templates.get_template(name).module, macro)
