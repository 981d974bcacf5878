"""`scripts/bench [PART...]`."""

from __future__ import annotations

import argparse
import asyncio
import sys

from benchmarks.figure import Figure, machine
from benchmarks.parts import ALONE, OPTIONS, WITH_SERVICE
from benchmarks.world import own_network, world


async def main(parts: list[str]) -> None:
    own_network()
    print(f"machine: {machine()}", flush=True)
    for name in parts:
        print(f"bench: {name} ...", file=sys.stderr, flush=True)
        if name in ALONE:
            figures = await ALONE[name]()
        else:
            async with world(**OPTIONS.get(name, {})) as around:
                figures = await WITH_SERVICE[name](around)
        for figure in figures:
            show(figure)
    print(f"machine: {machine()}", flush=True)


def show(figure: Figure) -> None:
    print(f"{figure.name:<42} {figure.value:>18}   {figure.meaning}", flush=True)


if __name__ == "__main__":
    names = [*WITH_SERVICE, *ALONE]
    parser = argparse.ArgumentParser(prog="scripts/bench", description="Figures of this machine.")
    parser.add_argument("part", nargs="*", help=f"which parts: {', '.join(names)}; default: all")
    chosen = parser.parse_args().part or names
    unknown = [name for name in chosen if name not in names]
    if unknown:
        parser.error(f"there is no part {', '.join(unknown)}; choose from {', '.join(names)}")
    asyncio.run(main(chosen))
