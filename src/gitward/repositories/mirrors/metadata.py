"""The description of a mirror: the file `meta.json` in its folder."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

META = "meta.json"


class BadMetadata(ValueError):
    """The file is not what was written."""


@dataclass(frozen=True, kw_only=True)
class Metadata:
    """One mirror."""

    generation: str  # another one each time that it is made from scratch
    server_url: str
    repository_id: int
    names: tuple[str, ...]  # under which runs have used it, the last eight
    made_at: float  # seconds since 1970
    refreshed_at: float  # when it last changed
    used_at: float
    files: Mapping[str, int]  # packs and indexes, with their sizes
    oid_length: int = 40

    @property
    def size(self) -> int:
        """Bytes of its packs."""
        return sum(self.files.values())

    @property
    def packs(self) -> int:
        return sum(name.endswith(".pack") for name in self.files)

    def encode(self) -> bytes:
        return json.dumps(asdict(self), indent=1).encode()

    @classmethod
    def parse(cls, data: bytes) -> Metadata:
        """:raises BadMeta: this is none."""
        try:
            values = json.loads(data)
            meta = cls(**{field.name: values[field.name] for field in fields(cls)})
            meta = cls(**{**vars(meta), "names": tuple(map(str, meta.names))})
        except (ValueError, KeyError, TypeError) as error:
            raise BadMetadata("its description is damaged") from error
        if not _is_sound(meta):
            raise BadMetadata("its description is damaged")
        return meta


def _is_sound(meta: Any) -> bool:
    numbers = (meta.made_at, meta.refreshed_at, meta.used_at, meta.repository_id, meta.oid_length)
    return (
        isinstance(meta.generation, str)
        and isinstance(meta.server_url, str)
        and all(isinstance(number, int | float) for number in numbers)
        and bool(meta.names)
        and isinstance(meta.files, dict)
        and all(isinstance(size, int) for size in meta.files.values())
    )
