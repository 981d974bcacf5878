"""Untouched files that git calls modified: their content on disk is what the checkout wrote.

Their line endings, encoding or filter do not fit the committed content.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from gitward.repositories import tree_entries
from gitward.repositories.git import LISTING_BYTES, Git
from gitward.repositories.result import BEFORE
from gitward.repositories.tree_entries import Change

_ATTRIBUTES = b".gitattributes"


@dataclass(frozen=True, kw_only=True)
class Written:
    """Writes files as the checkout did, beside the tree."""

    git: Git
    attributes: str  # the commit by whose .gitattributes the tree was written

    async def same(
        self, tree: Git, asked: Sequence[Change], known: Mapping[bytes, str], *, anew: bool = False
    ) -> set[bytes]:
        """Those of the changed files whose content on disk is what the old entry was written as. Raises GitFailed.

        :param known: what `hashes` found for some of them.
        :param anew: whether other .gitattributes hold now; else a file that git takes as it is was not converted.
        """
        assert tree.tree is not None
        unknown = [each.path for each in asked if each.path not in known]
        on_disk = {**known, **await hashes(tree, unknown)}
        converted = [each for each in asked if each.path in on_disk and (anew or on_disk[each.path] != each.new)]
        if not converted:
            return set()
        was = await self._hashes_before(converted)
        return {each.path for each in converted if was.get(each.path) == on_disk[each.path]}

    async def _hashes_before(self, wanted: Sequence[Change]) -> dict[bytes, str]:
        before = self.git.on(tree=BEFORE, index=f"{BEFORE}.index")
        await before.do("read-tree", "--empty")
        await self._attributes(before)
        await tree_entries.put(before, [tree_entries.entry(each.old_mode, each.old, each.path) for each in wanted])
        paths = [each.path for each in wanted]
        await before.ask("checkout-index", "--force", "-z", "--stdin", stdin=tree_entries.joined(paths))
        return await hashes(before, paths)

    async def _attributes(self, before: Git) -> None:
        listed = await self.git.do("ls-tree", "-r", "-z", self.attributes, limit=LISTING_BYTES)
        lines = [line for line in tree_entries.names(listed) if is_attributes(line.partition(b"\t")[2])]
        await tree_entries.put(before, lines)


def is_attributes(path: bytes) -> bool:
    return path == _ATTRIBUTES or path.endswith(b"/" + _ATTRIBUTES)


async def hashes(git: Git, paths: Sequence[bytes]) -> dict[bytes, str]:
    """The object ids that the files would have without any conversion. Links and what is gone have none."""
    if not paths:
        return {}
    stdin = b"".join(map(tree_entries.line, paths))
    ended = await git.ask("hash-object", "--no-filters", "--stdin-paths", stdin=stdin, limit=LISTING_BYTES)
    if ended.exit_code == 0:
        return dict(zip(paths, ended.output.decode().split(), strict=True))
    if len(paths) == 1:
        return {}
    half = len(paths) // 2  # one is no file: each half for itself
    return {**await hashes(git, paths[:half]), **await hashes(git, paths[half:])}
