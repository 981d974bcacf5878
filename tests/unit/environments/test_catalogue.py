"""Which environments sessions may use."""

from __future__ import annotations

from pathlib import Path

import pytest

from gitward.environments.catalogue import Environments, Offer, is_name
from gitward.environments.store import Store

from .test_store import put


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    store = Store(tmp_path / "environments")
    put(store, "go", "d1")
    put(store, "node", "d2")
    return store.folder


@pytest.mark.parametrize(
    ("allowed", "name", "here", "refusal"),
    [
        ((), "host", True, None),
        ((), "go", True, None),
        ((), "rust", True, "must be one of host, go, node"),
        (("go",), "go", True, None),
        (("go",), "host", True, "must be one of go"),
        (("go",), "node", True, "must be one of go"),
        (
            ("rust",),
            "rust",
            True,
            "is allowed, but was not added on this machine; the operator runs: gitward environments add rust …",
        ),
        (("rust",), "rust", False, None),
        ((), "rust", False, "must be host, unless GITWARD_ENVIRONMENTS names others"),
        ((), "host", False, None),
    ],
)
def test_an_allow_list_decides(
    folder: Path, allowed: tuple[str, ...], name: str, here: bool, refusal: str | None
) -> None:
    assert Environments(folder, allowed).refusal(name, here=here) == refusal


def test_the_first_that_is_allowed_is_the_default(folder: Path) -> None:
    assert Environments(folder).default == "host"
    assert Environments(folder, ("go", "host")).default == "go"


def test_offers_say_what_is_ready(folder: Path) -> None:
    offers = Environments(folder, ("host", "go", "rust")).offers()
    assert offers == [
        Offer(name="host"),
        Offer(name="go", digest="d1", bytes=5),
        Offer(
            name="rust",
            ready=False,
            reason="It was not added on this machine; run: gitward environments add rust …",
        ),
    ]
    assert [each.name for each in Environments(folder).offers()] == ["host", "go", "node"]
    assert Environments(folder, ("go",)).offers(here=False) == [Offer(name="go", ready=None)]
    (folder / "names/go.json").write_text("{")
    assert [each.ready for each in Environments(folder).offers()] == [True, False, True]


@pytest.mark.parametrize("name", ["", "Go", "../x", "a/b", "-go", ".go", "g" * 33, "go\n"])
def test_names_are_fit_for_a_file(name: str) -> None:
    assert not is_name(name)
    assert is_name("go-1.22_x")
