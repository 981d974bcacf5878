"""The events of one run on their way to the worker: masked, bounded in length and in number."""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import Awaitable, Callable, Iterable

from gitward.broker.policy.verdict import Verdict
from gitward.grants.channel import ChannelClosed, Message
from gitward.grants.model_calls import EVENT, ModelCall
from gitward.secrets import Secret
from gitward.telemetry.redaction import Redactor

MAX_DENIED = 100  # events policy.denied of one run; further ones are counted
_MAX_TEXT = 500  # characters of one value
_MAX_REASON = 300  # characters of GitHub's reason for a refused push
_CONTROLS = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff]")

Send = Callable[[Message], Awaitable[None]]


class Reporter:
    """Tells the worker what happened. Keeps the order."""

    def __init__(self, run_id: str, send: Send, *, lasting: Iterable[Secret] = ()) -> None:
        """`lasting` secrets are masked beside those of `mask`, which change."""
        self._run_id = run_id
        self._send = send
        self._lasting = tuple(lasting)
        self._redactor = Redactor(self._lasting)
        self._denied = 0
        self._sending = asyncio.Lock()

    def mask(self, secrets: Iterable[Secret]) -> None:
        self._redactor = Redactor([*self._lasting, *secrets])

    async def denied(self, verdict: Verdict, asked: str) -> None:
        """`asked` says what was refused: a method and a path, or refs."""
        self._denied += 1
        if self._denied <= MAX_DENIED:
            await self._tell("policy.denied", {"rule": verdict.rule, "message": f"{asked}: {verdict.message}"})

    async def pushed(self, *, ref: str, old: str, new: str) -> None:
        await self._tell("branch.pushed", {"ref": ref, "old": old, "new": new})

    async def push_refused(self, *, ref: str, new: str, reason: str) -> None:
        """GitHub's own refusal, by the words of its report."""
        await self._tell("push.refused", {"ref": ref, "new": new, "reason": self._clean(reason)[:_MAX_REASON]})

    async def issue_opened(self, number: int) -> None:
        """GitHub answered that the sandbox has opened this issue."""
        await self._tell("issue.opened", {"number": str(number)})

    async def opened(self, *, host: str, port: int) -> None:
        """A host beside GitHub's was reached for the first time."""
        await self._tell("egress.opened", {"host": host, "port": str(port)})

    async def model_call(self, call: ModelCall) -> None:
        """A model was asked, answers, or has answered."""
        await self._tell(EVENT, call.to_data())

    async def budget_reached(self, message: str) -> None:
        """A request to a model was refused, because the budget is used up."""
        await self._tell("budget.reached", {"message": message})

    async def model_given_up(self, host: str, failures: int) -> None:
        """Requests to the models of this host are refused, because they failed so often in a row."""
        await self._tell("model.given_up", {"host": host, "failures": str(failures)})

    async def rejected(self) -> None:
        """GitHub answered 401 to the token."""
        await self._tell("token.rejected", {})

    async def finish(self) -> None:
        """Call it when the grant closes: tells how many refusals were only counted."""
        if self._denied > MAX_DENIED:
            more = self._denied - MAX_DENIED
            with contextlib.suppress(ChannelClosed):  # the worker may be gone: then nobody wants to know
                await self._tell("policy.denied", {"rule": "more", "message": f"{more} more requests were refused"})

    async def _tell(self, kind: str, data: dict[str, str]) -> None:
        clean = {name: self._clean(value) for name, value in data.items()}
        async with self._sending:
            await self._send({"event": {"run_id": self._run_id, "type": kind, "data": clean}})

    def _clean(self, text: str) -> str:
        return self._redactor.text(_CONTROLS.sub("?", text))[:_MAX_TEXT]
