"""Which refs of a push GitHub would refuse, and what it says about them.

Sources: GitHub's documentation ("About large files on GitHub", "About protected branches", "Available rules for
rulesets", "Push protection from the command line", "Blocking command line pushes that expose your personal email
address"), and what git printed in public reports.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from fnmatch import fnmatchcase
from typing import Any, NamedTuple

from . import violations
from .git import LONGEST_POINTER, Blob, changed_paths, contents, git, new_blobs, new_commits

Say = Callable[[str], None]

WORKFLOWS = ".github/workflows/"
MEGABYTE = 1024 * 1024
POINTER = b"version https://git-lfs.github.com/spec/v1\n"
SHOWN_OBJECTS = 3


class Update(NamedTuple):
    """One ref of a push."""

    ref: str
    old: str | None  # None: the ref is new
    new: str | None  # None: the ref is deleted


class Push(NamedTuple):
    """A whole push, and the rules that it is judged by (see `push_rules`)."""

    updates: Sequence[Update]
    rules: dict[str, Any]

    @property
    def tips(self) -> list[str]:
        return [update.new for update in self.updates if update.new]


def refused(push: Push, *, say: Say) -> Iterator[tuple[Update, str | None]]:
    """Each ref with git's closing words when it is refused; what GitHub says before them goes to `say`."""
    whole = _of_files(push, say) or _of_address(push, say)
    for update in push.updates:
        yield (
            update,
            whole
            or _of_protection(update, push.rules, say)
            or violations.of(update, push.rules, say)
            or (_of_workflows(update, push.rules)),
        )


def _of_files(push: Push, say: Say) -> str | None:
    """GH001 and GH008, which are about all of the push."""
    blobs = new_blobs(*push.tips)
    return _of_large_files(blobs, push.rules["largest_file"], say) or _of_pointers(blobs, push.rules, say)


def _of_large_files(blobs: Sequence[Blob], limit: int, say: Say) -> str | None:
    """Files over half of the limit are only warned of."""
    large = [blob for blob in blobs if blob.size > limit]
    notable = [blob for blob in blobs if limit // 2 < blob.size <= limit]
    for blob in notable:
        say(f"warning: {_told(blob)}; this is larger than {_RECOMMENDED} of {_megabytes(limit // 2)}")
    if large:
        say(f"error: Trace: {large[0].sha:0<64}")
        say("error: See https://gh.io/lfs for more information.")
    for blob in large:
        say(f"error: {_told(blob)}; this exceeds GitHub's file size limit of {_megabytes(limit)}")
    if large or notable:
        say(f"{'error' if large else 'warning'}: {_LARGE}")
    return "pre-receive hook declined" if large else None


def _of_pointers(blobs: Sequence[Blob], rules: dict[str, Any], say: Say) -> str | None:
    small = [blob for blob in blobs if len(POINTER) < blob.size <= LONGEST_POINTER]
    oids = [oid for content in contents(small) if (oid := _pointed_to(content))]
    missing = [oid for oid in dict.fromkeys(oids) if not _is_stored(rules["lfs_objects"], oid)]
    if not missing:
        return None
    objects = "object" if len(missing) == 1 else "objects"
    say(f"error: GH008: Your push referenced at least {len(missing)} unknown Git LFS {objects}:")
    for oid in missing[:SHOWN_OBJECTS]:
        say(f"    {oid}")
    if len(missing) > SHOWN_OBJECTS:
        say("    ...")
    say("Try to push them with 'git lfs push --all'.")
    return "pre-receive hook declined"


_LARGE = "GH001: Large files detected. You may want to try Git Large File Storage - https://git-lfs.github.com."

_RECOMMENDED = "GitHub's recommended maximum file size"


def _told(blob: Blob) -> str:
    return f"File {blob.path} is {_megabytes(blob.size)}"


def _megabytes(size: int) -> str:
    return f"{size / MEGABYTE:.2f} MB"


def _pointed_to(content: bytes) -> str | None:
    if not content.startswith(POINTER):
        return None
    oid = next((line for line in content.decode(errors="replace").split("\n") if line.startswith("oid sha256:")), "")
    return oid.removeprefix("oid sha256:") or None


def _is_stored(folder: str, oid: str) -> bool:
    return os.path.isfile(os.path.join(folder, oid[:2], oid[2:4], oid))


def _of_address(push: Push, say: Say) -> str | None:
    """GH007. As the documentation says: the author's address of the most recent commit is looked at."""
    private = {address.lower() for address in push.rules["private_addresses"]}
    for tip in push.tips if private else ():
        if git("log", "-1", "--format=%ae", tip).strip().lower() in private:
            say("error: GH007: Your push would publish a private email address.")
            say("You can make your email public or disable this protection by visiting:")
            say(f"{push.rules['server']}/settings/emails")
            return "push declined due to email privacy restrictions"
    return None


def _of_protection(update: Update, rules: dict[str, Any], say: Say) -> str | None:
    """GH006, of classic branch protection."""
    branch = update.ref.removeprefix("refs/heads/")
    if branch == update.ref or not any(fnmatchcase(branch, pattern) for pattern in rules["protected"]):
        return None
    say(f"error: GH006: Protected branch update failed for {update.ref}.")
    say(f"error: {' '.join(rules['protection'])}")
    return "protected branch hook declined"


def _of_workflows(update: Update, rules: dict[str, Any]) -> str | None:
    """A workflow file that the push would bring to a branch and that no ref has in this form yet."""
    if rules["workflows"] or not update.new or not update.ref.startswith("refs/heads/"):
        return None
    for commit in new_commits(update.new):
        path = next((path for path in changed_paths(commit) if path.startswith(WORKFLOWS)), None)
        if path:
            return (
                f"refusing to allow a Personal Access Token to create or update workflow `{path}` "
                "without `workflow` scope"
            )
    return None
