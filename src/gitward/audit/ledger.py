"""What the audit searched and found, channel by channel. It holds names of places and spellings, never a value."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from gitward.audit.needles import Needles, Plant, condensed
from gitward.secrets import Secret
from gitward.telemetry.redaction import Redactor

OF_GITHUB = "the token"
MAX_HITS = 1000  # of one channel; further ones say nothing new


@dataclass(frozen=True, kw_only=True)
class Hit:
    """A secret stands here."""

    place: str
    spelling: str
    of: str = OF_GITHUB  # or the name of a model's key


@dataclass(kw_only=True)
class Findings:
    """One channel's."""

    looks: int = 0  # how many things were searched
    bytes: int = 0
    planted: set[str] = field(default_factory=set)  # spellings of the planted values
    hits: dict[Hit, None] = field(default_factory=dict)  # in the order in which they were found


class Ledger:
    """Every look of an audit goes through it. Threads may look at the same time."""

    def __init__(self, token: Secret, plant: Plant, keys: Mapping[str, Secret] | None = None) -> None:
        """:param keys: of models, by name, which are looked for in the same places."""
        named = {OF_GITHUB: token, **(keys or {})}
        self._needles = {name: Needles(secret) for name, secret in named.items()}
        self._plant = plant
        self._redactor = Redactor(named.values())
        self._lock = threading.Lock()
        self._channels: dict[str, Findings] = {}

    def search(self, channel: str, place: str, data: bytes) -> set[str]:
        """Searches `data` and the place's own name; the spellings of secrets that were found."""
        whole = place.encode("utf-8", "surrogateescape") + b"\n" + condensed(data)
        each = {name: needles.found_in(whole) for name, needles in self._needles.items()}
        planted = self._plant.found_in(whole)
        shown = self._redactor.text(place)
        with self._lock:
            findings = self._channels.setdefault(channel, Findings())
            findings.looks += 1
            findings.bytes += len(data)
            findings.planted |= planted
            for name, spelling in sorted((name, spelling) for name, found in each.items() for spelling in found):
                if len(findings.hits) < MAX_HITS:
                    findings.hits[Hit(place=shown, spelling=spelling, of=name)] = None
        return set().union(*each.values())

    def search_json(self, channel: str, place: str, text: bytes) -> None:
        """The text as it is, and each string in it as it is meant: JSON can be spelled in many ways."""
        self.search(channel, place, text)
        try:
            strings = "\n".join(_strings(json.loads(text)))
        except (ValueError, RecursionError):
            return
        self.search(channel, f"{place} (decoded)", strings.encode("utf-8", "surrogatepass"))

    def findings(self, channel: str) -> Findings:
        with self._lock:
            return self._channels.get(channel, Findings())


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for name, member in value.items():
            yield name
            yield from _strings(member)
    elif isinstance(value, list):
        for member in value:
            yield from _strings(member)
