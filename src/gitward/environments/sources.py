"""Where an image comes from: `oci:DIR:TAG`, `docker-archive:FILE`, `docker://…`, or a folder."""

from __future__ import annotations

import bz2
import gzip
import json
import lzma
import os
import re
import shutil
import stat
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import BinaryIO

from gitward.environments.store import Unusable

_DOCKER = "docker://"
_REFERENCE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/@\[\]-]{0,500}")
_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._:/@-]{0,255}")
_MOST_INDEX = 4 * 1024 * 1024  # bytes
_OPEN_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_PIECE = 1024 * 1024
_TOO_LARGE = "{} is larger than {} MiB, which is left of the limit; it is set by GITWARD_ENVIRONMENT_MB."
# By the first bytes; a name stands for what Python does not read.
_COMPRESSED: dict[bytes, Callable[[BinaryIO], gzip.GzipFile | bz2.BZ2File | lzma.LZMAFile] | str] = {
    b"\x1f\x8b": lambda file: gzip.GzipFile(fileobj=file),
    b"BZh": bz2.BZ2File,
    b"\xfd7zXZ\x00": lzma.LZMAFile,
    b"\x28\xb5\x2f\xfd": "zstd",
}
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
        _copy_archive(source.path, to, limit)
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


def _copy_archive(source: Path, to: Path, limit: int) -> None:
    """Uncompressed: skopeo 1.9 fails on a compressed one ("unexpected EOF")."""
    with _opened(source) as file:
        head = file.read(6)
        file.seek(0)
        kind = next((each for magic, each in _COMPRESSED.items() if head.startswith(magic)), None)
        if kind is None:
            _copy_file(source, to, limit)
            return
        if isinstance(kind, str):
            raise Unusable(f"{source} is compressed by {kind}; uncompress it before.")
        written = 0
        try:
            with kind(file) as content, to.open("xb") as target:
                while piece := content.read(_PIECE):
                    written += len(piece)
                    if written > limit:
                        raise Unusable(_TOO_LARGE.format(source, limit // 1024**2))
                    target.write(piece)
        except (EOFError, zlib.error, lzma.LZMAError, gzip.BadGzipFile) as error:
            raise Unusable(f"{source} cannot be uncompressed: {error}") from None


def _opened(source: Path) -> BinaryIO:
    """A plain file. Raises Unusable."""
    try:
        descriptor = os.open(source, _OPEN_FILE)
    except OSError as error:
        raise Unusable(f"{source} cannot be read ({error.strerror}); is it a whole OCI layout?") from None
    file = os.fdopen(descriptor, "rb")
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        file.close()
        raise Unusable(f"{source} is no plain file.")
    return file


def _copy_file(source: Path, to: Path, limit: int) -> int:
    with _opened(source) as file:
        size = os.fstat(file.fileno()).st_size
        if size > limit:
            raise Unusable(_TOO_LARGE.format(source, limit // 1024**2))
        with to.open("xb") as target:
            shutil.copyfileobj(file, target, _PIECE)
    return size


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
