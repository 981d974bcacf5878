"""GH013: the rules of a repository's rulesets, and push protection, which GitHub tells in the same answer."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from . import secrets
from .git import git, new_commits, succeeds

if TYPE_CHECKING:
    from .refusals import Say, Update

Rule = dict[str, Any]
DECLINED = "push declined due to repository rule violations"


def of(update: Update, rules: dict[str, Any], say: Say) -> str | None:
    """git's closing words when a rule is violated."""
    branch = update.ref.removeprefix("refs/heads/")
    applied = [rule for rule in rules["rules"] if branch != update.ref and fnmatchcase(branch, rule["branches"])]
    violated = [lines for rule in applied if (lines := list(_JUDGES[rule["type"]](update, rule)))]
    found = secrets.found_in(update.new) if rules["push_protection"] and update.new else []
    if not violated and not found:
        return None
    say(f"error: GH013: Repository rule violations found for {update.ref}.")
    if violated:
        say(f"Review all repository rules at {rules['page']}/rules?ref={quote(update.ref, safe='')}")
    say("")
    for lines in violated:
        for line in (f"- {lines[0]}", *lines[1:], ""):
            say(line)
    secrets.tell(found, page=rules["page"], say=say)
    return DECLINED


def _creation(update: Update, _rule: Rule) -> Iterator[str]:
    if update.old is None:
        yield "Cannot create ref due to creations being restricted."


def _update(update: Update, _rule: Rule) -> Iterator[str]:
    if update.old and update.new:
        yield "Cannot update this protected ref."


def _deletion(update: Update, _rule: Rule) -> Iterator[str]:
    if update.new is None:
        yield "Cannot delete this protected ref."


def _non_fast_forward(update: Update, _rule: Rule) -> Iterator[str]:
    if update.old and update.new and not succeeds("merge-base", "--is-ancestor", update.old, update.new):
        yield "Cannot force-push to this branch"


def _pull_request(update: Update, _rule: Rule) -> Iterator[str]:
    if update.new:
        yield "Changes must be made through a pull request."


def _required_status_checks(update: Update, rule: Rule) -> Iterator[str]:
    contexts = [check["context"] for check in rule["parameters"].get("required_status_checks", [])]
    if update.new and len(contexts) == 1:
        yield f'Required status check "{contexts[0]}" is expected.'
    elif update.new and contexts:
        yield f"{len(contexts)} of {len(contexts)} required status checks are expected."


def _required_signatures(update: Update, _rule: Rule) -> Iterator[str]:
    """Any signature counts as verified here."""
    unsigned = [commit for commit in _new(update) if "\ngpgsig" not in _header(commit)]
    yield from _by_commits("Commits must have verified signatures.", unsigned)


def _required_linear_history(update: Update, _rule: Rule) -> Iterator[str]:
    merges = [commit for commit in _new(update) if _header(commit).count("\nparent ") > 1]
    yield from _by_commits("This branch must not contain merge commits.", merges)


def _commit_message_pattern(update: Update, rule: Rule) -> Iterator[str]:
    bad = [commit for commit in _new(update) if not _fits(git("log", "-1", "--format=%B", commit).rstrip("\n"), rule)]
    yield from _by_commits(f"Commit message {_wanted(rule)}", bad)


def _commit_author_email_pattern(update: Update, rule: Rule) -> Iterator[str]:
    bad = [commit for commit in _new(update) if not _fits(git("log", "-1", "--format=%ae", commit).strip(), rule)]
    yield from _by_commits(f"Commit author email {_wanted(rule)}", bad)


def _branch_name_pattern(update: Update, rule: Rule) -> Iterator[str]:
    if update.old is None and not _fits(update.ref.removeprefix("refs/heads/"), rule):
        yield f"Branch name {_wanted(rule)}"


_JUDGES: dict[str, Callable[[Update, Rule], Iterator[str]]] = {
    "creation": _creation,
    "update": _update,
    "deletion": _deletion,
    "non_fast_forward": _non_fast_forward,
    "pull_request": _pull_request,
    "required_status_checks": _required_status_checks,
    "required_signatures": _required_signatures,
    "required_linear_history": _required_linear_history,
    "commit_message_pattern": _commit_message_pattern,
    "commit_author_email_pattern": _commit_author_email_pattern,
    "branch_name_pattern": _branch_name_pattern,
}


def _new(update: Update) -> list[str]:
    return new_commits(update.new) if update.new else []


def _header(commit: str) -> str:
    return git("cat-file", "commit", commit).split("\n\n", 1)[0]


def _by_commits(sentence: str, commits: Sequence[str]) -> Iterator[str]:
    if commits:
        yield sentence
        yield f"  Found {len(commits)} violation{'s' if len(commits) > 1 else ''}:"
        yield ""
        yield from (f"  {commit}" for commit in commits)


def _fits(text: str, rule: Rule) -> bool:
    pattern = rule["parameters"]["pattern"]
    tests: dict[str, Callable[[], bool]] = {
        "starts_with": lambda: text.startswith(pattern),
        "ends_with": lambda: text.endswith(pattern),
        "contains": lambda: pattern in text,
        "regex": lambda: re.search(pattern, text) is not None,
    }
    return tests[rule["parameters"]["operator"]]() is not rule["parameters"].get("negate", False)


def _wanted(rule: Rule) -> str:
    parameters = rule["parameters"]
    verb = {
        "starts_with": "start with a matching pattern",
        "ends_with": "end with a matching pattern",
        "contains": "contain a matching pattern",
        "regex": "match a given regex pattern",
    }[parameters["operator"]]
    return f"must {'not ' if parameters.get('negate') else ''}{verb}: {parameters['pattern']}"
