"""Holes for the fuzz to find: the broker's source with one thing changed, as a mistake would change it."""

from __future__ import annotations

import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

import gitward

from .reaches import Reach

SOURCE = Path(gitward.__file__).parent


@dataclass(frozen=True, kw_only=True)
class Hole:
    """One mistake in one file of the broker."""

    name: str
    kind: str  # of the requests that can find it
    reach: Reach = Reach.REPOSITORY  # of the grant that it opens
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


# A head that is not looked at would still go on with the right owner: the mistake is in both.
_SPELLED_HEAD = """

def _spelled_head(value: str, grant: Grant) -> str:
    _, colon, branch = value.rpartition(":")
    return f"{owner_of(grant)}:{branch}" if colon else branch
"""
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
        right=" and (not colon or is_owner(owner, grant))\n" + _SPELLED_HEAD,
        wrong="\n\n\ndef _spelled_head(value: str, grant: Grant) -> str:\n    return value\n",
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
    Hole(
        name="a text is read however long it is",
        kind="cost",
        file="policy/argument.py",
        right="if any(isinstance(text, str) and len(text) > LONGEST for text in texts):",
        wrong="if False:",
    ),
    Hole(
        name="a preview goes on beside what is known",
        kind="rest",
        file="policy/accept.py",
        right='header=", ".join(known) or JSON',
        wrong='header=", ".join(asked) or JSON',
    ),
    Hole(
        name="a push may ask for what is not known",
        kind="git",
        file="policy/push.py",
        right="for each in sorted(found - _FLAGS):",
        wrong="for each in ():",
    ),
    Hole(
        name="a push option is compared with what is forbidden",
        kind="git",
        file="policy/push.py",
        right="not OPTIONS.issuperset(head.options)",
        wrong='any(option.strip().casefold().startswith("repo.") for option in head.options)',
    ),
    Hole(
        name="a search is split at any white space",
        kind="graphql",
        file="policy/graphql/arguments.py",
        right="    if not isinstance(value, str) or not _is_plain(value):\n",
        wrong="    if isinstance(value, str):\n        value = re.sub(r'\\s', ' ', value)\n    else:\n",
    ),
    Hole(
        name="a name goes on as it was typed",
        kind="graphql",
        file="policy/argument.py",
        right="if self.spelling is None or not isinstance(value, str):",
        wrong="if True:",
    ),
    Hole(
        name="a listed path is compared by its beginning",
        kind="inject",
        file="policy/inject/paths.py",
        right="    return segments == wanted\n",
        wrong="    return segments[: len(wanted)] == wanted\n",
    ),
    Hole(
        name="a path may have parameters behind a semicolon",
        kind="inject",
        file="policy/inject/paths.py",
        right="(?!\\.+$)[A-Za-z0-9._~!$&'()*+,=:@-]+",
        wrong="(?!\\.+$)[A-Za-z0-9._~!$&'()*+,;=:@-]+",
    ),
    Hole(
        name="a wish to upgrade is not noticed",
        kind="inject",
        file="server/framing.py",
        right="if _wants_another_protocol(request):",
        wrong="if False:",
    ),
    Hole(
        name="any open pull request of this repository is the session's",
        kind="rest",
        reach=Reach.OWN,
        file="server/own_writes.py",
        right='            and f"refs/heads/{branch}" == self._grant.push_ref\n',
        wrong="",
    ),
    Hole(
        name="a fork's branch of the same name is the session's",
        kind="graphql",
        reach=Reach.OWN,
        file="server/own_writes.py",
        right="            and source.casefold() == self._grant.repository.casefold()\n",
        wrong="",
    ),
    Hole(
        name="a draft that is left out is not judged",
        kind="graphql",
        reach=Reach.OWN,
        file="policy/writes.py",
        right="    accepts=_is_draft,\n    implied=True,\n",
        wrong="    accepts=_is_draft,\n",
    ),
    Hole(
        name="an own issue may be given labels",
        kind="rest",
        reach=Reach.OWN,
        file="policy/rest.py",
        right='"PullRequest", "Issue", title=TEXT, body=TEXT),',
        wrong='"PullRequest", "Issue", title=TEXT, body=TEXT, labels=ANY),',
    ),
    Hole(
        name="every issue is the session's",
        kind="graphql",
        reach=Reach.OWN,
        file="server/own_writes.py",
        right="            return number in self._issues\n",
        wrong="            return True\n",
    ),
    Hole(
        name="texts may close other repositories' issues",
        kind="rest",
        reach=Reach.OWN,
        file="policy/writes.py",
        right="return short and closes_elsewhere(value, grant.repository) is None",
        wrong="return short",
    ),
    Hole(
        name="bots can be assigned",
        kind="rest",
        file="server/own_writes.py",
        right="return await self.not_people(logins_in(call.rule, body))",
        wrong="return None",
    ),
    Hole(
        name="the last push is compared by its branch only",
        kind="git",
        reach=Reach.NARROWED,
        file="policy/restriction.py",
        right="if head.updates in ((), (wanted,)) else",
        wrong="if [each.ref for each in head.updates] in ([], [wanted.ref]) else",
    ),
    Hole(
        name="fetching goes on beside the last push",
        kind="git",
        reach=Reach.NARROWED,
        file="policy/restriction.py",
        right="    lists_only: bool = True\n",
        wrong="    lists_only: bool = False\n",
    ),
    Hole(
        name="any LFS object may be uploaded beside the last push",
        kind="lfs",
        reach=Reach.NARROWED,
        file="policy/restriction.py",
        right='batch.operation == "upload" and batch.oids <= self.lfs_oids',
        wrong='batch.operation == "upload"',
    ),
)
