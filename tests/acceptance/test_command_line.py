"""The command line: the demo as a program's input, refusals of wrong settings, two services at once."""

from __future__ import annotations

import asyncio
import json
import signal
import sys
from pathlib import Path

import pytest

from app_keys import app_key
from command_line import SECONDS, gitward
from first_look import first_look
from gitward.settings.environment import clean_environment
from gitward_standin import StandIn
from rig import rig


async def test_the_demo_prints_one_json_document_and_nothing_else(tmp_path: Path) -> None:
    code, out, err = await gitward("demo", "--json", cwd=tmp_path)
    assert (code, err) == (0, "")
    document = json.loads(out)
    assert set(document) == {"session", "run", "events", "pull_request", "diff"}
    assert document["run"]["state"] == "succeeded"
    assert document["pull_request"]["draft"] is True
    assert "+Tidied up by a background job" in document["diff"]
    assert [event["seq"] for event in document["events"]] == sorted(event["seq"] for event in document["events"])


async def test_the_demo_shows_its_steps_proves_the_outcome_and_ends_with_the_pull_request(tmp_path: Path) -> None:
    token = "ghp_" + "D3m0" * 9
    code, out, err = await gitward("demo", cwd=tmp_path, GITHUB_TOKEN=token)
    lines = out.strip().splitlines()
    assert (code, err) == (0, ""), (out, err)
    assert lines[-1].startswith("Pull request: https://github.example/octocat/hello-world/pull/")
    steps = [line.split()[0] for line in lines if line.endswith(" s") and line.split()[1] == "succeeded"]
    assert steps == ["preflight", "authenticate", "checkout", "execute", "publish", "pull_request", "settle"]
    proofs = [line for line in lines if line.startswith("  proved: ")]
    assert len(proofs) == 3
    assert "GitHub answers it with 401" in proofs[-1]
    assert token not in out


async def test_the_demo_stays_so_that_its_page_can_be_looked_at(tmp_path: Path) -> None:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "gitward", "demo", "--stay"),
        stdout=asyncio.subprocess.PIPE,
        cwd=tmp_path,
        env=clean_environment(),
    )
    assert process.stdout is not None
    printed = ""
    async with asyncio.timeout(SECONDS):
        while "Ctrl-C ends" not in printed:
            line = (await process.stdout.readline()).decode()
            assert line, printed
            printed += line
        page = await first_look(printed)
        process.send_signal(signal.SIGINT)
        assert await process.wait() == 0
    assert "https://github.example/octocat/hello-world/pull/1" in page


async def test_what_the_demo_needs_is_told_before_it_begins(tmp_path: Path) -> None:
    code, out, err = await gitward("demo", cwd=tmp_path, PATH="/nonexistent")
    assert (code, out) == (2, "")
    packages = "git gh git-lfs bubblewrap"
    assert err == f"gitward: demo: git, gh, git-lfs, bwrap are not installed; on Debian: apt-get install {packages}\n"
    assert await gitward("demo", "--stay", "--json", cwd=tmp_path) == (
        *(2, ""),
        "gitward: demo: --stay is for people; with --json there is no link to open\n",
    )


async def test_the_demo_with_a_failing_command_fails(tmp_path: Path) -> None:
    code, out, err = await gitward("demo", "--command", "echo no; exit 3", cwd=tmp_path)
    assert code == 1
    assert "    | no" in out
    assert "task_failed" in err
    assert "exit code 3" in err


async def test_wrong_settings_stop_the_start_with_one_line_each(tmp_path: Path) -> None:
    code, out, err = await gitward(
        "serve", cwd=tmp_path, GITWARD_PORT="eighty", GITHUB_API_URL="http://x", GITWARD_DATADIR="/tmp/x"
    )
    assert (code, out) == (2, "")
    lines = err.strip().splitlines()
    assert len(lines) == 3, err
    assert lines[0].startswith("gitward: GITWARD_DATADIR: there is no such setting")
    assert any(line.startswith("gitward: GITWARD_PORT: ") for line in lines)
    assert any(line.startswith("gitward: GITHUB_API_URL: must begin with https://") for line in lines)


async def test_wrong_hosts_and_pasted_secrets_stop_the_start_and_are_not_quoted(
    tmp_path: Path, open_folder: Path
) -> None:
    folder = str(open_folder / "data")
    pasted = "api.model.test = x-api-key: sk-0123456789; api.other.test = x-api-key: UNSET_KEY"
    code, _, err = await gitward("serve", cwd=tmp_path, GITWARD_DATA_DIR=folder, GITWARD_INJECT=pasted)
    assert code == 2
    sentence = "must name the secret, not hold it: by a variable such as MODEL_KEY, or by file:/path"
    assert err == f"gitward: GITWARD_INJECT: entry 1 {sentence}\n"
    unset = pasted.split(";")[1]
    code, _, err = await gitward("serve", cwd=tmp_path, GITWARD_DATA_DIR=folder, GITWARD_INJECT=unset)
    assert (code, err.count("\n")) == (2, 1)
    assert err.startswith("gitward: GITWARD_INJECT: entry 1 names a secret that is not set, has less than 8 characters")
    code, _, err = await gitward("serve", cwd=tmp_path, GITWARD_EGRESS="a b", GITWARD_EGRESS_PRIVATE="127.0.0.1")
    assert code == 2
    assert [line.split(": ")[1] for line in err.splitlines()] == ["GITWARD_EGRESS", "GITWARD_EGRESS_PRIVATE"]


async def test_a_data_folder_that_others_may_read_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    folder.mkdir()
    folder.chmod(0o755)
    code, _, err = await gitward("serve", cwd=tmp_path, GITWARD_DATA_DIR=str(folder))
    assert code == 2
    assert err == f"gitward: GITWARD_DATA_DIR: others may read {folder} (mode 0755); run: chmod 711 {folder}\n"


@pytest.mark.parametrize("command", ["serve", "worker"])
async def test_a_token_that_every_user_may_change_is_refused(tmp_path: Path, open_folder: Path, command: str) -> None:
    """On every machine; one that others may only read is a warning in a container (`unit/cli/test_safe_start.py`)."""
    token = open_folder / "token"
    token.write_text("ghp_" + "T0k3" * 9)
    token.chmod(0o666)
    settings = {"GITWARD_DATA_DIR": str(open_folder / "data"), "GITHUB_TOKEN_FILE": str(token), "GITWARD_PORT": "0"}
    code, out, err = await gitward(command, cwd=tmp_path, **settings)
    assert (code, out) == (2, "")
    sentence = f"every user of this machine may change {token} (mode 0666); run: chmod 600 {token}"
    assert err.startswith(f"gitward: GITHUB_TOKEN_FILE: {sentence}")


async def test_a_machine_on_which_no_sandbox_can_be_made_is_refused(tmp_path: Path, open_folder: Path) -> None:
    settings = {"GITWARD_DATA_DIR": str(open_folder / "data"), "GITWARD_PORT": "0", "PATH": str(tmp_path)}
    code, out, err = await gitward("serve", cwd=tmp_path, **settings)
    assert (code, out) == (1, "")
    assert err.splitlines()[-1] == "gitward: bubblewrap is not installed. On Debian: apt-get install bubblewrap"


async def test_a_second_service_on_the_same_database_is_refused_with_a_sentence() -> None:
    async with rig() as service:
        code, _, err = await gitward("serve", cwd=service.root, GITWARD_DATA_DIR=str(service.data), GITWARD_PORT="0")
        assert code == 2
        assert "another worker already uses this folder" in err.splitlines()[-1]


async def test_help_and_version(tmp_path: Path) -> None:
    code, out, err = await gitward("--help", cwd=tmp_path)
    assert (code, err) == (0, "")
    assert all(name in out for name in ("serve", "token", "demo", "audit-token"))
    code, out, _ = await gitward("--version", cwd=tmp_path)
    assert (code, out.split()[0]) == (0, "gitward")


@pytest.mark.parametrize(
    ("key", "line"),
    [
        (None, "GITHUB_APP_PRIVATE_KEY_FILE: cannot be read (FileNotFoundError)"),
        ("no key", "GITHUB_APP_PRIVATE_KEY_FILE: holds no RSA private key in PEM"),
    ],
)
async def test_a_private_key_that_cannot_be_used_stops_the_start(
    tmp_path: Path, open_folder: Path, key: str | None, line: str
) -> None:
    file = tmp_path / "app.pem"
    if key is not None:
        file.write_text(key)
    settings = {"GITHUB_APP_ID": "1", "GITHUB_APP_PRIVATE_KEY_FILE": str(file), "GITWARD_PORT": "0"}
    code, out, err = await gitward("serve", cwd=tmp_path, GITWARD_DATA_DIR=str(open_folder / "data"), **settings)
    assert (code, out) == (2, "")
    assert err.strip().splitlines()[-1] == f"gitward: {line}"


async def test_the_doctor_looks_at_the_app(tmp_path: Path) -> None:
    private, public = app_key()
    (tmp_path / "app.pem").write_bytes(private)
    github = StandIn(tmp_path / "github")
    await github.start()
    app = github.add_app("widget-bot", public_key=public)
    settings = {
        "GITHUB_APP_ID": app.client_id,
        "GITHUB_APP_PRIVATE_KEY_FILE": str(tmp_path / "app.pem"),
        "GITHUB_TOKEN": "ghp_" + "0" * 36,
        "GITWARD_UPSTREAM_URL": github.url,
        "GITWARD_UPSTREAM_API_URL": github.api_url,
        "GITWARD_DATA_DIR": str(tmp_path / "data"),
    }
    try:
        _, found, _ = await gitward("doctor", cwd=tmp_path, **settings)
        github.site.apps.rotate(app, app_key(2)[1])
        code, refused, _ = await gitward("doctor", cwd=tmp_path, **settings)
    finally:
        await github.stop()
    assert "made by the GitHub App widget-bot; GitHub accepts its key; GITHUB_TOKEN is not used" in found
    assert (code, "GitHub does not accept the GitHub App's proof (401" in refused) == (1, True)


async def test_the_doctor_goes_on_after_a_token_that_cannot_be_read(tmp_path: Path) -> None:
    settings = {"GITHUB_TOKEN_FILE": str(tmp_path / "none"), "GITWARD_DATA_DIR": str(tmp_path / "data")}
    code, out, err = await gitward("doctor", cwd=tmp_path, GITWARD_EGRESS="localhost", **settings)
    assert (code, err) == (1, "")
    assert "FAIL token              GITHUB_TOKEN_FILE cannot be read" in out
    assert "data folder" in out
    assert "FAIL other hosts        GITWARD_EGRESS: entry 1 must name a host: " in out
    assert "sandbox" in out


async def test_a_demo_that_is_stopped_leaves_no_service_behind(tmp_path: Path) -> None:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "gitward", "demo", "--command", "sleep 60"),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        cwd=tmp_path,
        env=clean_environment(),
    )
    assert process.stdout is not None
    async with asyncio.timeout(300):
        while b"POST" not in await process.stdout.readline():
            pass
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
        process.send_signal(signal.SIGTERM)
        _, err = await process.communicate()
    assert children
    assert not [child for child in children if Path(f"/proc/{child}").exists()]
    assert (process.returncode, err) == (3, b"The demo was stopped.\n")


async def test_no_token_is_minted_that_the_service_would_not_take(tmp_path: Path) -> None:
    settings = {"GITWARD_DATA_DIR": str(tmp_path / "data"), "GITWARD_REPOS": "acme/*"}
    code, out, err = await gitward(
        *("token", "--subject", "dev"), cwd=tmp_path, GITWARD_OIDC_ISSUERS="https://id.example", **settings
    )
    assert (code, out) == (2, "")
    assert err == (
        "gitward: gitward token: GITWARD_OIDC_ISSUERS is set, so the service accepts no token of the local key; "
        "get one from https://id.example\n"
    )
    assert not (tmp_path / "data").exists()
    code, out, err = await gitward("token", "--subject", "dev", cwd=tmp_path, **settings)
    assert (code, out.count("."), err) == (0, 2, "")


async def test_a_foreign_dotenv_stops_the_start(tmp_path: Path) -> None:
    """Before anything is sent to where it says."""
    (tmp_path / ".env").write_text("GITWARD_UPSTREAM_URL=https://evil.example\nGITWARD_CREDENTIALS=login\n")
    code, out, err = await gitward("serve", cwd=tmp_path, GITWARD_DATA_DIR=str(tmp_path / "data"))
    assert (code, out) == (2, "")
    assert [line.split()[2] for line in err.splitlines()] == ["GITWARD_UPSTREAM_URL", "GITWARD_CREDENTIALS"]
