"""The broker beside no broker, and beside other proxies: the same transfers, interleaved, in one run."""

from __future__ import annotations

import asyncio
import shutil
import sys
import tempfile
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

from benchmarks.brokered import brokered, upstream
from benchmarks.figure import Figure, median, quantile
from benchmarks.processes import cpu_seconds, forget_peak, memory, peak_memory
from benchmarks.proxies import mitmproxy, nginx
from benchmarks.transfers import BIG, MEGABYTE, SMALL, Way, calls, clone, push, repositories
from benchmarks.world import HOSTS
from certificates import self_signed

ROUNDS = 5
BIG_SIZE, FILES, PUSHED_SIZE = 500, 20_000, 100  # megabytes, files, megabytes
DIRECT, RULE_ON, RULE_OFF = "direct", "broker", "broker, allow_workflows"
OTHER_NGINX = "another-nginx"
TOKEN = "github_pat_benchmark"  # noqa: S105 - of an upstream that lives as long as this run
_SPACE = 4_000 * MEGABYTE  # bytes that the repositories and their clones need


@dataclass(frozen=True, kw_only=True)
class Transfer:
    """One thing that every way moves. The rule about workflows is about pushes only."""

    name: str
    megabytes: float
    move: Callable[[Path, Way], Awaitable[float]]
    pushes: bool = False


@dataclass(frozen=True, kw_only=True)
class Taken:
    """One transfer by one way."""

    seconds: float
    cpu: float = 0.0  # seconds, of the process in between
    growth: float = 0.0  # megabytes of its memory at the peak, beyond what it had before


TRANSFERS = (
    Transfer(name="clone 500 MB", megabytes=BIG_SIZE, move=lambda root, way: clone(root, way, BIG, "--no-checkout")),
    Transfer(
        name="clone 20,000 files", megabytes=FILES * 1600 / MEGABYTE, move=lambda root, way: clone(root, way, SMALL)
    ),
    Transfer(name="push 100 MB", megabytes=PUSHED_SIZE, move=push, pushes=True),
)


async def broker() -> list[Figure]:
    """Every transfer by every way, round by round; then what a small call bears beside a big transfer."""
    root = Path(tempfile.mkdtemp(prefix="gitward-bench-", dir=_folder()))
    try:
        chain, ca = self_signed(root, (*HOSTS, "localhost"))
        await asyncio.to_thread(repositories, root, big=BIG_SIZE * MEGABYTE, files=FILES, pushed=PUSHED_SIZE * MEGABYTE)
        async with AsyncExitStack() as stack:
            address = await stack.enter_async_context(upstream(root, chain, TOKEN))
            ways = [
                Way(name=DIRECT, url=address, ca=ca, credential=TOKEN),
                *await stack.enter_async_context(brokered(root, address, ca, TOKEN, names=(RULE_ON, RULE_OFF))),
                await stack.enter_async_context(mitmproxy(root, address, ca, TOKEN)),
                await stack.enter_async_context(nginx(root, address, chain, ca, TOKEN)),
            ]
            other = await stack.enter_async_context(nginx(root, address, chain, ca, TOKEN, name=OTHER_NGINX))
            figures = [figure for transfer in TRANSFERS for figure in await _compared(root, transfer, ways)]
            return figures + await _beside(root, [*ways, other])
    finally:
        await asyncio.to_thread(shutil.rmtree, root)


async def _compared(root: Path, transfer: Transfer, ways: list[Way]) -> list[Figure]:
    taken: dict[str, list[Taken]] = {way.name: [] for way in ways if transfer.pushes or way.name != RULE_OFF}
    for number in range(ROUNDS + 1):
        for way in ways:
            if way.name in taken:
                one = await _measured(root, transfer, way)
                taken[way.name] += [one] if number else []  # what is loaded once is not what is measured
        print(f"bench: {transfer.name}: round {number} of {ROUNDS}", file=sys.stderr, flush=True)
    direct = [one.seconds for one in taken.pop(DIRECT)]
    return [_figure(transfer, name, rounds, direct) for name, rounds in taken.items()]


def _figure(transfer: Transfer, name: str, rounds: list[Taken], direct: list[float]) -> Figure:
    """The ratio is taken within each round, so that a machine that gets busier meanwhile does not make it."""
    seconds = [one.seconds for one in rounds]
    ratio = median([ours / bare for ours, bare in zip(seconds, direct, strict=True)])
    cpu = median([one.cpu for one in rounds]) * BIG_SIZE / transfer.megabytes
    meaning = (
        f"{median(seconds):.2f} s over {median(direct):.2f} s direct, {len(rounds)} rounds; "
        f"CPU {cpu:.2f} s per {BIG_SIZE} MB; memory +{max(one.growth for one in rounds):.0f} MB"
    )
    return Figure(name=f"{transfer.name}: {name}", value=f"{ratio:.2f}", meaning=meaning)


async def _measured(root: Path, transfer: Transfer, way: Way) -> Taken:
    if way.pid is None:
        return Taken(seconds=await transfer.move(root, way))
    cpu, before = cpu_seconds(way.pid), memory(way.pid)
    forget_peak(way.pid)
    seconds = await transfer.move(root, way)
    return Taken(seconds=seconds, cpu=cpu_seconds(way.pid) - cpu, growth=peak_memory(way.pid) - before)


async def _beside(root: Path, ways: list[Way]) -> list[Figure]:
    """Small calls of one run while another run clones, each by a proxy of its own; and the same without a proxy."""
    named = {way.name: way for way in ways}
    pairs = {
        DIRECT: (named[DIRECT], named[DIRECT]),
        "broker": (named[RULE_ON], named[RULE_OFF]),
        "nginx": (named["nginx"], named[OTHER_NGINX]),
    }
    seconds: dict[str, list[float]] = {name: [] for name in pairs}
    for _ in range(ROUNDS):
        for name, (busy, small) in pairs.items():
            big = asyncio.create_task(clone(root, busy, BIG, "--no-checkout"))
            seconds[name] += await calls(small, until=big)
            await big
    direct = seconds.pop(DIRECT)
    figures = []
    for name, taken in seconds.items():
        alone = await calls(pairs[name][1], until=asyncio.create_task(asyncio.sleep(3)))
        meaning = (
            f"{_spread(taken)} while another run clones 500 MB, over {_spread(direct)} direct; alone {_spread(alone)}"
        )
        value = f"{median(taken) / median(direct):.2f}"
        figures.append(Figure(name=f"a call beside a clone: {name}", value=value, meaning=meaning))
    return figures


def _spread(seconds: list[float]) -> str:
    return f"{median(seconds) * 1000:.1f} ms (p99 {quantile(seconds, 0.99) * 1000:.0f})"


def _folder() -> str | None:
    """Memory where there is enough: disks are slow in different ways from one minute to the next."""
    return "/dev/shm" if shutil.disk_usage("/dev/shm").free > _SPACE else None  # noqa: S108 - mkdtemp makes a private one
