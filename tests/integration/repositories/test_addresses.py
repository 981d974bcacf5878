"""Commits whose address GitHub refuses are made anew with another one, and nothing else of them changes."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from gitward.repositories.addresses import MOST, Exchange, replace_addresses
from gitward.repositories.work import Work
from workbench import Taken, Workbench, run, workbench

pytestmark = pytest.mark.asyncio(loop_scope="session")

NEW = "1+octocat@users.noreply.github.com"
EXCHANGE = Exchange(old=frozenset({"me@home.example"}), new=NEW)
FORMAT = "%T|%an|%ae|%aI|%cn|%ce|%cI|%B"
# Two of mine, one of somebody else's that another person committed, a merge of both lines, and one upon it.
LINES = r"""
export GIT_COMMITTER_DATE=2020-02-02T02:02:02+0200
as() { git -c user.name="$1" -c user.email="$2" commit -q --allow-empty --author="$3" --date=2019-01-01T01:01:01-0800 \
  -m "$4" -m "Signed-off-by: Me <me@home.example>"; }
unset GIT_AUTHOR_NAME GIT_AUTHOR_EMAIL GIT_COMMITTER_NAME GIT_COMMITTER_EMAIL
git switch -qc side; as 'Other P' other@x.org 'Other P <other@x.org>' 'not mine, and upon nothing of mine'
git switch -q -; echo mine > mine.txt; git add mine.txt; as 'Me' ME@Home.example 'Me Ü <me@home.example>' mine
as 'Other P' other@x.org 'Me <me@home.example>' 'mine, committed by another'
as 'Other P' other@x.org 'Other P <other@x.org>' 'not mine, upon mine'
git -c user.name=Me -c user.email=me@home.example merge -q --no-ff -m merged side
"""
SIGNED = r"""
me='Me <me@home.example> 1 +0000'
{ printf 'tree %s\nparent %s\n' $(git write-tree) $(git rev-parse HEAD); printf 'author %s\ncommitter %s\n' "$me" "$me"
  printf 'gpgsig -----BEGIN PGP SIGNATURE-----\n \n iQEz\n -----END PGP SIGNATURE-----\n'
  printf 'encoding ISO-8859-1\n\nsigned\n\ngpgsig of the message\n'; } > /tmp/commit
git reset -q --hard $(git hash-object -w -t commit /tmp/commit)
"""


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def bench() -> AsyncIterator[Workbench]:
    async with workbench() as made:
        yield made


async def replaced(taken: Taken) -> str | None:
    upstream = [oid for _, oid in taken.upstream.refs]
    return await replace_addresses(taken.result, taken.place, taken.work.head, upstream=upstream, exchange=EXCHANGE)


async def history(taken: Taken, head: str) -> list[str]:
    asked = ("log", "--topo-order", "-z", f"--format={FORMAT}", f"{taken.start.sha}..{head}")
    return (await taken.result.bare.do(*asked, limit=2**20)).decode().strip("\0").split("\0")


async def test_all_of_the_owner_s_and_nobody_else_s(bench: Workbench) -> None:
    """Also a merge and what builds on them; messages, names, dates and trees stay."""
    async with bench.run(LINES) as taken:
        old, new = taken.work.head, await replaced(taken)
        assert new is not None
        before, after = await history(taken, old), await history(taken, new)
        assert len(before) == 5
        as_told = {
            each.replace("|me@home.example|", f"|{NEW}|").replace("|ME@Home.example|", f"|{NEW}|") for each in before
        }
        assert set(after) == as_told
        assert sum(f"|{NEW}|" in each for each in after) == 3
        kept = await taken.result.resolve(f"{old}^2", f"{new}^2")
        assert kept[0] == kept[1], "whose ancestors and address stay is the same commit"
        assert "Signed-off-by: Me <me@home.example>" in after[-1]
        parents = (await taken.result.bare.do("rev-list", "--parents", "-1", new)).decode().split()
        assert len(parents) == 3


async def test_what_is_made_anew_can_be_pushed_and_fetched(bench: Workbench) -> None:
    async with bench.run(LINES) as taken:
        new = await replaced(taken)
        assert new is not None
        taken.work = Work(head=new, changed=True)
        assert len(await taken.trees(patch=False)) == 1
        addresses = run("git", "log", "--format=%ae %ce", f"main..{new}", cwd=await taken.pushed()).decode()
        assert "home.example" not in addresses.lower()


async def test_signatures_are_dropped_and_other_headers_stay(bench: Workbench) -> None:
    async with bench.run(SIGNED) as taken:
        assert b"gpgsig -----BEGIN" in await taken.result.bare.do("cat-file", "commit", taken.work.head)
        new = await replaced(taken)
        assert new is not None
        parent, tree = taken.start.sha, (await taken.result.resolve(f"{new}^{{tree}}"))[0]
        assert tree is not None
        assert (await taken.result.bare.do("cat-file", "commit", new)).decode() == (
            f"tree {tree[0]}\nparent {parent}\nauthor Me <{NEW}> 1 +0000\ncommitter Me <{NEW}> 1 +0000\n"
            "encoding ISO-8859-1\n\nsigned\n\ngpgsig of the message\n"
        )


async def test_nothing_to_replace(bench: Workbench) -> None:
    async with bench.run("echo x > x; git add x; git commit -qm x") as taken:
        assert await replaced(taken) is None


async def test_what_is_upstream_stays(bench: Workbench) -> None:
    """A branch with such an address was taken once; the run's own commit upon it is made anew alone."""
    upstream = "git switch -qc mine; git -c user.email=me@home.example commit -q --allow-empty -m old \
        --author='Me <me@home.example>'; git switch -q main"
    command = "git merge -q --ff-only origin/mine; git commit -q --allow-empty -m new --author='Me <me@home.example>'"
    async with bench.run(command, upstream=upstream) as taken:
        new = await replaced(taken)
        assert new is not None
        there = taken.upstream.refs.get("refs/heads/mine")
        assert (await taken.result.resolve(f"{new}^"))[0] == (there, "commit")


async def test_more_commits_than_are_looked_at_stay_as_they_are(bench: Workbench) -> None:
    many = rf"""
    for n in $(seq {MOST + 1}); do
      printf 'commit refs/heads/many\ncommitter Me <me@home.example> 1 +0000\ndata 1\nx\n'
      [ $n = 1 ] && printf 'from %s\n' $(git rev-parse HEAD); printf '\n'
    done | git fast-import --quiet; git reset -q --hard many
    """
    async with bench.run(many) as taken:
        assert await replaced(taken) is None
        [parent] = await taken.result.resolve(f"{taken.work.head}^")
        assert parent is not None
        taken.work = Work(head=parent[0], changed=True)
        assert await replaced(taken) is not None
