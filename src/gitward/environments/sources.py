"""Where an image comes from: `oci:DIR:TAG`, `docker-archive:FILE`, `docker://…`, or a folder."""

from __future__ import annotations

import json
import os
import re
import shutil
import stat
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from gitward.environments.store import Unusable

_DOCKER = "docker://"
_REFERENCE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/@\[\]-]{0,500}")
_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._:/@-]{0,255}")
_MOST_INDEX = 4 * 1024 * 1024  # bytes
_OPEN_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_BLOB = re.compile(r"[0-9a-f]{32,128}")


class Kind(StrEnum):
    OCI = "oci"
    ARCHIVE = "docker-archive"
    REGISTRY = "docker"
    FOLDER = "folder"


@dataclass(frozen=True, kw_only=True)
class Source:
    """Parsed, and there as far as this machine can tell."""

    kind: Kind
    text: str  # as it was given
    path: Path = Path("/")  # of what is on this machine
    reference: str = ""  # an image's tag or name, where there may be several; empty: the only one


def parse(text: str) -> Source:
    """Raises Unusable: nothing can come from there."""
    if text.startswith(_DOCKER):
        reference = text.removeprefix(_DOCKER)
        if not _REFERENCE.fullmatch(reference):
            raise Unusable("docker:// wants an image's name: docker://registry.example/team/image:tag")
        return Source(kind=Kind.REGISTRY, text=text, reference=reference)
    for kind in (Kind.OCI, Kind.ARCHIVE):
        if text.startswith(f"{kind}:"):
            return _local(kind, text)
    path = Path(text).expanduser().resolve()
    if path.is_file():
        raise Unusable(f"{text} is a file. Of an archive of `docker save` say docker-archive:{text}")
    if not path.is_dir():
        raise Unusable(
            f"{text} does not exist. Give oci:DIR:TAG, docker-archive:FILE, docker://registry/image:tag, or a folder "
            "with an unpacked system."
        )
    if path == Path("/"):
        raise Unusable("This machine itself is the environment `host`; give a folder with another system.")
    return Source(kind=Kind.FOLDER, text=text, path=path)


def _local(kind: Kind, text: str) -> Source:
    rest = text.removeprefix(f"{kind}:")
    path, reference = rest, ""
    if not Path(rest).exists():
        path, _, reference = rest.rpartition(":")
        while path and not Path(path).exists() and ":" in path:  # a reference with a tag has a colon of its own
            path, _, more = path.rpartition(":")
            reference = f"{more}:{reference}"
    found = Path(path).expanduser().resolve()
    fits = found.is_dir() if kind is Kind.OCI else found.is_file()
    if not path or not fits:
        what = "folder with an OCI layout" if kind is Kind.OCI else "file"
        raise Unusable(f"{text}: there is no such {what}.")
    if reference and not _TAG.fullmatch(reference):
        raise Unusable(f"{text}: {reference!r} is no tag.")
    return Source(kind=kind, text=text, path=found, reference=reference)


def bring_in(source: Source, to: Path, *, limit: int) -> None:
    """Copies an archive or an OCI layout to `to`, which must not exist; only plain files. Blocks. Raises Unusable."""
    if source.kind is Kind.ARCHIVE:
        _copy_file(source.path, to, limit)
        return
    to.mkdir()
    left = limit
    for name in ("oci-layout", "index.json"):
        left -= _copy_file(source.path / name, to / name, min(left, _MOST_INDEX))
    blobs = source.path / "blobs"
    for algorithm in sorted(blobs.iterdir()) if blobs.is_dir() else ():
        if algorithm.name not in {"sha256", "sha512"} or algorithm.is_symlink() or not algorithm.is_dir():
            continue
        (to / "blobs" / algorithm.name).mkdir(parents=True)
        for blob in sorted(algorithm.iterdir()):
            if _BLOB.fullmatch(blob.name):
                left -= _copy_file(blob, to / "blobs" / algorithm.name / blob.name, left)


def _copy_file(source: Path, to: Path, limit: int) -> int:
    try:
        descriptor = os.open(source, _OPEN_FILE)
    except OSError as error:
        raise Unusable(f"{source} cannot be read ({error.strerror}); is it a whole OCI layout?") from None
    with os.fdopen(descriptor, "rb") as file:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise Unusable(f"{source} is no plain file.")
        if status.st_size > limit:
            raise Unusable(
                f"{source} is larger than {limit // 1024**2} MiB, which is left of the limit; it is set by "
                "GITWARD_ENVIRONMENT_MB."
            )
        with to.open("xb") as target:
            shutil.copyfileobj(file, target, 1024 * 1024)
    return status.st_size


def only_tag(layout: Path, source: Source) -> str:
    """The tag of the image that is meant. Raises Unusable, with the names of those that there are."""
    if source.reference:
        return source.reference
    try:
        manifests = json.loads((layout / "index.json").read_bytes())["manifests"]
        tags = [each.get("annotations", {}).get("org.opencontainers.image.ref.name") for each in manifests]
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        raise Unusable(f"{source.text}: its index.json is none of an OCI layout.") from None
    if len(tags) == 1:
        return str(tags[0] or "")
    names = ", ".join(str(each) for each in tags[:20] if each)
    raise Unusable(
        f"{source.text} has {len(tags)} images; name one, as in oci:DIR:TAG. There are: {names or 'no tags'}"
    )
