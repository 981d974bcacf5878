"""The stand-in model as a server: which answer a request gets, and what is counted of it."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from aiohttp import web

from gitward_standin.language_model import answers, faults, questions
from gitward_standin.language_model.answers import Answer, Usage
from gitward_standin.language_model.faults import Fault
from gitward_standin.language_model.proxy import NamesProxy
from gitward_standin.language_model.questions import Api, Question
from gitward_standin.language_model.scripts import Call, Say, Script, call_of, edit_and_answer, side_answer
from gitward_standin.language_model.tls import authority

ANTHROPIC, OPENAI, GOOGLE = "api.anthropic.com", "api.openai.com", "generativelanguage.googleapis.com"
_KEY_HEADERS = ("x-api-key", "x-goog-api-key", "authorization")
_MOST_BODY = 64 * 1024 * 1024


@dataclass(kw_only=True)
class Asked:
    """One request that came."""

    host: str
    method: str
    path: str
    key: str  # what it presented
    question: Question | None = None  # None: no model was asked for an answer
    body: str = ""  # of a request for an answer
    status: int = 0  # 0: no answer
    usage: Usage | None = None  # what the answer told


@dataclass(kw_only=True)
class _Plan:
    """What goes wrong, and how often still."""

    fault: Fault
    times: int | None  # None: always
    sides: bool | None  # None: whether it is a side call or not; else only these, or only the others
    after: int  # requests that are answered before
    api: Api | None  # None: all
    late: bool  # not before the work has got its last answer


@dataclass(kw_only=True)
class StandInModel:
    """Started in a folder of its own; `proxy_url` and `ca_file` are what a client must have to find it."""

    folder: Path
    script: Script
    key: str | None = None  # the only one that is taken; None: any
    names: Sequence[str] = (ANTHROPIC, OPENAI, GOOGLE)
    place: tuple[str, int] = ("127.0.0.1", 0)  # where its TLS listens; 0 is any port
    delay: float = 0.0  # seconds between two events of a stream
    asked: list[Asked] = field(default_factory=list)
    more: asyncio.Event = field(default_factory=asyncio.Event)  # set by each request
    _plans: list[_Plan] = field(default_factory=list)
    _numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1))
    _runner: web.AppRunner | None = None
    _proxy: NamesProxy | None = None
    _stopping: asyncio.Event = field(default_factory=asyncio.Event)
    _worked: asyncio.Event = field(default_factory=asyncio.Event)  # the work has got its last answer

    @classmethod
    def demo(cls, folder: Path, *, checkout: str, key: str | None = None) -> StandInModel:
        return cls(folder=folder, script=edit_and_answer(checkout), key=key)

    @property
    def ca_file(self) -> Path:
        return self._ca_file

    @property
    def port(self) -> int:
        """Of its TLS on loopback."""
        assert self._runner is not None
        return int(self._runner.addresses[0][1])

    @property
    def proxy_url(self) -> str:
        assert self._proxy is not None
        return self._proxy.url

    @property
    def calls(self) -> list[Asked]:
        """The requests for an answer, without those beside the work."""
        return [each for each in self.asked if each.question is not None and not each.question.is_side]

    def fail(
        self,
        fault: Fault,
        *,
        times: int | None = None,
        sides: bool | None = None,
        after: int = 0,
        api: Api | None = None,
        late: bool = False,
    ) -> None:
        """From now on, or after some more answers, for so many requests; without a number for all. `late`: not before
        the work has got its last answer, as on a busy machine."""
        if late:
            self._worked.clear()
        self._plans.append(_Plan(fault=fault, times=times, sides=sides, after=after, api=api, late=late))

    async def start(self) -> None:
        self._ca_file, tls = await asyncio.to_thread(authority, self.folder, self.names)
        app = web.Application(client_max_size=_MOST_BODY)
        app.router.add_route("*", "/{path:.*}", self._handle)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=1, handler_cancellation=True)
        await self._runner.setup()
        await web.TCPSite(self._runner, *self.place, ssl_context=tls).start()
        self._proxy = NamesProxy(self.names, self.port)
        await self._proxy.start()

    async def stop(self) -> None:
        self._stopping.set()
        if self._proxy is not None:
            await self._proxy.stop()
        if self._runner is not None:
            await self._runner.cleanup()

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        key = next((request.headers[name] for name in _KEY_HEADERS if name in request.headers), "")
        key = key.removeprefix("Bearer ")
        asked = Asked(host=request.host.partition(":")[0], method=request.method, path=request.path, key=key)
        self.asked.append(asked)
        self.more.set()
        by_path = questions.asked_by(request.path) if request.method == "POST" else None
        api = None if by_path is None else by_path[0]
        if self.key is not None and key != self.key:
            answer: web.StreamResponse = _refusal(api or Api.MESSAGES, Fault.UNAUTHORIZED)
        elif by_path is None:
            answer = _other(request)
        else:
            answer = await self._answer(request, *by_path, asked)
        asked.status = answer.status
        return answer

    async def _answer(
        self, request: web.Request, api: Api, beside: Mapping[str, Any], asked: Asked
    ) -> web.StreamResponse:
        try:
            asked.body = await request.text()
            asked.question = question = questions.read(api, {**json.loads(asked.body), **beside})
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            return web.json_response({"error": {"message": f"not understood: {type(error).__name__}"}}, status=400)
        plan = self._plan(question)
        fault = None if plan is None else plan.fault
        if plan is not None and plan.late:
            await self._worked.wait()
        if fault is Fault.HANG:
            await self._stopping.wait()
            raise web.HTTPServiceUnavailable
        if fault is not None and fault.status != 200:
            return _refusal(api, fault)
        answer = self._content(question)
        if fault is None:
            asked.usage = answer.usage
        if not question.streamed:
            return web.json_response(answers.whole(api, answer))
        if api is Api.GEMINI and request.query.get("alt") != "sse":  # a stream of another kind: one long list
            return web.json_response([answers.whole(api, answer)])
        response = await self._stream(request, api, answer, question, fault)
        if isinstance(answer.content, Say) and not question.is_side and fault is None:
            self._worked.set()
        return response

    def _content(self, question: Question) -> Answer:
        step = side_answer(question) if question.is_side else self.script(question)
        content: Say | Call = step if isinstance(step, Say) else call_of(step, question)
        number = next(self._numbers)
        usage = Usage(input=100 + number, cached=10, output=20 + number)
        return Answer(id=f"{number:08d}", model=question.model, content=content, usage=usage)

    def _plan(self, question: Question) -> _Plan | None:
        for plan in list(self._plans):
            if plan.sides not in {None, question.is_side} or plan.api not in {None, question.api}:
                continue
            if plan.after:
                plan.after -= 1
                continue
            if plan.times is not None:
                plan.times -= 1
                if plan.times <= 0:
                    self._plans.remove(plan)
            return plan
        return None

    async def _stream(
        self, request: web.Request, api: Api, answer: Answer, question: Question, fault: Fault | None
    ) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream; charset=utf-8"})
        response.enable_chunked_encoding()
        await response.prepare(request)
        with contextlib.suppress(ConnectionResetError):
            async for event in self._events(list(answers.events(api, answer, question)), fault):
                await response.write(event)
            await self._finish(request, response, api, fault)
        return response

    async def _events(self, events: Sequence[bytes], fault: Fault | None) -> AsyncIterator[bytes]:
        for event in events if fault is None else events[: max(1, len(events) // 2)]:
            yield event
            if self.delay:
                await asyncio.sleep(self.delay)

    async def _finish(self, request: web.Request, response: web.StreamResponse, api: Api, fault: Fault | None) -> None:
        match fault:
            case Fault.STALL:
                await self._stopping.wait()
            case Fault.CUT:
                assert request.transport is not None
                request.transport.abort()
            case Fault.LATE_ERROR:
                name, document = faults.late_error(api, fault)
                line = f"data: {json.dumps(document)}\n\n"
                await response.write((line if name is None else f"event: {name}\n{line}").encode())


def _refusal(api: Api, fault: Fault) -> web.Response:
    return web.json_response(faults.error(api, fault), status=fault.status)


def _other(request: web.Request) -> web.Response:
    if request.path == "/v1/messages/count_tokens":
        return web.json_response({"input_tokens": 100})
    if request.method == "GET" and request.path == "/v1/models":
        return web.json_response({"object": "list", "data": []})
    body: dict[str, Any] = {"error": {"type": "not_found_error", "message": f"There is no {request.path}."}}
    return web.json_response(body, status=404)
