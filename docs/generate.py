"""Generates docs/settings.md and docs/policy.md from the code. `scripts/docs` runs it.

With `--check` it writes nothing, and exits with 1 if a page is stale.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from gitward.broker import policy_page
from gitward.settings.fields import Settings

_HEAD = """\
# Settings

<!-- Written by scripts/docs from src/gitward/settings/groups. Change the fields there, then run scripts/docs. -->

Gitward reads its settings once, at start, from the environment. Names are spelled exactly as below. An empty value
counts as no value. A wrong value, or an unknown name that begins with `GITWARD_`, stops the start with one line each
and exit code 2.

`gitward serve` and `gitward token` need the same `GITWARD_DATA_DIR` and `GITWARD_OIDC_AUDIENCE`: the data folder holds
the key that signs the JWTs.

## The ones to know first

"""

_FIRST = {
    "`GITHUB_TOKEN`, `GITHUB_TOKEN_FILE`": "the token, or a file with it that may be replaced at any time",
    "`GITHUB_APP_ID`, `GITHUB_APP_PRIVATE_KEY_FILE`": (
        "a GitHub App instead: each session's token reaches its own repository only ([tokens.md](tokens.md))"
    ),
    "`GITHUB_SERVER_URL`, `GITHUB_API_URL`": "an Enterprise Server",
    "`GITWARD_DATA_DIR`": (
        "the folder for database, key and workspaces: `/var/lib/gitward` as root, else `~/.local/share/gitward`"
    ),
    "`GITWARD_REPOS`": "the repositories that sessions may name, also as `submodules`",
    "`GITWARD_OIDC_ISSUERS`, `GITWARD_AUTHORIZE`": (
        "an identity provider, and the repositories that each caller may use ([api.md](api.md#authentication))"
    ),
    "`GITWARD_PUBLIC_URL`, `GITWARD_OIDC_CLIENT_ID`": (
        "the address of the pages, and where browsers sign in ([signing-in.md](signing-in.md))"
    ),
    "`GITWARD_CREDENTIALS`": "`broker` or `login`: whether the token enters the sandbox",
    "`GITWARD_WRITES`": (
        "`own`: commands write the texts of their session's own pull request and issues; `repository`: of all "
        "([reach.md](reach.md))"
    ),
    "`GITWARD_ALLOW_WORKFLOWS`": "`never`: no session may change workflows, whatever its POST says",
    "`GITWARD_PUBLIC_READ`": "`true`: git may also fetch GitHub's public repositories",
    "`GITWARD_EGRESS`": (
        "other hosts that commands may reach, such as `packages`: the usual registries ([egress.md](egress.md))"
    ),
    "`GITWARD_INJECT`": (
        "secrets for other hosts, such as a model provider's key, which the broker adds outside the sandbox"
    ),
    "`GITWARD_MAX_RUNS`, `…_PER_USER`, `…_PER_WORKER`, `GITWARD_RUN_TIMEOUT_SECONDS`": (
        "how many runs may run at once, and how long one may take"
    ),
    "`GITWARD_RETENTION_DAYS`, `GITWARD_WORKSPACE_HOURS`": "when ended sessions and idle workspaces are removed",
    "`GITWARD_MIRROR_MB`": "disk for the copies of repositories that runs share ([mirrors.md](mirrors.md))",
    "`GITWARD_OPERATORS`, `GITWARD_METRICS_PORT`": (
        "who may read the metrics, and where ([operations.md](operations.md#metrics))"
    ),
}

_PLACES = """\
## The token

Gitward looks for `GITHUB_TOKEN` in this order; the first place that is set counts.

| place | when it is read |
|---|---|
| the environment | once, at start; child processes do not inherit it |
| the file that `GITHUB_TOKEN_FILE` names | for every run, and while the run goes on |
| `GITHUB_TOKEN` in `.env` | for every run, and while the run goes on |

With `GITHUB_APP_ID` none of these is used: tokens come from a GitHub App ([tokens.md](tokens.md)). The service also
starts without a token; runs then fail with `token_missing` and can be retried.

## The file `.env`

A file `.env` in the working folder may hold secrets only: `GITHUB_TOKEN`, `ANTHROPIC_API_KEY`, `OPENAI_API_KEY`,
`GEMINI_API_KEY`, `GITWARD_OIDC_CLIENT_SECRET`, and the variables that `GITWARD_INJECT` names. Exported variables take
precedence. These stop the start with a sentence:

* any other name in the file, `GITWARD_INJECT` included: a person who can write the file must not redirect tokens;
* a file that belongs to another user than the service's;
* a file that others may write, or a folder that others may write.

At its start the service logs which names came from the file, never their values.

## All settings

| name | default | values | what it does |
|---|---|---|---|
"""


def settings() -> str:
    """The text of docs/settings.md."""
    schema = Settings.model_json_schema(by_alias=True)
    rows = (_row(name, field, schema.get("$defs", {})) for name, field in schema["properties"].items())
    first = "".join(f"| {names} | {what} |\n" for names, what in _FIRST.items())
    return f"{_HEAD}| name | what it sets |\n|---|---|\n{first}\n{_PLACES}" + "".join(rows)


def _row(name: str, field: dict[str, Any], definitions: dict[str, Any]) -> str:
    """One line of the table.

    :param field: the setting's JSON schema; `definitions` are those that it may refer to.
    """
    default = field.get("default")
    default = str(default).lower() if isinstance(default, bool) else default
    default = f"{default:g}" if isinstance(default, float) else default
    shown = f"`{default}`" if default not in (None, "") else "–"
    description = field["description"].replace("|", "\\|")
    return f"| `{name}` | {shown} | {_values(field, definitions)} | {description} |\n"


def _values(field: dict[str, Any], definitions: dict[str, Any]) -> str:
    kinds = [_resolved(kind, definitions) for kind in field.get("anyOf", field.get("allOf", [field]))]
    [kind] = [kind for kind in kinds if kind.get("type") != "null"]
    if choices := kind.get("enum") or ([kind["const"]] if "const" in kind else []):
        return ", ".join(f"`{choice}`" for choice in choices)
    if kind.get("type") in {"integer", "number"}:
        low, high = kind.get("minimum"), kind.get("maximum")
        return f"{low:g} or more" if high is None else f"{low:g} to {high:g}"
    if kind.get("type") == "boolean":
        return "`true` or `false`"
    return "path" if kind.get("format") == "path" else "text"


def _resolved(kind: dict[str, Any], definitions: dict[str, Any]) -> dict[str, Any]:
    reference = kind.get("$ref")
    return definitions[reference.rpartition("/")[2]] if reference else kind


PAGES = {"settings.md": settings, "policy.md": policy_page.markdown}


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="scripts/docs", description="Generates the pages that come from the code.")
    parser.add_argument("--check", action="store_true", help="write nothing; exit with 1 when a page is stale")
    parser.add_argument("folder", nargs="?", type=Path, default=Path(__file__).parent, help="the folder of the pages")
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
