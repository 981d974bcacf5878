"""Fetches an image from a registry, by skopeo and as the operator: through his proxy, with his logins."""

from __future__ import annotations

import contextlib
import ipaddress
import os
import re
import signal
import subprocess
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

from gitward.environments.sources import Source
from gitward.environments.store import Unusable

FETCH_SECONDS = 3600.0
_LOOK_SECONDS = 0.5
_POLICY = '{"default":[{"type":"insecureAcceptAnything"}]}'
_SYSTEM_POLICY = Path("/etc/containers/policy.json")
_LOGIN = re.compile(r"://[^/@\s]*@")  # of a proxy, which a complaint may quote


def fetch(source: Source, to: Path, *, environment: Mapping[str, str], limit: int) -> None:
    """Makes an OCI layout at `to`, with the image as `image`. Blocks for minutes. Raises Unusable."""
    with tempfile.TemporaryDirectory(dir=to.parent) as scratch:
        policy = _SYSTEM_POLICY
        if not policy.exists():
            policy = Path(scratch, "policy.json")
            policy.write_text(_POLICY)
        tls = ["--src-tls-verify=false"] if _is_loopback(source.reference) else []
        argv = [
            *("skopeo", "--policy", str(policy), "--tmpdir", scratch, "copy", "--quiet", "--retry-times", "2", *tls),
            *(source.text, f"oci:{to}:image"),
        ]
        with tempfile.TemporaryFile() as output:
            _run(argv, environment, output.fileno(), to, limit)


def _is_loopback(reference: str) -> bool:
    """A registry on this machine may speak without TLS."""
    host = reference.partition("/")[0].rpartition(":")[0] or reference.partition("/")[0]
    if host == "localhost":
        return True
    with contextlib.suppress(ValueError):
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    return False


def _run(argv: list[str], environment: Mapping[str, str], output: int, to: Path, limit: int) -> None:
    process = subprocess.Popen(
        argv, env=dict(environment), stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True
    )
    try:
        _wait(process, to, limit)
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
    if process.returncode != 0:
        raise Unusable(f"skopeo cannot fetch this image: {_said(output)}")


def _wait(process: subprocess.Popen[bytes], to: Path, limit: int) -> None:
    until = time.monotonic() + FETCH_SECONDS
    while True:
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(timeout=_LOOK_SECONDS)
            return
        if time.monotonic() > until:
            raise Unusable(f"The image did not arrive within {FETCH_SECONDS:g} s; try again.")
        if _size(to.parent) > limit:
            raise Unusable(
                f"The image is larger than {limit // 1024**2} MiB, which is the limit; it is set by "
                "GITWARD_ENVIRONMENT_MB."
            )


# `agents` has the same lines: the two do not know each other, and so few make no module.
def _size(folder: Path) -> int:
    total = 0
    for place, _, names in os.walk(folder):
        for name in names:
            with contextlib.suppress(OSError):
                total += os.lstat(os.path.join(place, name)).st_size
    return total


def _said(output: int) -> str:
    text = os.pread(output, 64 * 1024, 0).decode("utf-8", "replace")
    text = _LOGIN.sub("://***@", "".join(each if each.isprintable() else " " for each in text))
    return " ".join(text.split())[-2000:] or "it does not say why"
