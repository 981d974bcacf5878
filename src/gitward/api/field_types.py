"""The types of fields in requests: each with the check that decides, and the pattern that describes it."""

from __future__ import annotations

import re
import unicodedata
from typing import Annotated, Any

from pydantic import AfterValidator, Field, PlainValidator, WithJsonSchema

from gitward.api import patterns
from gitward.environments.catalogue import NAME_RULE, is_name
from gitward.github.names import BRANCH_RULE, REPOSITORY_RULE, is_branch, is_repository
from gitward.telemetry.redaction import Redactor

_ENV_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,127}\Z")
_RESERVED_ENV = ("GIT_", "GH_", "GITHUB_", "LD_")
_REVIEWER = re.compile(  # '_' is in the names of enterprise-managed users
    r"[A-Za-z0-9-][A-Za-z0-9_-]{0,99}(?:/[A-Za-z0-9_-]{1,100})?\Z"
)
_JOINERS = "\u200c\u200d"  # of emoji and of some scripts; other format characters can hide or reorder text
MAX_BYTES = 65_536  # of one text; Linux takes 131,072 bytes as one argument or variable


def _repository(value: str) -> str:
    if not is_repository(value):
        raise ValueError(REPOSITORY_RULE)
    return value


def _branch(value: str) -> str:
    if not is_branch(value):
        raise ValueError(BRANCH_RULE)
    return value


def _environment(value: str) -> str:
    if not is_name(value):
        raise ValueError(NAME_RULE)
    return value


def _text(value: str) -> str:
    if "\0" in value:
        raise ValueError("must not contain NUL")
    if not value.strip():
        raise ValueError("must not be blank")
    if len(value.encode()) > MAX_BYTES:
        raise ValueError(f"must be at most {MAX_BYTES} bytes long in UTF-8")
    return value


def _setup(value: object) -> str | bool:
    if isinstance(value, bool):
        return value
    if not isinstance(value, str) or not value:
        raise ValueError("must be a command, true or false")
    if len(value) > MAX_BYTES:
        raise ValueError(f"must be at most {MAX_BYTES} characters long")
    return _text(value)


def _line(value: str) -> str:
    if not value.strip() or not all(map(_is_shown, value)):
        raise ValueError("must be one line of printable characters")
    return value.strip()


def _is_shown(character: str) -> bool:
    return character in _JOINERS or unicodedata.category(character) not in {"Cc", "Cf", "Cs", "Zl", "Zp"}


def _reviewer(value: str) -> str:
    if not _REVIEWER.match(value):
        raise ValueError("must be a GitHub user name (letters, digits, '-' and '_'), or a team as organization/team")
    return value


def whole_number(value: object) -> object:
    """60.0 is an integer to JSON Schema, and what some languages send for one."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


def checked_env(value: dict[str, str]) -> dict[str, str]:
    redactor = Redactor()
    for name, text in value.items():
        if not _ENV_NAME.match(name):
            raise ValueError("a name must be letters, digits and '_', not beginning with a digit")
        if name.upper().startswith(_RESERVED_ENV):
            raise ValueError(f"names that begin with {', '.join(_RESERVED_ENV)} are reserved")
        if "\0" in text or len(text.encode()) > MAX_BYTES:
            raise ValueError(f"a value must be at most {MAX_BYTES} bytes long in UTF-8, without NUL")
        if redactor.text(text) != text:
            raise ValueError("a value looks like a GitHub token; env is stored, so it must not hold one")
    return value


def _like(pattern: str) -> dict[str, Any]:
    """Describes the form of a text; the validator beside it decides."""
    return {"pattern": pattern}


_REPOSITORY = _like(patterns.REPOSITORY)
_LINE = _like(patterns.LINE)
ENV_SCHEMA = {
    "propertyNames": _like(patterns.ENV_NAME),
    "additionalProperties": {"type": "string", "maxLength": MAX_BYTES},
}
Repository = Annotated[
    str, Field(max_length=200, examples=["owner/repo"], json_schema_extra=_REPOSITORY), AfterValidator(_repository)
]
Branch = Annotated[str, Field(max_length=200, json_schema_extra=_like(patterns.BRANCH)), AfterValidator(_branch)]
Title = Annotated[str, Field(min_length=1, max_length=256, json_schema_extra=_LINE), AfterValidator(_line)]
Label = Annotated[str, Field(min_length=1, max_length=50, json_schema_extra=_LINE), AfterValidator(_line)]
Reviewer = Annotated[str, Field(max_length=201, json_schema_extra=_like(patterns.REVIEWER)), AfterValidator(_reviewer)]
LongText = Annotated[str, Field(min_length=1, max_length=65_536), AfterValidator(_text)]
EnvironmentName = Annotated[
    str, Field(max_length=32, json_schema_extra=_like(patterns.ENVIRONMENT)), AfterValidator(_environment)
]
_SETUP = {"anyOf": [{"type": "string", "minLength": 1, "maxLength": MAX_BYTES}, {"type": "boolean"}]}
SetupIn = Annotated[str | bool, PlainValidator(_setup), WithJsonSchema(_SETUP)]
