"""The supervisor's watch over one running bubblewrap, and everything that may end it."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import socket
import time
from typing import Any

from gitward.grants import channel
from gitward.sandboxes.bwrap_process import BwrapProcess
from gitward.sandboxes.disk_ledger import Entry
from gitward.sandboxes.first_command import FirstCommand, give_way
from gitward.sandboxes.processes_inside import children, descendants
from gitward.sandboxes.remedies import END
from gitward.sandboxes.supervisor_requests import BEAT_SECONDS, GRACE_SECONDS, StartRequest
from gitward.sandboxes.watchdog import Watchdog

_SECOND = 1000  # milliseconds, for poll
_UNKNOWN_END = "something stopped the sandbox's process 1, and how its command ended is not known"
_CHANGE_SECONDS = 0.11  # between two changes of the niceness of sessions


class CommandWatch:
    """Make one when bubblewrap has been started; `to_the_end` once."""

    def __init__(
        self,
        start: StartRequest,
        bubblewrap: BwrapProcess,
        *,
        control: socket.socket,
        entry: Entry,
        follows: bool,
    ) -> None:
        self._start = start
        self._bwrap = bubblewrap
        self._control = control
        self._follows = follows
        self._go = False  # the worker has said go
        self._started: float | None = None  # when the command was let go
        self._kill_at: float | None = None  # the end of the grace time
        self._timed_out = False
        self._killed = False  # the worker has said kill
        self._limit: str | None = None
        self._beat_at = time.monotonic() + BEAT_SECONDS  # when the worker is told again that this process lives
        self._give_way_at = self._beat_at  # when sessions of processes are looked at again
        self._first: FirstCommand | None = None  # once it may run
        self._watchdog = Watchdog(start, entry)

    def to_the_end(self) -> dict[str, Any]:
        """Waits until bubblewrap has ended, ends what is left, and tells how it went."""
        poll = select.poll()
        control = self._control.fileno()
        unwatched = {self._bwrap.status} if self._bwrap.status_ended else set()
        unwatched |= set() if self._start.in_series else {self._bwrap.codes}
        for descriptor in {control, self._bwrap.handle, self._bwrap.status, self._bwrap.codes} - unwatched:
            poll.register(descriptor, select.POLLIN)
        while True:
            ready = {descriptor for descriptor, _ in poll.poll(self._wait_milliseconds())}
            if self._bwrap.status in ready and not self._read_status():
                poll.unregister(self._bwrap.status)
            if control in ready and not self._obey():
                poll.unregister(control)
            if self._bwrap.handle in ready:
                return self._settle()
            if self._bwrap.codes in ready:
                code = self._bwrap.read_code()
                if code is not None and self._may_stay():
                    return {**self._report(code), "stays": True}
                poll.unregister(self._bwrap.codes)
            self._let_go()
            self._look()

    def _wait_milliseconds(self) -> float:
        others = (self._deadline(), self._kill_at, self._watchdog.next_look)
        moments = [self._beat_at, self._give_way_at, *(moment for moment in others if moment)]
        return max(0.0, min(moments) - time.monotonic()) * _SECOND + 1

    def _deadline(self) -> float | None:
        if self._start.timeout_seconds is None or self._started is None or self._timed_out:
            return None
        return self._started + self._start.timeout_seconds

    def _read_status(self) -> bool:
        """Takes what bubblewrap says about itself. False at the end of it."""
        self._bwrap.read_status()
        return not self._bwrap.status_ended

    def _obey(self) -> bool:
        """Takes one message of the worker. False when the worker is gone."""
        try:
            message, fds = channel.receive(self._control)
        except channel.ChannelClosed:
            if self._follows:
                self._bwrap.kill()
            return False
        channel.close_all(fds)
        if "kill" in message:
            self._killed = True
            self._bwrap.kill()
        self._go = self._go or "go" in message
        return True

    def _let_go(self) -> None:
        """Lets the command start when the worker is ready and the sandbox's process 1 stands in the claim."""
        if self._go and self._started is None and self._bwrap.init is not None:
            self._started = time.monotonic()
            self._watchdog.start(self._bwrap.init)
            handles = [] if self._bwrap.init_handle is None else [self._bwrap.init_handle]
            with contextlib.suppress(channel.ChannelClosed):
                # Before it is so: who never hears it may try again.
                channel.send(self._control, {"started": True}, handles)
            self._first = FirstCommand.of(self._bwrap.init)
            self._bwrap.let_go(in_series=self._start.in_series)

    def _beat(self) -> None:
        """Tells the worker that this process is not stopped; not when the worker is, and the channel is full."""
        self._beat_at = time.monotonic() + BEAT_SECONDS
        self._control.setblocking(False)
        with contextlib.suppress(channel.ChannelClosed, BlockingIOError):
            channel.send(self._control, {"alive": True})
        self._control.setblocking(True)

    def _look(self) -> None:
        """Ends the command when its time is over, a limit is passed, or it has ended and is not let go."""
        now = time.monotonic()
        if now >= self._give_way_at:
            more = self._bwrap.init is not None and give_way(self._bwrap.init)
            self._give_way_at = now + (_CHANGE_SECONDS if more else BEAT_SECONDS)
        if now >= self._beat_at:
            self._beat()
            if self._is_held():
                self._bwrap.kill()
        deadline = self._deadline()
        if deadline is not None and now >= deadline:
            self._timed_out = True
            self._kill_at = now + GRACE_SECONDS
            self._terminate()
        if self._kill_at is not None and now >= self._kill_at:
            self._kill_at = None
            self._bwrap.kill()
        if self._watchdog.next_look is not None and now >= self._watchdog.next_look:
            self._limit = self._limit or self._watchdog.check()
            if self._limit is not None:
                self._bwrap.kill()

    def _is_held(self) -> bool:
        """Whether the command ended and the sandbox's process 1 does not take notice: somebody has stopped it."""
        if self._first is None and self._started is not None and self._bwrap.init is not None:
            self._first = FirstCommand.of(self._bwrap.init)  # it was not there yet when it was let go
        return self._first is not None and self._first.waits_for_long()

    def _terminate(self) -> None:
        """Asks every process inside to end."""
        if self._bwrap.init is not None:
            for pid in descendants(self._bwrap.init):
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.kill(pid, signal.SIGTERM)

    def _settle(self) -> dict[str, Any]:
        code = self._bwrap.wait()
        self._read_status()
        self._bwrap.kill()
        if self._start.ends_all:
            end_children()
        if self._bwrap.failure is not None:
            return {"error": self._bwrap.failure, "stage": "bubblewrap"}
        held = None if self._first is None else self._first.exit_code
        ours = self._timed_out or self._limit is not None or held is not None
        if self._first is not None and self._first.is_over and not ours and not self._bwrap.has_told:
            return {"error": _UNKNOWN_END, "stage": END}
        if self._started is None or not (ours or self._bwrap.got_through()):
            return {"error": f"bubblewrap ended with exit code {code}", "stage": "setup", "exit_code": code}
        return self._report(self._bwrap.exit_code(code) if held is None else held)

    def _report(self, exit_code: int) -> dict[str, Any]:
        assert self._started is not None
        return {
            "ended": True,
            "exit_code": exit_code,
            "timed_out": self._timed_out,
            "limit": self._limit,
            "seconds": time.monotonic() - self._started,
        }

    def _may_stay(self) -> bool:
        """Whether nothing has ended, or is about to end, the sandbox of a series."""
        return self._started is not None and not (self._timed_out or self._limit is not None or self._killed)


def end_children() -> None:
    """Kills and reaps until no descendant is left (orphans come to this process, the subreaper)."""
    while True:
        for pid in children(os.getpid()):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        try:
            os.waitpid(-1, 0)
        except ChildProcessError:
            return
