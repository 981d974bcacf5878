"""The variables of an image (`ENV` of a Dockerfile) that commands get."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path

from gitward.environments.inspection import resolve
from gitward.environments.store import Unusable

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,127}")
_MOST = 200
_LONGEST = 32 * 1024  # bytes of a value
# The sandbox's own, and those by which programs are led elsewhere. Upper and lower case.
_OURS = frozenset(
    {
        *(
            "HOME",
            "USER",
            "LOGNAME",
            "SHELL",
            "TERM",
            "PWD",
            "OLDPWD",
            "SHLVL",
            "TMPDIR",
            "HOSTNAME",
            "BASH_ENV",
            "ENV",
        ),
        *("SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "NODE_EXTRA_CA_CERTS", "CURL_CA_BUNDLE", "PIP_CERT"),
        *("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "PIP_CACHE_DIR", "NPM_CONFIG_CACHE", "GOCACHE"),
        *("GOMODCACHE", "GOTMPDIR"),
    }
)
# Where tools write what they fetch: in an image it is read-only, and without the variable they write to the home.
_HOMES = frozenset({"CARGO_HOME", "GOPATH", "GRADLE_USER_HOME", "MAVEN_CONFIG", "NPM_CONFIG_PREFIX", "PYTHONUSERBASE"})
QUOTES = "\"'"
_OUR_PREFIXES = ("GIT_", "GH_", "GITHUB_", "LD_", "XDG_", "GITWARD_")


def parse(lines: Iterable[str]) -> dict[str, str]:
    """NAME=VALUE lines as the operator gives them. Raises Unusable."""
    found: dict[str, str] = {}
    for line in lines:
        name, equals, value = line.partition("=")
        if not equals or not _is_fit(name, value) or _is_ours(name):
            raise Unusable(f"--env {name}: must be NAME=VALUE, with a name that Gitward does not set itself.")
        found[name] = value
    return found


def kept(lines: Iterable[object], root: Path) -> tuple[dict[str, str], list[str]]:
    """Those of an image that mean something inside a sandbox, and the names of the others.

    A place that the sandbox does not show (GOPATH=/go, a folder in root's home) would send tools where they can
    neither read nor write: such a variable is left out, and such a part of PATH.
    """
    found: dict[str, str] = {}
    dropped: list[str] = []
    for line in lines:
        name, _, value = str(line).partition("=")
        if not _is_fit(name, value) or len(found) >= _MOST:
            continue
        if name == "PATH":
            found[name] = ":".join(part for part in value.split(":") if part.startswith("/") and _is_shown(part, root))
        elif _is_ours(name):
            continue
        elif name.upper() in _HOMES or (value.startswith("/") and not _is_shown(value.split(":")[0], root)):
            dropped.append(name)
        else:
            found[name] = value
    return found, dropped


def of_folder(root: Path) -> list[str]:
    """What /etc/environment of an unpacked system sets; it has no other place for that."""
    place = root / "etc/environment"
    try:
        descriptor = os.open(place, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(descriptor, encoding="utf-8", errors="replace") as file:
            lines = file.read(_LONGEST).splitlines()
    except OSError:
        return []
    pairs = [line.strip().removeprefix("export ").partition("=") for line in lines if not line.lstrip().startswith("#")]
    return [f"{name}={value.strip(QUOTES)}" for name, _, value in pairs]


def _is_fit(name: str, value: str) -> bool:
    return _NAME.fullmatch(name) is not None and "\0" not in value and len(value.encode(errors="replace")) <= _LONGEST


def _is_ours(name: str) -> bool:
    return name.upper() in _OURS or name.upper().startswith(_OUR_PREFIXES)


def _is_shown(path: str, root: Path) -> bool:
    return resolve(root, path) is not None


def merged(image: Mapping[str, str], given: Mapping[str, str]) -> dict[str, str]:
    """The operator's word comes last; a PATH of his stands before the image's."""
    both = {**image, **given}
    if "PATH" in image and "PATH" in given:
        both["PATH"] = f"{given['PATH']}:{image['PATH']}"
    return both
