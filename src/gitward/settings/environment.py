"""What stands in the environment of this process. No other module reads it."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path


def default_data_dir() -> Path:
    """Where the service keeps its data when nothing says otherwise."""
    if os.geteuid() == 0:
        return Path("/var/lib/gitward")
    base = os.environ.get("XDG_DATA_HOME", "")
    return (Path(base) if base.startswith("/") else Path.home() / ".local" / "share") / "gitward"


def variables() -> Mapping[str, str]:
    """All of them, as they are now."""
    return os.environ


def take(name: str) -> str:
    """The value, which no child of this process inherits any more; empty when there is none."""
    return os.environ.pop(name, "").strip()


def exported_token() -> str | None:
    """GITHUB_TOKEN as it is exported, unsealed: for the demo alone, which plays GitHub and must know it."""
    return os.environ.get("GITHUB_TOKEN", "").strip() or None


def clean_environment(**extra: str) -> dict[str, str]:
    """What a child process of ours may inherit: the search path and the locale, never a credential."""
    kept = {name: os.environ[name] for name in ("PATH", "LANG", "LC_ALL", "TZ", "HOME") if name in os.environ}
    return {**kept, **extra}


def is_exported(variable: str) -> bool:
    """Whether it is there and not empty."""
    return bool(os.environ.get(variable, "").strip())


_CONTAINER_MARKS = (Path("/.dockerenv"), Path("/run/.containerenv"))


def is_container() -> bool:
    """Whether docker, podman or Kubernetes started this process: then nobody else is on its machine."""
    return "KUBERNETES_SERVICE_HOST" in os.environ or any(mark.exists() for mark in _CONTAINER_MARKS)


_PROXY = re.compile(r"(?i:https?_proxy|no_proxy|all_proxy)")
_OF_INSTALLERS = re.compile(
    r"(?i:https?_proxy|no_proxy|all_proxy)|(?:PIP|NPM_CONFIG|npm_config)_\w+|TMPDIR|XDG_CACHE_HOME"
)
_OF_REGISTRIES = ("REGISTRY_AUTH_FILE", "DOCKER_CONFIG", "XDG_RUNTIME_DIR")
_ROOTS = ("SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "NODE_EXTRA_CA_CERTS")
_SYSTEM_ROOTS = Path("/etc/ssl/certs/ca-certificates.crt")


def registry_environment() -> dict[str, str]:
    """What skopeo may inherit: how it reaches a registry, and where the operator's logins are; never a key of ours."""
    kept = {name: value for name, value in os.environ.items() if name in _ROOTS or _PROXY.fullmatch(name)}
    kept |= {name: os.environ[name] for name in _OF_REGISTRIES if name in os.environ}
    return clean_environment(**kept)


def installers_environment() -> dict[str, str]:
    """What pip and npm may inherit: how they reach their registries, never a key of ours."""
    kept = {name: value for name, value in os.environ.items() if name in _ROOTS or _OF_INSTALLERS.fullmatch(name)}
    if _SYSTEM_ROOTS.exists():  # Node.js has a list of its own; a company's proxy is in the system's
        kept.setdefault("NODE_EXTRA_CA_CERTS", str(_SYSTEM_ROOTS))
    return clean_environment(**kept, NODE_DISABLE_COMPILE_CACHE="1")  # else they leave one in the temporary folder
