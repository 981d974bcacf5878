"""What people reported of other clients of this kind, tried on this one. Each test names the report."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import pytest

from gitward.settings.environment import clean_environment
from rig import Rig
from terminal import Terminal, clone, git


@pytest.fixture
def terminal(there: Rig, tmp_path: Path) -> Terminal:
    return Terminal(there, tmp_path)


async def piped(terminal: Terminal, command: str, **environment: str) -> tuple[int, bytes, bytes]:
    """A line of a person's shell, in which `gitward` is this one."""
    prelude = f'gitward() {{ "{sys.executable}" -m gitward "$@"; }}; set -o pipefail; '
    process = await asyncio.create_subprocess_exec(
        *("bash", "-c", prelude + command),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        cwd=terminal.folder,
        env=clean_environment(**{**terminal.environment, **environment}),
    )
    async with asyncio.timeout(300):
        out, err = await process.communicate()
    assert process.returncode is not None
    return process.returncode, out, err


async def test_a_local_branch_that_went_another_way_stays_and_is_explained(
    there: Rig, terminal: Terminal, tmp_path: Path
) -> None:
    """cli/cli#3609: "rejected (non-fast-forward)", and nothing about what to do."""
    repository = await there.repository()
    here = await clone(repository, tmp_path / "clone")
    await terminal("run", "-c", "echo one > one.txt", "-f", cwd=here)
    [session] = await terminal.documents("sessions", "--repo", repository.full_name)
    branch = session["branch"]
    await git(here, "switch", "--quiet", "--create", branch)
    (here / "mine.txt").write_text("mine\n")
    await git(here, "add", "mine.txt")
    await git(here, "commit", "--quiet", "-m", "Mine")
    mine = await git(here, "rev-parse", "HEAD")
    await git(here, "switch", "--quiet", "main")
    out = await terminal("checkout", code=1, cwd=here)
    assert f"git branch -m {branch}" in out, out
    assert await git(here, "branch", "--show-current") == "main"
    assert await git(here, "rev-parse", branch) == mine
    await git(here, "branch", "-m", branch, "mine")
    await terminal("checkout", cwd=here)
    assert (here / "one.txt").exists()


async def test_the_remote_may_have_another_name_and_stand_beside_a_fork(
    there: Rig, terminal: Terminal, tmp_path: Path
) -> None:
    """cli/cli#370: the wrong remote was asked, because one was expected to be called so."""
    repository, fork = await there.repository(), await there.repository()
    here = await clone(repository, tmp_path / "clone")
    await git(here, "remote", "rename", "origin", "upstream")
    await terminal("run", "-c", "echo one > one.txt", "-f", cwd=here)
    await terminal("checkout", cwd=here)
    assert (here / "one.txt").exists()
    await git(here, "switch", "--quiet", "main")
    await git(here, "remote", "add", "origin", f"https://github.com/{fork.full_name}.git")
    [session] = await terminal.documents("sessions", "--repo", repository.full_name)
    await terminal("checkout", session["id"], cwd=here)
    assert await git(here, "branch", "--show-current") == session["branch"]


async def test_an_alias_of_the_host_names_the_same_repository(there: Rig, terminal: Terminal, tmp_path: Path) -> None:
    """cli/cli#6455: an alias of ~/.ssh/config is no known host."""
    repository = await there.repository()
    here = await clone(repository, tmp_path / "clone")
    for address in (f"git@work:{repository.full_name}.git", f"ssh://git@ssh.github.com:443/{repository.full_name}"):
        await git(here, "remote", "set-url", "origin", address)
        out = await terminal("run", "-c", "true", cwd=here)
        assert repository.full_name in out


async def test_a_change_is_applied_whole_from_a_folder_inside(there: Rig, terminal: Terminal, tmp_path: Path) -> None:
    """rebel0789/codexpro#111: git leaves out what lies beside the folder, exits 0, and "applied" was told."""
    repository = await there.repository(files={"src/a.txt": "a\n", "docs/b.txt": "b\n"})
    here = await clone(repository, tmp_path / "clone")
    await terminal("run", "-c", "echo more >> src/a.txt; echo more >> docs/b.txt; echo new > new.txt", "-f", cwd=here)
    await terminal("apply", cwd=here / "docs")
    assert [(here / name).read_text() for name in ("src/a.txt", "docs/b.txt", "new.txt")] == [
        "a\nmore\n",
        "b\nmore\n",
        "new\n",
    ]


async def test_a_change_is_not_laid_over_unsaved_work(there: Rig, terminal: Terminal, tmp_path: Path) -> None:
    """owainlewis/machinist#457: what a person had not committed was mixed with what the task did."""
    repository = await there.repository(files={"a.txt": "a\n"})
    here = await clone(repository, tmp_path / "clone")
    await terminal("run", "-c", "echo task > a.txt", "-f", cwd=here)
    (here / "a.txt").write_text("mine\n")
    out = await terminal("apply", code=1, cwd=here)
    assert "a.txt" in out
    assert (here / "a.txt").read_text() == "mine\n"


async def test_a_repository_without_a_main_branch_needs_no_option(there: Rig, terminal: Terminal) -> None:
    """openai/codex#5813: the task failed because there was no `main`."""
    repository = await there.repository(default_branch="trunk")
    events = await terminal.documents("run", repository.full_name, "-c", "echo x > x.txt", "-f")
    assert events[-1]["data"]["state"] == "succeeded"
    assert repository.pulls[0].base == "trunk"


async def test_who_is_not_signed_in_does_not_see_an_empty_list(terminal: Terminal) -> None:
    """openai/codex#15544: "no tasks" and exit code 0, where nothing could have been asked."""
    out = await terminal("sessions", "--json", code=2, GITWARD_JWT="")
    assert "gitward login" in out


async def test_signing_in_beside_a_variable_succeeds_and_tells_which_one_counts(there: Rig, terminal: Terminal) -> None:
    """cli/cli#7807: exit code 1 for a sign-in that succeeded, because a variable was set."""
    code, out, err = await piped(
        terminal, f'printf %s "$GITWARD_JWT" | gitward login {there.url} --with-token', GITWARD_URL=there.url
    )
    assert code == 0, err
    assert b"GITWARD_JWT is set" in out
    assert b"(0600)" in out


async def test_work_whose_pull_request_failed_is_proposed_by_the_second_run_not_done_twice(
    there: Rig, terminal: Terminal, tmp_path: Path
) -> None:
    """lindell/multi-gitter#369: after an interruption branches were there without a pull request, and stayed so."""
    repository = await there.repository(files={"list.txt": "one\n"})
    file = tmp_path / "repos.txt"
    file.write_text(f"{repository.full_name}\n")
    arguments = ("run", "--repos", str(file), "--label", "append", "-c", "echo two >> list.txt")
    there.github.fault(method="POST", path="*/pulls", status=422, times=50, body=b'{"message": "not now"}')
    first = await terminal.documents(*arguments, code=1)
    assert first[-1]["summary"] == {"failed: pull_request_failed": 1}, first
    await there.github.mend()
    again = await terminal.documents(*arguments)
    assert again[-1]["summary"] == {"succeeded": 1}
    [pull] = repository.pulls
    assert await git(repository.path, "show", f"{pull.head}:list.txt") == "one\ntwo"


async def test_a_list_that_goes_into_a_pipe_is_whole(there: Rig, terminal: Terminal) -> None:
    """profclems/glab#713, kernel/cli#148: `list | grep name` found nothing, for the name was shortened."""
    repository = await there.repository()
    title = "A title that is long " + "and longer " * 8 + "to its end"
    await terminal("run", repository.full_name, "-c", "true", "--title", title)
    out = await terminal("sessions", "--repo", repository.full_name)
    assert title in out
    assert repository.full_name in out


@pytest.mark.parametrize("words", ["sessions --json", "sessions", "logs"])
async def test_a_reader_that_has_enough_is_no_error(there: Rig, terminal: Terminal, words: str) -> None:
    """Backblaze/B2_Command_Line_Tool#1071: a stack trace behind `| head`."""
    repository = await there.repository()
    await terminal("run", repository.full_name, "-c", "seq 1 60000", "-f")
    [session] = await terminal.documents("sessions", "--repo", repository.full_name)
    command = f"gitward {words} {session['id'] if words == 'logs' else ''} | head -n 1"
    _, out, err = await piped(terminal, command, PYTHONUNBUFFERED="1")
    assert out.count(b"\n") == 1
    assert err == b""


async def test_what_a_terminal_cannot_write_is_shown_as_far_as_it_can(there: Rig, terminal: Terminal) -> None:
    """Textualize/rich#3764, ValvePython/steamctl#67: UnicodeEncodeError as soon as the output went into a file."""
    repository = await there.repository()
    await terminal("run", repository.full_name, "-c", "echo 'naïve → ✓ done'", "--title", "Tidy → ✓", "-f")
    [session] = await terminal.documents("sessions", "--repo", repository.full_name)
    for words in (f"logs {session['id']}", f"show {session['id']}", "sessions"):
        code, out, err = await piped(terminal, f"gitward {words}", PYTHONIOENCODING="cp1252", PYTHONUTF8="0")
        assert (code, err) == (0, b"")
    assert "Tidy" in out.decode("cp1252")
    assert "done" in await terminal("logs", session["id"], PYTHONIOENCODING="ascii")


async def test_a_list_of_repositories_may_begin_with_a_mark_and_have_windows_lines(
    there: Rig, terminal: Terminal, tmp_path: Path
) -> None:
    """nektos/act#2638: PowerShell writes a byte order mark, and the first line was no name any more."""
    repositories = [await there.repository() for _ in range(2)]
    file = tmp_path / "repos.txt"
    names = "\r\n".join(f" {each.full_name} " for each in repositories)
    file.write_bytes(b"\xef\xbb\xbf" + names.encode() + b"\r\n")
    seen = await terminal.documents("run", "--repos", str(file), "-c", "echo x > x.txt")
    assert seen[-1]["summary"] == {"succeeded": 2}
    file.write_text("\n".join(f"https://github.com/{each.full_name}" for each in repositories))
    out = await terminal("run", "--repos", str(file), "-c", "true", code=2)
    assert "write owner/repo" in out
