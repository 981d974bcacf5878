"""The environments that `scripts/environments` makes."""

from __future__ import annotations

from pathlib import Path

from gitward.environments.store import Store
from gitward.grants.system_image import SystemImage

HOME = Path(__file__).parents[2] / ".tools" / "environments"
STORE = HOME / "store"


def unpacked(name: str) -> Path:
    """The system that an environment was made of."""
    assert (HOME / f"{name}.stamp").exists(), "run scripts/environments first: it makes what this test drives"
    return HOME / "folders" / name / "system"


def image_of(name: str) -> SystemImage:
    """An environment as a sandbox takes it."""
    unpacked(name)
    stored = Store(STORE).get(name)
    assert stored is not None
    return stored.image
