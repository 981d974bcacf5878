"""OCI images as files: layers from entries of tar archives, honest or not."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import platform
import tarfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ARCHITECTURE = {"x86_64": "amd64", "aarch64": "arm64"}[platform.machine()]
_LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"
_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
_INDEX = "application/vnd.oci.image.index.v1+json"


@dataclass(frozen=True)
class Entry:
    """One member of a layer."""

    name: str
    content: bytes | None = None  # a regular file's
    kind: bytes = tarfile.REGTYPE
    target: str = ""
    mode: int = 0o755


def folder(name: str, mode: int = 0o755) -> Entry:
    return Entry(name, kind=tarfile.DIRTYPE, mode=mode)


def link(name: str, target: str) -> Entry:
    return Entry(name, kind=tarfile.SYMTYPE, target=target)


def layer(entries: Iterable[Entry]) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for each in entries:
            member = tarfile.TarInfo(each.name)
            member.type, member.linkname, member.mode = each.kind, each.target, each.mode
            member.size = len(each.content or b"")
            if each.kind in {tarfile.CHRTYPE, tarfile.BLKTYPE}:
                member.devmajor, member.devminor = 1, 3
            archive.addfile(member, io.BytesIO(each.content or b""))
    return out.getvalue()


class Layout:
    """An OCI layout on disk."""

    def __init__(self, place: Path) -> None:
        self.place = place
        (place / "blobs/sha256").mkdir(parents=True)
        (place / "oci-layout").write_text('{"imageLayoutVersion": "1.0.0"}')
        self._manifests: list[dict[str, Any]] = []

    def blob(self, content: bytes, media_type: str) -> dict[str, Any]:
        digest = hashlib.sha256(content).hexdigest()
        (self.place / "blobs/sha256" / digest).write_bytes(content)
        return {"mediaType": media_type, "digest": f"sha256:{digest}", "size": len(content)}

    def image(self, layers: Sequence[bytes], env: Sequence[str] = (), *, machine: str = ARCHITECTURE) -> dict[str, Any]:
        """Its manifest's descriptor."""
        config = {
            "architecture": machine,
            "os": "linux",
            "config": {"Env": list(env)},
            "rootfs": {"type": "layers", "diff_ids": [f"sha256:{hashlib.sha256(each).hexdigest()}" for each in layers]},
        }
        manifest = {
            "schemaVersion": 2,
            "mediaType": _MANIFEST,
            "config": self.blob(json.dumps(config).encode(), "application/vnd.oci.image.config.v1+json"),
            "layers": [self.blob(gzip.compress(each, 1, mtime=0), _LAYER) for each in layers],
        }
        found = self.blob(json.dumps(manifest).encode(), _MANIFEST)
        return {**found, "platform": {"architecture": machine, "os": "linux"}}

    def index(self, manifests: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        """For several machines."""
        document = {"schemaVersion": 2, "mediaType": _INDEX, "manifests": list(manifests)}
        return self.blob(json.dumps(document).encode(), _INDEX)

    def tag(self, descriptor: Mapping[str, Any], name: str = "v1") -> str:
        """The source that an operator names."""
        self._manifests.append({**descriptor, "annotations": {"org.opencontainers.image.ref.name": name}})
        (self.place / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": self._manifests}))
        return f"oci:{self.place}:{name}"
