"""What holds an event loop is noticed by the CPU time of one callback, named, and told without end to nobody."""

from __future__ import annotations

import asyncio
import gc
import logging
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import gitward
import held_loops
from gitward.telemetry.loop_watch import _COLLECTIONS, MOST_TOLD, TOLD_SECONDS, Held, LoopLog, _Collections, watching

pytestmark = pytest.mark.holds_the_loop("on purpose")
LONG = float("inf")
PRODUCT = str(Path(gitward.__file__).parent / "runs" / "output.py")


def compute(seconds: float) -> None:
    until = time.thread_time() + seconds
    while time.thread_time() < until:
        pass


async def told(work: Any, *, wall: float = LONG, cpu: float = 0.05) -> list[Held]:
    """What is noticed while a task of its own does the work."""
    found: list[Held] = []
    with watching(found.append, wall=wall, cpu=cpu):
        await asyncio.create_task(work(), name="the task")
    return found


async def test_a_step_that_computes_is_told_with_its_place() -> None:
    async def work() -> None:
        await asyncio.sleep(0)
        compute(0.06)
        await asyncio.sleep(0)

    (held,) = await told(work)
    assert held.cpu >= 0.06
    assert held.what.startswith(
        "test_a_step_that_computes_is_told_with_its_place.<locals>.work (the task), now at test_"
    )


async def test_a_callback_that_computes_is_told() -> None:
    async def work() -> None:
        asyncio.get_running_loop().call_soon(compute, 0.06)
        await asyncio.sleep(0)
        await asyncio.sleep(0)

    (held,) = await told(work)
    assert held.what == "compute"


async def test_many_short_steps_are_not() -> None:
    """However long the task takes in all."""

    async def work() -> None:
        for _ in range(40):
            compute(0.005)
            await asyncio.sleep(0)

    assert await told(work) == []


async def test_a_step_that_only_waits_is_told_by_wall_time_alone() -> None:
    """So a busy machine is no reason for a test to fail, while production hears of it."""

    async def work() -> None:
        time.sleep(0.08)

    assert await told(work) == []
    (held,) = await told(work, wall=0.05, cpu=LONG)
    assert held.wall >= 0.08
    assert held.cpu < 0.05


async def test_what_other_threads_compute_is_not_the_loop_s() -> None:
    async def work() -> None:
        await asyncio.to_thread(compute, 0.1)

    assert await told(work) == []


async def test_garbage_collections_and_imports_are_told_apart() -> None:
    kept: list[Any] = [[number] for number in range(300_000)]

    async def work() -> None:
        gc.collect()
        compute(0.06)

    (held,) = await told(work)
    assert 0 < held.gc < held.cpu
    assert not held.imported
    assert len(kept) == 300_000


def test_a_collection_that_comes_while_others_are_added_up_is_no_error() -> None:
    """To add them up can begin one."""
    collections = _Collections()
    full = {"generation": 2}
    for _ in range(3 * _COLLECTIONS):
        collections("start", full)
        collections("stop", full)
    remembered = collections._last
    for _ in remembered:
        collections("start", full)
        collections("stop", full)
    assert len(remembered) == _COLLECTIONS
    assert collections.seconds_since(float("inf")) == 0.0
    assert collections.seconds_since(float("-inf")) > 0


async def test_afterwards_nothing_is_watched() -> None:
    before = asyncio.Handle._run
    with watching(lambda _: None, wall=LONG, cpu=LONG):
        assert asyncio.Handle._run is not before
    assert asyncio.Handle._run is before


class TestLog:
    HELD = Held(what="_read (feed), now at feeds.py:1", wall=0.31, cpu=0.12, gc=0.0, imported=False)

    def test_a_record_says_how_long_and_who(self, caplog: pytest.LogCaptureFixture, tmp_path: Path) -> None:
        LoopLog()(self.HELD)
        assert caplog.messages == [
            "The event loop was held for 310 ms (120 ms of CPU) by _read (feed), now at feeds.py:1"
        ]
        (tmp_path / "log").write_text("\n".join(caplog.messages))
        assert len(held_loops.logged(tmp_path / "log")) == 1

    def test_what_no_test_fails_for_is_logged_all_the_same(
        self, caplog: pytest.LogCaptureFixture, tmp_path: Path
    ) -> None:
        for held in (
            Held(what="a", wall=0.31, cpu=0.05, gc=0.0, imported=False),
            Held(what="b", wall=0.31, cpu=0.12, gc=0.04, imported=False),
            Held(what="c", wall=0.31, cpu=0.12, gc=0.0, imported=True),
        ):
            LoopLog()(held)
        assert len(caplog.messages) == 3
        (tmp_path / "log").write_text("\n".join(caplog.messages))
        assert held_loops.logged(tmp_path / "log") == []

    def test_their_number_is_bounded_and_the_rest_is_counted(self, caplog: pytest.LogCaptureFixture) -> None:
        now = 0.0
        told = LoopLog(clock=lambda: now)
        for _ in range(MOST_TOLD + 90):
            told(self.HELD)
        assert len(caplog.records) == MOST_TOLD
        now = TOLD_SECONDS
        told(self.HELD)
        assert len(caplog.records) == MOST_TOLD + 2
        assert "held 90 more times" in caplog.messages[-2]
        assert all(record.levelno == logging.WARNING for record in caplog.records)


class TestJudging:
    """Of the test that made it, and of no other."""

    @staticmethod
    def item(*, marked: bool = False) -> Any:
        return SimpleNamespace(get_closest_marker=lambda _: object() if marked else None)

    def hold(self, recorder: held_loops.Recorder, origin: str = PRODUCT) -> None:
        """By code of the product's, as far as anybody can see."""
        space: dict[str, Any] = {"compute": compute}
        exec(compile("async def work(): compute(0.11)", origin, "exec"), space)
        with watching(recorder, wall=LONG, cpu=0.1):
            asyncio.run(space["work"]())

    def test_a_test_that_holds_its_loop_fails(self) -> None:
        recorder = held_loops.Recorder()
        with pytest.raises(pytest.fail.Exception, match=r"ms of CPU: work"), recorder.judging(self.item()):
            self.hold(recorder)
        with recorder.judging(self.item()):
            pass

    @pytest.mark.parametrize("origin", [__file__, PRODUCT.replace("/runs/", "/standin/"), "/usr/lib/asyncio/x.py"])
    def test_what_is_not_the_product_s_is_not_judged(self, origin: str) -> None:
        recorder = held_loops.Recorder()
        with recorder.judging(self.item()):
            self.hold(recorder, origin)

    def test_one_that_is_marked_does_not(self) -> None:
        recorder = held_loops.Recorder()
        with recorder.judging(self.item(marked=True)):
            self.hold(recorder)

    def test_what_a_service_beside_it_logged_counts_too(self, tmp_path: Path) -> None:
        recorder, log = held_loops.Recorder(), tmp_path / "service.log"
        line = "The event loop was held for 310 ms (120 ms of CPU) by x\n"
        log.write_text(line)
        recorder.follow(log)
        with recorder.judging(self.item()):
            log.write_text(line)
        with pytest.raises(pytest.fail.Exception, match="held for 310 ms"), recorder.judging(self.item()):
            log.write_text(line * 2)
        with pytest.raises(pytest.fail.Exception, match="held for 310 ms"), recorder.judging(self.item()):
            self.end(recorder, log, line)

    def end(self, recorder: held_loops.Recorder, log: Path, line: str) -> None:
        log.write_text(line * 3)
        recorder.leave(log)
