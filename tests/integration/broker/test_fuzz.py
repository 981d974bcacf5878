"""Whatever a sandbox sends, upstream receives only what is within the grant. `scripts/fuzz` does it for longer."""

from __future__ import annotations

from pathlib import Path

import pytest

from .conftest import BRANCH
from .fuzz import Beyond, found_in, search
from .fuzz_target import Counts, fuzzed
from .fuzzing import BY_KIND, Asked
from .holes import HOLES, Hole
from .reaches import Reach


@pytest.mark.parametrize("reach", Reach)
def test_upstream_receives_what_is_granted(reach: Reach) -> None:
    """And the requests are neither nearly all refused nor nearly all harmless, but where little is left."""
    with fuzzed(reach=reach) as (target, attempt):
        search(lambda request: attempt(request, BRANCH), cases=400)
        total = sum(target.counts.values(), Counts())
    assert set(target.counts) == set(BY_KIND)
    assert total.sent >= 400
    if reach is Reach.NARROWED:
        assert min(target.counts["git"].forwarded, target.counts["lfs"].forwarded) > 0, target.counts
    else:
        assert total.balanced, total


@pytest.mark.parametrize("reach", [Reach.OWN, Reach.NARROWED])
def test_an_oracle_with_a_narrower_reach_sees_what_is_let_through(reach: Reach) -> None:
    """The broker has the reach `repository`, and the oracle is told another one."""
    with fuzzed(oracle=reach) as (_, attempt), pytest.raises(Beyond):
        search(lambda request: attempt(request, BRANCH), cases=1000, shrink=False)


def test_an_oracle_with_another_grant_sees_what_is_let_through() -> None:
    """The broker lets a branch through that the grant, as the oracle is told here, does not have."""
    found: set[str] = set()
    with fuzzed() as (_, attempt):

        def note(request: Asked) -> list[str]:
            found.update(attempt(request, "gitward/other"))
            return []

        search(note, cases=300)
    assert {f"a push to refs/heads/{BRANCH}", f"a pull request of {BRANCH}"} <= found


_ONE_OF_A_KIND = list({(hole.kind, hole.reach): hole for hole in HOLES}.values())


@pytest.mark.parametrize("hole", _ONE_OF_A_KIND, ids=lambda hole: hole.name)
def test_a_hole_in_the_policy_is_found(hole: Hole, tmp_path: Path) -> None:
    """One of each kind and reach, by requests of its kind alone; the long run does it with all."""
    _, found = found_in(hole, tmp_path, cases=2000, requests=BY_KIND[hole.kind])
    assert found


@pytest.mark.parametrize("hole", HOLES, ids=lambda hole: hole.name)
def test_a_hole_can_be_made(hole: Hole, tmp_path: Path) -> None:
    """The policy's source has the place where the hole is, and what comes out of it is Python."""
    hole.program(tmp_path)
    compile((tmp_path / "gitward" / "broker" / hole.file).read_text(), hole.file, "exec")
