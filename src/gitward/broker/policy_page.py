"""The whole policy as a page of the documentation, made from the values that the broker decides by."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from gitward.broker.policy import accept, lfs, push, rest, restriction
from gitward.broker.policy.argument import ANY, LONGEST, MOST, Argument
from gitward.broker.policy.egress.presets import PRESETS
from gitward.broker.policy.egress.rules import GITHUB
from gitward.broker.policy.graphql import document
from gitward.broker.policy.graphql.mutations import OWN_VIEWS, VIEWS
from gitward.broker.policy.graphql.request import MAX_QUERY
from gitward.broker.policy.graphql.views import Field, View
from gitward.broker.policy.writes import SETTING
from gitward.broker.server import request_bodies
from gitward.broker.server.inspection import pack_file, push_check

_HEAD = """\
# What a session may do with GitHub

This page is generated from the broker's own tables. The broker refuses everything else, with a sentence in the output
of `git` or `gh` and an event `policy.denied` that names the rule. [permissions.md](permissions.md) has the summary.
`{own}` is the session's repository, `{branch}` the session's branch; *listed* are the repositories that the session
names as its submodules.
"""

_GIT = """\
## git

| what | where | rule |
|---|---|---|
| fetch and clone, every protocol version, shallow and partial | `{own}`, listed | `git.fetch` |
| the same with `GITWARD_PUBLIC_READ`, without a token | every public repository | `git.fetch.public` |
| push, also forced | `{own}`, `{branch}` only | `git.push` |
"""


def markdown() -> str:
    """The page, ending with a line break; the same for the same policy."""
    parts = (
        _HEAD,
        _GIT,
        _pushes(),
        _lfs(),
        _rest(),
        _queries(),
        _WRITING,
        _writes_by_rest(),
        _mutations(),
        _forms(),
        _restricted(),
        _limits(),
        _other_hosts(),
    )
    return "\n".join(parts)


def _pushes() -> str:
    rows = [(f"`{rule.name}`", rule.message) for rule in push.RULES]
    looked_at = [(f"`{name}`", message) for name, message in push_check.RULES.items()]
    return (
        "The broker refuses a push as a whole, with git's own report:\n\n"
        + _table(("rule", "what git prints"), rows)
        + (
            "\nGit inspects each pack in a sandbox of its own before the broker forwards it, unless the session "
            "has `allow_workflows` and the server has `GITWARD_WRITES=repository`. With `own`, the messages of its "
            "commits may close issues of `{own}` only, and must be in UTF-8 or ISO 8859. Without `allow_workflows`, "
            "`.github/workflows/` must be the same as on the target branch, now or when the run began, or as on the "
            "session's branch:\n\n"
        )
        + _table(("rule", "what git prints"), looked_at)
    )


def _lfs() -> str:
    rows = (
        ("download of objects", "`{own}`, listed"),
        ("the same with `GITWARD_PUBLIC_READ`, without a token", "every public repository"),
        ("upload of objects", "`{own}`"),
        ("reading locks, not making or breaking them", "`{own}`, listed"),
    )
    text = (
        "The addresses and headers of the storage, which are credentials, stay in the broker: `git-lfs` gets "
        f"addresses on GitHub's host, each valid once. A batch has at most {lfs.MAX_OBJECTS} objects.\n"
    )
    return "## Git LFS\n\n" + _table(("what", "where"), rows) + "\n" + text


def _rest() -> str:
    rows = ((_call(rule), rule.sentence, f"`{rule.name}`") for rule in rest.RULES if not rule.body)
    return (
        "## REST: reading\n\n`{number}`, `{sha}` and `{one}` stand for one part of the path, `{path}` and "
        "`{range}` for the rest of it.\n\n" + _table(("call", "reads", "rule"), rows)
    )


_WRITING = """\
## Writing

`GITWARD_WRITES` decides. With `own` (the default) each number and id must be that of the session's own pull request
(open, and from `{branch}`; or recorded for the session), or of an issue that GitHub's answers show the session's
commands opened (rule `writes.own`). Texts may close issues of `{own}` only. With `repository` they may be of any issue
and pull request of `{own}`; logins must then be people's (rule `writes.people`). [reach.md](reach.md) describes what
these writes can set off.
"""


def _writes_by_rest() -> str:
    def rows(rules: Iterable[rest.RestRule]) -> Iterator[tuple[str, ...]]:
        for rule in rules:
            if rule.body:
                yield _call(rule), rule.sentence, _names(rule.body), f"`{rule.name}`"

    head = ("call", "writes", "members of the body", "rule")
    return (
        "### REST, with `GITWARD_WRITES=own`\n\n"
        + _table(head, rows(rest.OWN_RULES))
        + "\n### REST, with `GITWARD_WRITES=repository`\n\n"
        + _table(head, rows(rest.RULES))
    )


def _call(rule: rest.RestRule) -> str:
    below = "/".join(rule.template).replace("/".join(rest.OWN), "repos/{own}")
    return f"`{rule.method} /{below}`"


def _names(arguments: Mapping[str, Argument]) -> str:
    return ", ".join(f"`{name}`{_condition(argument)}" for name, argument in arguments.items())


def _condition(argument: Argument) -> str:
    if argument.allows == ANY.allows:
        return ""
    allows = argument.allows.removesuffix(f" ({SETTING})")
    return f" ({allows}{', its own' if argument.written else ''})"


def _queries() -> str:
    rows = [row for name in sorted(VIEWS) if not _writes(name) for row in _view(name, VIEWS[name])]
    return (
        "## GraphQL: reading\n\nEvery line lists the fields of a type that a query may read at one place; "
        "`__typename` is always allowed. A type with several lines shows less where it can belong to another "
        "repository than `{own}`.\n\n"
        + _table(("place", "type", "fields", "fields with arguments, and the places that they lead to"), rows)
    )


def _writes(name: str) -> bool:
    return name == "Mutation" or name.endswith("Payload")


def _view(name: str, view: View) -> Iterator[tuple[str, ...]]:
    plain = [f"`{field}`" for field, value in view.fields.items() if not value.view and not value.arguments]
    leading = [_field(field, value) for field, value in view.fields.items() if value.view or value.arguments]
    fragments = [f"fragment on {VIEWS[other].type} → {other}" for other in view.others]
    yield name, f"`{view.type}`", " ".join(plain), "; ".join([*leading, *fragments])


def _field(name: str, field: Field) -> str:
    checked = [f"{key}: {each.allows}" for key, each in field.arguments.items() if each.allows != ANY.allows]
    free = [key for key, each in field.arguments.items() if each.allows == ANY.allows]
    arguments = ", ".join([*checked, *free])
    return f"`{name}`{f' ({arguments})' if arguments else ''}{f' → {field.view}' if field.view else ''}"


def _mutations() -> str:
    def rows(views: Mapping[str, View]) -> Iterator[tuple[str, ...]]:
        for name, field in views["Mutation"].fields.items():
            yield f"`{name}`", _names(field.arguments["input"].members or {}), _answers(views[field.view])

    head = ("mutation", "members of its input", "fields of its answer")
    return (
        "### GraphQL, with `GITWARD_WRITES=own`\n\n"
        + _table(head, rows(OWN_VIEWS))
        + "\n### GraphQL, with `GITWARD_WRITES=repository`\n\n"
        + _table(head, rows(VIEWS))
    )


def _answers(payload: View) -> str:
    return ", ".join(_field(name, field) for name, field in payload.fields.items())


def _forms() -> str:
    return (
        "## The form of an answer\n\nREST answers with JSON or, if the header `Accept` asks for it, with "
        + ", ".join(f"`application/vnd.github.{form}`" for form in accept.PLAIN)
        + (
            ". Rule `rest.accept` refuses other forms; previews are dropped. The broker changes one thing in JSON: "
            "it empties GitHub's own credentials (`temp_clone_token`,\n`download_url`). An answer in another form "
            "than requested, or that cannot be read, becomes an error 502 with a sentence; the status of a refusal "
            "stays.\n"
        )
    )


def _restricted() -> str:
    fetching = restriction.MESSAGES[restriction.FETCH_ONLY].format(repository="{own}")
    publishing = restriction.MESSAGES[restriction.PUBLISH_ONLY].format(branch="{branch}")
    allowed = _table(
        ("while", "what is allowed, on `{own}` alone", "rule, and the answer to everything else"),
        (
            (
                "a mirror is created or refreshed",
                "fetch, download of LFS objects",
                f"`{restriction.FETCH_ONLY}`: {fetching}",
            ),
            (
                "the work is published",
                "listing refs; the push of the one update that the worker named; upload of the LFS objects that it "
                "named, and the request for locks before it",
                f"`{restriction.PUBLISH_ONLY}`: {publishing}",
            ),
        ),
    )
    return (
        "## While Gitward itself works\n\nMeanwhile REST, GraphQL, other repositories, other hosts and hosts of "
        "`GITWARD_INJECT` are closed, and the token itself opens nothing, not even in `login` mode. Requests that "
        "are under way when publishing begins are ended.\n\n" + allowed
    )


def _limits() -> str:
    rows = (
        ("body of an API request", f"{request_bodies.MAX_INSPECTED} bytes"),
        ("GraphQL document", f"{MAX_QUERY} characters, {document.MAX_TOKENS} tokens"),
        ("depth of a document, with its fragments", str(document.MAX_DEPTH)),
        ("fields of a document, fragments expanded", str(document.MAX_FIELDS)),
        ("node ids in a request", str(document.MAX_IDS)),
        ("a text, or list, that a rule reads (a search, a name, ids)", f"{LONGEST} characters, {MOST} entries"),
        ("commands of a push, before the pack", f"{push.MAX_HEAD} bytes"),
        ("a pack that is inspected", f"{pack_file.MAX_PACK} bytes"),
    )
    return "## Sizes\n\n" + _table(("what", "at most"), rows)


def _other_hosts() -> str:
    rows = ((f"`{preset}`", ", ".join(f"`{entry}`" for entry in entries)) for preset, entries in PRESETS.items())
    never = ", ".join(f"`{host}`" for host in GITHUB)
    return (
        "## Other hosts\n\nNone, unless the operator opens them with `GITWARD_EGRESS` ([egress.md](egress.md)). "
        f"The proxy never serves GitHub's hosts as the\nsettings name them, {never}, and everything below these.\n\n"
        + _table(("word in GITWARD_EGRESS", "what it stands for"), rows)
    )


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = [head, tuple("---" for _ in head), *rows]
    return "".join(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in line)} |\n" for line in lines)
