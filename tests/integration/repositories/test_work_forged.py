# ruff: noqa: E501 - a shell command stands on one line of its table
"""What a command configures or forges in its repository changes nothing that is shown, pushed or recorded."""

from __future__ import annotations

import asyncio
import time

import pytest

from gitward.repositories.changes import Form
from workbench import BRANCH, Workbench, run

pytestmark = pytest.mark.asyncio(loop_scope="session")

EVIL = "#!/bin/sh\\necho evil > /result/evil; echo evil >> /workspace/evil; cat\\n"
WORK = "echo shown >> README.md; echo x > x.txt"
NICE = {"README.md": "M", "x.txt": "A"}

CONFIGURED = {
    "grafts": 'mkdir -p .git/info; echo "$(git rev-parse HEAD) $(git rev-parse origin/other)" > .git/info/grafts',
    "alternates to another store": "git clone -q --bare . ../other.git; echo /workspace/other.git/objects > .git/objects/info/alternates; echo /gitward/objects >> .git/objects/info/alternates",
    "remotes": "git remote rename origin mine 2>/dev/null; git remote add origin /workspace/other.git",
    "insteadOf": "git config url./workspace/other.git.insteadOf https://github.com/octo/demo.git; git config --global url./workspace/other.git.insteadOf https://github.com",
    "pushurl": "git init -q --bare ../other.git; git config remote.origin.pushurl /workspace/other.git",
    "info/attributes": "printf '* -diff -text filter=evil merge=evil\\n' > .git/info/attributes",
    "filters": "git config filter.evil.clean /workspace/evil.sh; git config filter.evil.process /workspace/evil.sh; git config filter.evil.required true; echo '* filter=evil' > .git/info/attributes",
    "diff drivers": "git config diff.external /workspace/evil.sh; git config diff.x.textconv /workspace/evil.sh; git config diff.x.command /workspace/evil.sh; echo '* diff=x' > .git/info/attributes",
    "hooks": "mkdir -p .git/hooks; for h in pre-commit commit-msg post-commit pre-push post-index-change post-checkout reference-transaction prepare-commit-msg; do cp ../evil.sh .git/hooks/$h; done; git config core.hooksPath /workspace/hooks; mkdir ../hooks; cp .git/hooks/* ../hooks",
    "fsmonitor": "git config core.fsmonitor /workspace/evil.sh; git update-index --fsmonitor 2>/dev/null; true",
    "commands": "git config core.sshCommand /workspace/evil.sh; git config credential.helper /workspace/evil.sh; git config alias.push '!/workspace/evil.sh'; git config alias.commit '!/workspace/evil.sh'; git config core.pager /workspace/evil.sh; git config core.editor /workspace/evil.sh; git config gpg.program /workspace/evil.sh; git config commit.gpgSign true; git config uploadpack.packObjectsHook /workspace/evil.sh",
    "home": "cp .git/config ~/.gitconfig; git config --global core.fsmonitor /workspace/evil.sh; mkdir -p ~/.config/git; printf '* -diff\\n' > ~/.config/git/attributes; printf 'x.txt\\n' > ~/.config/git/ignore",
    "shown in odd ways": "git config diff.noprefix true; git config diff.context 0; git config diff.renames copies; git config format.attach x; git config diff.orderFile /workspace/evil.sh; git config core.quotePath true; git config color.ui always",
    "odd core": "git config core.worktree /workspace/other; git config core.bare true; git config core.autocrlf true; git config core.ignoreCase true; git config core.symlinks false; git config core.precomposeUnicode true; git config core.sparseCheckout true",
    "format of the future": "git config core.repositoryFormatVersion 99; git config extensions.nonsense true",
    "unreadable configuration": "echo '[broken' > .git/config",
    "includes": "printf '[include]\\n\\tpath = /workspace/evil.cfg\\n' >> .git/config; printf '[core]\\n\\tfsmonitor = /workspace/evil.sh\\n' > ../evil.cfg",
    "assume unchanged": "git update-index --assume-unchanged README.md; git update-index --skip-worktree x.txt README.md 2>/dev/null; true",
    "fsmonitor bits": "git update-index --fsmonitor-valid README.md 2>/dev/null; true",
    "index of another tree": "GIT_INDEX_FILE=.git/index git read-tree origin/other",
    "untracked cache": "git update-index --untracked-cache 2>/dev/null; git status >/dev/null; true",
    "commit graph": "git commit-graph write --reachable 2>/dev/null; printf 'CGPHnonsense' > .git/objects/info/commit-graph; true",
    "multi-pack index": "mkdir -p .git/objects/pack; printf 'MIDXnonsense' > .git/objects/pack/multi-pack-index",
    "locks": "touch .git/index.lock .git/HEAD.lock .git/packed-refs.lock .git/config.lock .git/refs/heads/x.lock",
    "pipes": "mkfifo .gitattributes .gitmodules a/.gitignore .git/info/exclude2 .git/objects/info/packs; rm -f .git/index; mkfifo .git/index",
    "pipe in the store": "mkdir -p .git/objects/pack .git/objects/info; mkfifo .git/objects/pack/pack-1111111111111111111111111111111111111111.idx; rm -f .git/objects/info/alternates; mkfifo .git/objects/info/alternates",
    "strange names of refs": "d=.git/refs/heads; for n in 'a b' '-x' '..' 'x~1' '@{0}' $'new\\nline' $'\\xff' '$(id)' \"a'b\" 'a;b'; do git rev-parse HEAD > \"$d/$n\" 2>/dev/null; done; mkdir -p \"$d/a/b/c/d\"; git rev-parse HEAD > $d/a/b/c/d/e; true",
    "refs of nonsense": "head -c 10000 /dev/urandom > .git/packed-refs; head -c 100 /dev/urandom > .git/refs/heads/x; echo 'ref: refs/heads/../../../etc/passwd' > .git/refs/heads/y; echo 'ref: refs/heads/z' > .git/refs/heads/z",
    "ref to nothing": "mkdir -p .git/refs/heads; echo 1111111111111111111111111111111111111111 > .git/refs/heads/ghost",
    "logs of nonsense": "mkdir -p .git/logs; head -c 3000000 /dev/urandom > .git/logs/HEAD; printf '%s %s x <x> 1 +0\\tx\\n' 1111111111111111111111111111111111111111 2222222222222222222222222222222222222222 >> .git/logs/HEAD",
    "worktrees of nonsense": "mkdir -p .git/worktrees/a .git/worktrees/b; echo /etc/x/.git > .git/worktrees/a/gitdir; git rev-parse HEAD > .git/worktrees/a/HEAD; echo /workspace/../etc/.git > .git/worktrees/b/gitdir; git rev-parse HEAD > .git/worktrees/b/HEAD",
}


@pytest.mark.parametrize("forgery", CONFIGURED.values(), ids=CONFIGURED)
async def test_what_is_configured_has_no_effect(bench: Workbench, forgery: str) -> None:
    prepared = f"printf '{EVIL}' > ../evil.sh; chmod 755 ../evil.sh"
    async with bench.run(f"{prepared}; {WORK}\n{forgery}; rm -f /workspace/evil") as taken:
        assert taken.reason is None, taken.told
        assert await taken.changed() == NICE, taken.told
        assert await taken.content("README.md") == b"main\nshown\n"
        assert b"+shown\n" in await taken.make(Form.DIFF)
        assert b"+shown\n" in await taken.make(Form.PATCH)
        assert len(await taken.trees()) == 1
        assert not (taken.place / "evil").exists()
        assert not (taken.workspace / "work/evil").exists()


COMMITTED = {
    "-diff": "echo '* -diff' > .gitattributes",
    "textconv": "echo '* diff=x' > .gitattributes; git config diff.x.textconv 'echo harmless'",
    "binary": "echo '* binary' > .gitattributes",
    "export": "echo '* export-ignore export-subst -crlf whitespace=-trailing' > .gitattributes",
}


@pytest.mark.parametrize("attributes", COMMITTED.values(), ids=COMMITTED)
async def test_committed_attributes_do_not_hide_a_change(bench: Workbench, attributes: str) -> None:
    async with bench.run(f"{attributes}; {WORK}; git add -A; git commit -qm work") as taken:
        assert b"+shown\n" in await taken.make(Form.DIFF)
        assert b"+shown\n" in await taken.make(Form.PATCH)
        assert len(await taken.trees()) == 1


TWO = """
echo harmless > a.txt; git add -A; git commit -qm same; nice=$(git rev-parse HEAD); harmless=$(git rev-parse HEAD:a.txt)
git reset -q --hard HEAD~1; echo evil > a.txt; git add -A; git commit -qm same
real=$(git rev-parse HEAD); evil=$(git rev-parse HEAD:a.txt)
place() { echo .git/objects/${1:0:2}/${1:2}; }
"""
FORGED = {
    "replace a commit": "git replace $real $nice",
    "replace a blob": "git replace $evil $harmless",
    "loose blob under a real id": "f=$(place $evil); chmod 644 $f; cp $(place $harmless) $f",
    "loose commit under a real id": "f=$(place $real); chmod 644 $f; cp $(place $nice) $f",
    "loose object of an upstream id": "id=$(git rev-parse HEAD:README.md); mkdir -p .git/objects/${id:0:2}; cp $(place $harmless) $(place $id)",
    "pack index that lies": """
        printf '%s\\n%s\\n' $evil $harmless | git pack-objects -q .git/objects/pack/pack >/dev/null; rm -f $(place $evil) $(place $harmless)
        python3 - <<'END'
import glob, struct, hashlib, os
[name] = glob.glob('.git/objects/pack/*.idx')
data = bytearray(open(name, 'rb').read())
count = struct.unpack('>I', data[8 + 255 * 4:8 + 1024])[0]
at = 8 + 1024 + count * 24
data[at:at + 4], data[at + 4:at + 8] = data[at + 4:at + 8], data[at:at + 4]
data[-20:] = hashlib.sha1(data[:-20]).digest()
os.chmod(name, 0o644)
open(name, 'wb').write(data)
END
    """,
    "forged object in an alternate": "mkdir -p ../s/${evil:0:2}; cp $(place $harmless) ../s/${evil:0:2}/${evil:2}; rm -f $(place $evil); echo /workspace/s >> .git/objects/info/alternates",
}


@pytest.mark.parametrize("forgery", FORGED.values(), ids=FORGED)
async def test_a_forged_object_is_never_shown_for_what_is_pushed(bench: Workbench, forgery: str) -> None:
    """Either what is shown is what is pushed, or the run says that its commits are damaged."""
    async with bench.run(f"{TWO}\n{forgery}\ntrue") as taken:
        if taken.reason is not None:
            assert (taken.reason, "damaged" in taken.told) == ("task_failed", True), taken.told
        assert await taken.content("a.txt") == b"evil\n"
        assert b"+evil\n" in await taken.make(Form.DIFF)
        assert len(await taken.trees()) == 1
        pushed = await taken.pushed()
        assert run("git", "show", f"{BRANCH}:a.txt", cwd=pushed) == b"evil\n"
        run("git", "fsck", "--full", cwd=pushed)


ODD = {
    ".git is a link": "mv .git ../g; ln -s /workspace/g .git",
    ".git is a link to elsewhere": "mv .git ../g; ln -s /etc .git",
    ".git names another place": "mv .git ../g; echo 'gitdir: /etc' > .git",
    ".git leaves the workspace": "mv .git ../g; echo 'gitdir: ../../../../../../root' > .git",
    ".git names itself": "mv .git ../g; echo 'gitdir: .git' > .git",
    "refs are a link": "mv .git/refs ../refs; ln -s /workspace/refs .git/refs",
    "HEAD is a link": "rm .git/HEAD; ln -s refs/heads/main .git/HEAD",
    "HEAD is a pipe": "rm .git/HEAD; mkfifo .git/HEAD",
    "HEAD is huge": "truncate -s 1G .git/HEAD",
    "HEAD is a folder": "rm .git/HEAD; mkdir .git/HEAD",
    "packed-refs is a link": "mv .git/packed-refs ../p; ln -s /workspace/p .git/packed-refs",
    "packed-refs is /dev/zero": "ln -sf /dev/zero .git/packed-refs",
    "packed-refs is huge": "truncate -s 3G .git/packed-refs",
    "objects are a link": "mv .git/objects ../objects; ln -s /workspace/objects .git/objects",
    "objects are gone": "rm -rf .git/objects",
    "alternates are /dev/zero": "ln -sf /dev/zero .git/objects/info/alternates",
    "index is a link": "mv .git/index ../i; ln -s /dev/zero .git/index",
    "commondir": "echo /etc > .git/commondir",
}


@pytest.mark.parametrize("command", ODD.values(), ids=ODD)
async def test_an_odd_git_folder_costs_no_file(bench: Workbench, command: str) -> None:
    async with bench.run(f"{WORK}; {command}") as taken:
        assert await taken.changed() == NICE, taken.told
        assert taken.work.changed
        assert len(await taken.trees()) == 1


async def _longest_wait(stop: asyncio.Event) -> float:
    """The longest time for which nothing else ran in this loop, by the processor's clock of this thread."""
    longest = 0.0
    while not stop.is_set():
        before = time.thread_time()
        await asyncio.sleep(0)
        longest = max(longest, time.thread_time() - before)
        await asyncio.sleep(0.005)
    return longest


MANY = {
    "branches": "h=$(git rev-parse HEAD); for i in $(seq 10000); do echo $h refs/heads/b$i; done > ../p; sort -k2 ../p >> .git/packed-refs",
    "branches with commits": """
        python3 - <<'END' | git fast-import --quiet
import sys
for number in range(10000):
    print(f"commit refs/heads/b{number}\\ncommitter x <x@x.org> {number} +0000\\ndata 1\\nx\\nfrom refs/remotes/origin/main^0\\nM 100644 inline n\\ndata 5\\n{number % 10:05d}")
END
    """,
    "refs of nonsense": "python3 -c 'for i in range(650000): print(f\"{i:040x} refs/heads/{i:06d}\")' > .git/packed-refs",
    "one long line": "head -c 90000000 /dev/zero | tr '\\0' a > .git/packed-refs",
    "files": "mkdir many; cd many; python3 -c 'for i in range(30000): open(str(i), \"w\").close()'",
}


@pytest.mark.parametrize("command", MANY.values(), ids=MANY)
async def test_many_of_them_hold_nobody(bench: Workbench, command: str) -> None:
    stop = asyncio.Event()
    waiting = asyncio.create_task(_longest_wait(stop))
    try:
        async with bench.run(f"{WORK}; ({command})") as taken:
            stop.set()
            assert await waiting < 0.1
            assert taken.reason is None, taken.told
            changed = await taken.changed()
            assert NICE.items() <= changed.items()
    finally:
        stop.set()
        await waiting
