"""The places where a token could appear: who plants a value there, and what login mode allows in them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum


class Channel(StrEnum):
    """Names of channels, as the table shows them. Those recorded inside are named as the command's folders."""

    ARGUMENTS_OUTSIDE = "arguments of processes outside"
    ENVIRONMENTS_OUTSIDE = "environment of processes outside"
    ARGUMENTS_INSIDE = "arguments of processes inside"
    ENVIRONMENTS_INSIDE = "environment of processes inside"
    OPEN_FILES = "open files of the service's children"
    MEMORY = "memory of launcher, brokers' parent, sandbox"
    ENVIRONMENT = "inside: environment"
    PROCESSES = "inside: /proc of every process"
    FILES = "inside: files that can be read"
    GIT_CONFIG = "inside: git's configuration"
    CREDENTIALS = "inside: what gh and git print"
    TRACES = "inside: traces of git, gh and curl"
    REST = "inside: answers to REST"
    GRAPHQL = "inside: answers to GraphQL"
    REFUSALS = "inside: refusals and errors"
    LFS = "inside: answers to LFS"
    REFLECTIONS = "inside: what upstream repeats"
    REDIRECTS = "inside: redirects"
    HOME = "sandbox's home, seen from outside"
    WORK = "checkout's files"
    GIT_FOLDER = "checkout's .git without objects"
    AGENTS = "agents' folders, and the rest of the workspace"
    LOOSE = "git objects, loose"
    PACKED = "git objects, packed"
    TABLES = "database, every table"
    ARTIFACTS = "artifacts, whole and unpacked"
    DATABASE_FILES = "database, its raw files"
    DATA_FOLDER = "data folder: keys, locks, the rest"
    LOG = "log of service, brokers, launcher"
    STREAM = "events, live"
    EVENTS = "events, in pages"
    ANSWERS = "answers of the API"
    METRICS = "metrics"
    DIFF = "diff"
    PATCH = "patch"
    BUNDLE = "bundle, its objects"
    TEMPORARY = "temporary folders of the host"
    RECEIVED = "upstream: requests without Authorization"
    PUSHED = "upstream: what was pushed"


@dataclass(frozen=True, kw_only=True)
class Place:
    """What the report says about a channel."""

    planted_by: str
    binary: bool = False  # whether UTF-16 can stand in it
    live: bool = True  # whether it can be seen beside a live service
    in_login: str = ""  # why the token may be found in it in `login` mode; empty: it may not


_COMMAND, _AUDIT, _UPSTREAM = "the command", "this audit", "upstream"
_HAS_IT = "in login mode every command of the run has the token (SECURITY.md)"

PLACES: Mapping[Channel, Place] = {
    Channel.ARGUMENTS_OUTSIDE: Place(planted_by=_AUDIT),
    Channel.ENVIRONMENTS_OUTSIDE: Place(planted_by=_AUDIT),
    Channel.ARGUMENTS_INSIDE: Place(planted_by=_COMMAND),
    Channel.ENVIRONMENTS_INSIDE: Place(planted_by=_COMMAND),
    Channel.OPEN_FILES: Place(planted_by=_COMMAND),
    Channel.MEMORY: Place(planted_by=_COMMAND, in_login=_HAS_IT),
    Channel.ENVIRONMENT: Place(planted_by=_COMMAND),
    Channel.PROCESSES: Place(planted_by=_COMMAND),
    Channel.FILES: Place(planted_by=_COMMAND, binary=True, in_login="gh keeps it in ~/.config/gh/hosts.yml"),
    Channel.GIT_CONFIG: Place(planted_by=_COMMAND),
    Channel.CREDENTIALS: Place(planted_by=_COMMAND, in_login="`gh auth token` and `git credential fill` print it"),
    Channel.TRACES: Place(planted_by=_COMMAND, in_login="git and gh trace what they send"),
    Channel.REST: Place(planted_by=_COMMAND),
    Channel.GRAPHQL: Place(planted_by=_COMMAND),
    Channel.REFUSALS: Place(planted_by=_COMMAND),
    Channel.LFS: Place(planted_by=_COMMAND, in_login="git-lfs gets back the credential that it sent"),
    Channel.REFLECTIONS: Place(planted_by=_UPSTREAM, live=False, in_login="upstream's answers are not searched for it"),
    Channel.REDIRECTS: Place(planted_by=_UPSTREAM, live=False, in_login="upstream's answers are not searched for it"),
    Channel.HOME: Place(planted_by=_COMMAND, binary=True, in_login="gh keeps it in ~/.config/gh/hosts.yml"),
    Channel.WORK: Place(planted_by=_COMMAND, binary=True),
    Channel.GIT_FOLDER: Place(planted_by=_COMMAND),
    Channel.AGENTS: Place(planted_by=_COMMAND, binary=True),
    Channel.LOOSE: Place(planted_by=_COMMAND, binary=True),
    Channel.PACKED: Place(planted_by=_COMMAND, binary=True),
    Channel.TABLES: Place(planted_by=_COMMAND),
    Channel.ARTIFACTS: Place(planted_by=_COMMAND),
    Channel.DATABASE_FILES: Place(planted_by=_COMMAND),
    Channel.DATA_FOLDER: Place(planted_by=_AUDIT, binary=True),
    Channel.LOG: Place(planted_by=_AUDIT),
    Channel.STREAM: Place(planted_by=_COMMAND),
    Channel.EVENTS: Place(planted_by=_COMMAND),
    Channel.ANSWERS: Place(planted_by=_COMMAND),
    Channel.METRICS: Place(planted_by="a stand-in of it"),
    Channel.DIFF: Place(planted_by=_COMMAND),
    Channel.PATCH: Place(planted_by=_COMMAND),
    Channel.BUNDLE: Place(planted_by=_COMMAND, binary=True),
    Channel.TEMPORARY: Place(planted_by=_AUDIT, binary=True),
    Channel.RECEIVED: Place(planted_by=_COMMAND, live=False),
    Channel.PUSHED: Place(planted_by=_COMMAND, binary=True, live=False),
}

# The hostile command's folders below ~/.audit.
RECORDED: Mapping[str, Channel] = {
    "environment": Channel.ENVIRONMENT,
    "processes": Channel.PROCESSES,
    "files": Channel.FILES,
    "git-config": Channel.GIT_CONFIG,
    "credentials": Channel.CREDENTIALS,
    "traces": Channel.TRACES,
    "rest": Channel.REST,
    "graphql": Channel.GRAPHQL,
    "refusals": Channel.REFUSALS,
    "lfs": Channel.LFS,
    "reflections": Channel.REFLECTIONS,
    "redirects": Channel.REDIRECTS,
}
