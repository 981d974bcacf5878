"""A sandbox engine that counts and times its openings."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from gitward.grants.endpoint import Endpoint
from gitward.grants.system_image import SystemImage
from gitward.sandboxes.protocol import WORK_DIR, Limits, Sandbox, SandboxEngine, Shown, User
from gitward.telemetry.metrics import Metrics


class MeteredEngine:
    """Another engine, and nothing more; whoever made that one starts and stops it.

    It repeats the parameters of `SandboxEngine.open`, as each engine does: so mypy checks who passes them on.
    """

    def __init__(self, engine: SandboxEngine, metrics: Metrics) -> None:
        self._engine = engine
        self._metrics = metrics

    async def start(self) -> None:
        await self._engine.start()

    async def stop(self) -> None:
        await self._engine.stop()

    async def open(
        self,
        *,
        name: str,
        workspace: Path,
        endpoint: Endpoint,
        limits: Limits,
        shown: Sequence[Shown] = (),
        user: User | None = None,
        work_dir: str = WORK_DIR,
        image: SystemImage | None = None,
    ) -> Sandbox:
        with self._metrics.opening_a_sandbox():
            return await self._engine.open(
                name=name,
                workspace=workspace,
                endpoint=endpoint,
                limits=limits,
                shown=shown,
                user=user,
                work_dir=work_dir,
                image=image,
            )
