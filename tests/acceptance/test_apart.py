"""The API and a worker as processes of their own, on SQLite on one machine."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from fleet import Fleet, fleet


async def refusal_of_a_worker(made: Fleet, environment: dict[str, str]) -> str:
    """What one more worker says, which does not start."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "gitward", "worker"),
        env=environment,
        cwd=made.rig.root,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    async with asyncio.timeout(300):
        _, errors = await process.communicate()
    assert process.returncode == 2
    return errors.decode()


async def test_an_api_alone_and_one_worker_share_a_database(tmp_path: Path) -> None:
    async with fleet(f"sqlite:///{tmp_path / 'gitward.db'}", workers=1, warm=True) as made, made.rig.client() as client:
        _, run, events = await client.run(await made.rig.repository(), "echo changed > file.txt")
        assert (run["state"], run["changed"]) == ("succeeded", True), run
        assert [event["type"] for event in events].count("run.ended") == 1


async def test_a_second_worker_is_refused_with_a_sentence(tmp_path: Path) -> None:
    async with fleet(f"sqlite:///{tmp_path / 'gitward.db'}", workers=1, warm=True) as made:
        environment = {**made.rig.environment, "GITWARD_DATA_DIR": str(made.rig.root / "another")}
        told = await refusal_of_a_worker(made, environment)
        assert "gitward: GITWARD_DATABASE_URL: another worker already uses this database;" in told


async def test_a_data_folder_has_one_worker(tmp_path: Path) -> None:
    """Workers of one machine would wipe each other's sandboxes."""
    async with fleet(f"sqlite:///{tmp_path / 'gitward.db'}", workers=1, warm=True) as made:
        environment = {
            **made.rig.environment,
            "GITWARD_DATA_DIR": str(made.workers[0].data),
            "GITWARD_DATABASE_URL": f"sqlite:///{tmp_path / 'another.db'}",
        }
        told = await refusal_of_a_worker(made, environment)
        assert "gitward: GITWARD_DATA_DIR: another worker already uses this folder;" in told
