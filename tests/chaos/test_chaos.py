"""A short run of `scripts/chaos`: as many kills as the long one wants, on two workers."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path

import pytest

from gitward.settings import clean_environment

ROOT = Path(__file__).parents[2]
MINUTES, KILLS = 6, 30  # it stops when all kinds of faults and all steps were hit, long before


@pytest.mark.timeout(MINUTES * 60 + 300)
async def test_nothing_is_lost_or_doubled_while_machines_fail() -> None:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.chaos", "--json", "--until-covered"),
        *("--minutes", str(MINUTES), "--kills", str(KILLS), "--workers", "2"),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        cwd=ROOT,
        env=clean_environment(PYTHONPATH="tests/support"),
    )
    out, err = await process.communicate()
    assert process.returncode == 0, (out + err).decode()[-4000:]
    report = json.loads(out)
    assert report["kills"] >= KILLS
    assert report["taken_over"] > 0
    assert (report["lost"], report["doubled"], report["left over"]) == (0, 0, 0)
