"""Writes the pages that are made from the code: docs/settings.md and docs/policy.md. `scripts/docs` runs it.

With `--check` nothing is written: the exit code is 1 when the page is not what the settings say now.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from gitward.broker import policy_page
from gitward.settings import Settings

_HEAD = """\
# Settings

<!-- Written by scripts/docs from src/gitward/settings.py. Change the fields there, then run scripts/docs. -->

Gitward reads its settings once, at start, from the environment.
Names are spelled exactly as below. An empty value is no value. A wrong value, and a name that begins with `GITWARD_`
and stands in no row, stop the start with one line each and exit code 2.

`gitward serve` and `gitward token` must see the same `GITWARD_DATA_DIR` and `GITWARD_OIDC_AUDIENCE`: the key that signs
the JWTs lies in the data folder.

## The token

`GITHUB_TOKEN` is looked for in this order; the first place that is set counts.

| place | when it is read |
|---|---|
| the environment | once, at start; then it is removed from what child processes inherit |
| the file that `GITHUB_TOKEN_FILE` names | again for every run, and while it goes on |
| `GITHUB_TOKEN` in `.env` | again for every run, and while it goes on |

With `GITHUB_APP_ID` none of these is used: tokens come from a GitHub App ([tokens.md](tokens.md)).

## The file `.env`

A file `.env` in the working folder is for secrets: `GITHUB_TOKEN`, `ANTHROPIC_API_KEY`, `OPENAI_API_KEY`,
`GEMINI_API_KEY`, `GITWARD_OIDC_CLIENT_SECRET` (for a sign-in in the browser; nothing reads it yet), and the variables
that `GITWARD_INJECT` names. What is exported comes first. Any other name in it stops the start with a sentence,
`GITWARD_INJECT` itself included: whoever can write such a file must not say where tokens go. So does a file that
belongs to another user than the service's, one that others may write, and one in a folder that others may write. The
start logs the names that came from it, never their values.

The service starts without a token. Runs then fail with `token_missing` and can be retried.

## All settings

| name | default | values | what it does |
|---|---|---|---|
"""


def settings() -> str:
    """The whole text of docs/settings.md."""
    schema = Settings.model_json_schema(by_alias=True)
    rows = (_row(name, field, schema.get("$defs", {})) for name, field in schema["properties"].items())
    return _HEAD + "".join(rows)


def _row(name: str, field: dict[str, Any], definitions: dict[str, Any]) -> str:
    """One line of the table.

    :param field: the setting's JSON schema; `definitions` are those that it may refer to.
    """
    default = field.get("default")
    default = str(default).lower() if isinstance(default, bool) else default
    shown = f"`{default}`" if default not in (None, "") else "–"
    description = field["description"].replace("|", "\\|")
    return f"| `{name}` | {shown} | {_values(field, definitions)} | {description} |\n"


def _values(field: dict[str, Any], definitions: dict[str, Any]) -> str:
    kinds = [_resolved(kind, definitions) for kind in field.get("anyOf", field.get("allOf", [field]))]
    [kind] = [kind for kind in kinds if kind.get("type") != "null"]
    if choices := kind.get("enum") or ([kind["const"]] if "const" in kind else []):
        return ", ".join(f"`{choice}`" for choice in choices)
    if kind.get("type") == "integer":
        low, high = kind.get("minimum"), kind.get("maximum")
        return f"{low} or more" if high is None else f"{low} to {high}"
    if kind.get("type") == "boolean":
        return "`true` or `false`"
    return "path" if kind.get("format") == "path" else "text"


def _resolved(kind: dict[str, Any], definitions: dict[str, Any]) -> dict[str, Any]:
    reference = kind.get("$ref")
    return definitions[reference.rpartition("/")[2]] if reference else kind


PAGES = {"settings.md": settings, "policy.md": policy_page.markdown}


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="scripts/docs", description="Writes the pages that are made from the code.")
    parser.add_argument("--check", action="store_true", help="write nothing; exit with 1 when a page is stale")
    parser.add_argument("folder", nargs="?", type=Path, default=Path(__file__).parent, help="where the pages lie")
    options = parser.parse_args(arguments)
    stale = False
    for name, make in PAGES.items():
        path: Path = options.folder / name
        if not options.check:
            path.write_text(make())
        elif not path.exists() or path.read_text() != make():
            print(f"{path} is stale: run scripts/docs", file=sys.stderr)
            stale = True
    return 1 if stale else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
