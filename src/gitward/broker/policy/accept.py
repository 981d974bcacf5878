"""The forms in which a request may ask for an answer of GitHub's API, and in which the answer may come."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from gitward.errors import PolicyDenied

RULE = "rest.accept"
JSON = "application/vnd.github+json"
# Rendered HTML is not among them: its images have addresses that open private files without any other credential.
# Previews change what a call does; they are left out, because gh 2.23 sends two with every request.
_FORMS = {
    "*/*": False,
    "application/*": False,
    "application/json": False,
    JSON: False,
    "application/vnd.github.text+json": False,
    "application/vnd.github.text-match+json": False,
    "application/vnd.github.object": False,
    "application/vnd.github.object+json": False,
    "application/vnd.github.raw": True,
    "application/vnd.github.raw+json": True,
    "application/vnd.github.diff": True,
    "application/vnd.github.patch": True,
    "application/vnd.github.sha": True,
}  # and whether the answer is a plain text, which need not be JSON
PLAIN = tuple(form.rpartition(".")[2] for form, plain in _FORMS.items() if plain and not form.endswith("+json"))
_PREVIEW = re.compile(r"application/vnd\.github\.[a-z0-9-]{1,100}-preview(?:\+json)?")
_JSON_TYPE = re.compile(r"application/(?:[a-z0-9.-]{1,100}\+)?json")
_PLAIN_TYPE = re.compile(
    rf"application/vnd\.github\.(?:v3\.)?(?:{'|'.join(PLAIN)})(?:\+json)?|text/plain|application/octet-stream"
)


@dataclass(frozen=True, kw_only=True)
class Accepted:
    """What goes upstream as `Accept`, and what may come back beside JSON."""

    header: str = JSON
    plain: bool = False  # one of the texts that can be asked for
    anything: bool = False  # git reads what it gets by itself

    def fits(self, content_type: str) -> bool:
        """Whether an answer may say that it is this."""
        return self.anything or is_json(content_type) or (self.plain and bool(_PLAIN_TYPE.fullmatch(content_type)))


ANYTHING = Accepted(header="*/*", anything=True)


def accepted(values: Iterable[str]) -> Accepted:
    """What of the headers `Accept` is asked for upstream. Raises PolicyDenied when there is nothing left of them."""
    asked = [part.partition(";")[0].strip(" \t").lower() for value in values for part in value.split(",")]
    named = [form for form in asked if form and not _PREVIEW.fullmatch(form)]
    known = list(dict.fromkeys(form for form in map(_plainly, named) if form in _FORMS))
    if named and not known:
        raise PolicyDenied(
            RULE,
            f"answers are available as JSON, or as {', '.join(PLAIN[:-1])} or {PLAIN[-1]} (Accept: "
            f"application/vnd.github.{PLAIN[0]}), not as {named[0][:60]}",
        )
    return Accepted(header=", ".join(known) or JSON, plain=any(_FORMS[form] for form in known))


def _plainly(form: str) -> str:
    """Without the version: `application/vnd.github.v3.diff` and `application/vnd.github.diff` are the same."""
    return form.replace(".v3+", "+", 1).replace(".v3.", ".", 1)


def is_json(content_type: str) -> bool:
    """Whether an answer says that it is JSON. GitHub's `…raw+json` is a file as it is."""
    return bool(_JSON_TYPE.fullmatch(content_type)) and not _PLAIN_TYPE.fullmatch(content_type)
