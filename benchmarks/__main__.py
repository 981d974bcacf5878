"""`scripts/bench [PART...]`."""

from __future__ import annotations

import argparse
import asyncio
import sys

from benchmarks.parts import PARTS, Figure
from benchmarks.world import world


async def main(parts: list[str]) -> None:
    async with world() as around:
        for name in parts:
            print(f"bench: {name} ...", file=sys.stderr, flush=True)
            for figure in await PARTS[name](around):
                show(figure)


def show(figure: Figure) -> None:
    print(f"{figure.name:<20} {figure.value:>18}   {figure.meaning}", flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="scripts/bench", description="Figures of this machine.")
    parser.add_argument("part", nargs="*", help=f"which parts: {', '.join(PARTS)}; default: all")
    chosen = parser.parse_args().part or list(PARTS)
    unknown = [name for name in chosen if name not in PARTS]
    if unknown:
        parser.error(f"there is no part {', '.join(unknown)}; choose from {', '.join(PARTS)}")
    asyncio.run(main(chosen))
