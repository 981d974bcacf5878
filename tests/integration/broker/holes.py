"""Holes for the fuzz to find: the broker's source with one thing changed, as a mistake would change it."""

from __future__ import annotations

import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

import gitward

SOURCE = Path(gitward.__file__).parent


@dataclass(frozen=True, kw_only=True)
class Hole:
    """One mistake in one file of the broker."""

    name: str
    kind: str  # of the requests that can find it
    file: str  # below gitward/broker
    right: str  # what stands there, once
    wrong: str  # what the mistake puts in its place

    def program(self, folder: Path) -> tuple[str, ...]:
        """How to start a broker process that has the hole; its source is written to `folder`."""
        copy = folder / "gitward"
        shutil.copytree(SOURCE, copy, ignore=shutil.ignore_patterns("__pycache__"))
        file = copy / "broker" / self.file
        text = file.read_text()
        if text.count(self.right) != 1:
            raise ValueError(f"{self.name}: the policy has changed; {self.right!r} is not once in {self.file}")
        file.write_text(text.replace(self.right, self.wrong))
        start = (
            f"import sys; sys.path.insert(0, {str(folder)!r}); from gitward.broker.server.parent import main; main()"
        )
        return (sys.executable, "-I", "-c", start)


HOLES = (
    Hole(
        name="a ref is compared by its beginning only",
        kind="git",
        file="policy/push.py",
        right="any(update.ref != ref for update in head.updates)",
        wrong="any(not update.ref.startswith(ref) for update in head.updates)",
    ),
    Hole(
        name="what may be fetched may be pushed to",
        kind="git",
        file="policy/git.py",
        right="        if own:\n",
        wrong="        if own or any(_same(call.repository, other) for other in grant.readable):\n",
    ),
    Hole(
        name="one rule too many in the table for REST",
        kind="rest",
        file="policy/rest.py",
        right='*_read("rest.labels", ',
        wrong='*_read("rest.keys", "keys", "keys"),\n    *_read("rest.labels", ',
    ),
    Hole(
        name="the owner before a branch is not looked at",
        kind="rest",
        file="policy/argument.py",
        right=" and (not colon or is_owner(owner, grant))",
        wrong="",
    ),
    Hole(
        name="an encoded slash is let through",
        kind="rest",
        file="wire/target.py",
        right='_FORBIDDEN = re.compile(r"[\\x00-\\x1f\\x7f/\\\\%]")',
        wrong='_FORBIDDEN = re.compile(r"[\\x00-\\x1f\\x7f\\\\%]")',
    ),
    Hole(
        name="one field too many in the table for GraphQL",
        kind="graphql",
        file="policy/graphql/readable.py",
        right='"User": view("User", "id login ',
        wrong='"User": view("User", "id email login ',
    ),
    Hole(
        name="a node's repository is compared by its name only",
        kind="graphql",
        file="server/graphql/node_ids.py",
        right="name.casefold() == self._grant.repository.casefold()",
        wrong='name.rpartition("/")[2] == self._grant.repository.rpartition("/")[2]',
    ),
)
