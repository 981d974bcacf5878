"""Whether the commits of a result close issues of another repository than their own."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from gitward.repositories.git import LISTING_BYTES
from gitward.repositories.pack_inspection.commit_messages import closings_in, require_readable
from gitward.repositories.result import Result


async def closes_elsewhere(result: Result, head: str, upstream: Sequence[str], *, repository: str) -> str | None:
    """One reference to such an issue, in the messages of the commits that `upstream` does not have.

    :raises BadPack: a message is too large, or in an encoding in which it cannot be read.
    """
    known = [each[0] for each in await result.resolve(*upstream) if each is not None]
    asked = ("log", "-z", "--format=%e%n%B", "--encoding=UTF-8", head, "--not", *known, "--")
    messages = (await result.bare.do(*asked, limit=LISTING_BYTES)).split(b"\0")
    own = repository.casefold()
    for each in messages:
        encoding, _, message = each.partition(b"\n")
        if encoding:
            require_readable(encoding)
        for name, reference in (await asyncio.to_thread(closings_in, message)).items():
            if name != own:
                return "".join(each if each.isascii() and each.isprintable() else "?" for each in reference)[:100]
    return None
