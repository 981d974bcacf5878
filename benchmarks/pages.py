"""The pages: a list of 5,000 sessions, a session with 8 MiB of output, and 200 open pages of one running session."""

from __future__ import annotations

import asyncio
import shutil
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

import httpx2
from playwright.async_api import async_playwright

from benchmarks.figure import Figure, quantile
from benchmarks.processes import cpu_seconds
from benchmarks.world import World, world
from gitward.identity import sign_ins
from gitward.sessions.model import Owner, RunState, now
from gitward.store.database import Database
from page_stage import DIFF, add_session, output

SESSIONS, OUTPUT_BYTES, PAGES, LINES = 5000, 8 * 1024 * 1024, 200, 20
BENCH = Owner(issuer="gitward", subject="bench")
ASKED = 100  # times
OPENED = 20  # times, in a browser
READABLE = """() => new Promise(done => requestAnimationFrame(() => {
  const [page] = performance.getEntriesByType("navigation");
  const paint = performance.getEntriesByName("first-contentful-paint")[0];
  done(Math.max(page.domContentLoadedEventEnd, paint ? paint.startTime : performance.now()) / 1000);
}))"""
LINE = "a line of a log as a build writes it, with some words in it and a number: {}\n"


async def web() -> list[Figure]:
    return [*await _idle_figures(), *await _live_figures()]


async def _idle_figures() -> list[Figure]:
    async with world(idle=True) as around, _browser(around) as http:
        database = Database(f"sqlite:///{around.root / 'service' / 'data' / 'gitward.db'}")
        long_one = await asyncio.to_thread(_fill, database)
        await database.stop()
        lists = [await _first_and_last_byte(http, "/") for _ in range(ASKED)]
        found = [await _first_and_last_byte(http, "/?q=session+4321") for _ in range(ASKED)]
        pages = [await _first_and_last_byte(http, f"/s/{long_one}") for _ in range(ASKED // 2)]
        readable = await _readable(around, http, f"/s/{long_one}")
    return [
        _figure(f"list of {SESSIONS} sessions", lists),
        _figure("the same, searched", found),
        _figure(f"session page, {OUTPUT_BYTES >> 20} MiB of output", pages),
        Figure(
            name="the same, readable in Chromium",
            value=f"{quantile(readable, 0.5):.2f} s, {max(readable):.2f} s",
            meaning=f"p50, most of {OPENED}: the document is whole and painted",
        ),
    ]


async def _readable(around: World, http: httpx2.AsyncClient, path: str) -> list[float]:
    """Seconds from the request to a page that a person can read, in a real browser."""
    program = shutil.which("chromium")
    if program is None:
        raise RuntimeError("Chromium is needed: scripts/setup chromium:chromium")
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=program, args=["--disable-dev-shm-usage"])
        context = await browser.new_context(viewport={"width": 1280, "height": 900})
        await context.add_cookies([{"name": n, "value": v, "url": around.url} for n, v in http.cookies.items()])
        page = await context.new_page()
        took = []
        for _ in range(OPENED):
            await page.goto(around.url + path)
            took.append(float(await page.evaluate(READABLE)))
        await browser.close()
    return took


def _figure(name: str, took: list[tuple[float, float]]) -> Figure:
    first, last = ([each[at] * 1000 for each in took] for at in (0, 1))
    return Figure(
        name=name,
        value=f"{quantile(last, 0.5):.0f} ms, {quantile(last, 0.99):.0f} ms",
        meaning=f"p50, p99 of the whole page; first byte {quantile(first, 0.5):.0f}, {quantile(first, 0.99):.0f} ms",
    )


def _fill(database: Database) -> str:
    """The id of the session with the long output."""
    states = (RunState.FAILED, RunState.SUCCEEDED, RunState.CANCELLED)
    for number in range(SESSIONS):
        state = RunState.QUEUED if number % 50 == 0 else states[number % 3]
        steps = () if state is RunState.QUEUED else (("preflight", 0.5), ("execute", 3.0))
        more = {"reason": "task_failed", "message": "The command failed."} if state is RunState.FAILED else {}
        add_session(
            database, BENCH, title=f"A session {number}", repo=f"acme/r{number % 40}", state=state, minutes=number,
            steps=steps, run=more,
        )  # fmt: skip
    text = "".join(LINE.format(number) for number in range(220))
    pieces = [output(text) for _ in range(OUTPUT_BYTES // len(text))]
    session_id, _ = add_session(database, BENCH, title="Long", entries=pieces, diff=DIFF, minutes=1)
    return session_id


async def _live_figures() -> list[Figure]:
    alone = await _cost(0)
    watched = await _cost(PAGES)
    return [
        Figure(
            name=f"{PAGES} open pages of one running session",
            value=f"{100 * (watched - alone):.1f} % of a core",
            meaning=f"{100 * watched:.1f} % less {100 * alone:.1f} % of the run itself; a line each second",
        )
    ]


async def _cost(pages: int) -> float:
    """Of a core, of service, launcher and brokers, while a run writes a line each second."""
    async with world() as around, around.http() as http, _browser(around) as browser:
        session = await around.session(
            http, command=f"sleep 5; for n in $(seq {LINES}); do echo line $n; sleep 1; done"
        )
        path = f"/s/{session['id']}/runs/{session['runs'][0]['id']}/live?after=1"
        cookie = "; ".join(f"{name}={value}" for name, value in browser.cookies.items())
        watching = [asyncio.create_task(_watch(around, path, cookie)) for _ in range(pages)]
        await asyncio.sleep(9)
        before, began = cpu_seconds(around.pid), time.monotonic()
        await asyncio.sleep(10)
        used = (cpu_seconds(around.pid) - before) / (time.monotonic() - began)
        told = await asyncio.gather(*watching)
        if any(each < 1 for each in told):
            raise RuntimeError("a page was told nothing")
    return used


async def _watch(around: World, path: str, cookie: str) -> int:
    """How many frames a page was told. A plain socket: the client must not be what is measured."""
    url = urlsplit(around.url)
    reader, writer = await asyncio.open_connection(url.hostname, url.port, limit=1 << 22)
    head = f"GET {path} HTTP/1.1\r\nHost: {url.netloc}\r\nCookie: {cookie}\r\nAccept: text/event-stream\r\n"
    writer.write(f"{head}Connection: close\r\n\r\n".encode())
    frames = 0
    while piece := await reader.readline():
        frames += piece.startswith(b"event: lines")
    writer.close()
    return frames


async def _first_and_last_byte(http: httpx2.AsyncClient, path: str) -> tuple[float, float]:
    began = time.perf_counter()
    async with http.stream("GET", path) as answer:
        if answer.status_code != 200:
            raise RuntimeError(f"{path} was answered {answer.status_code}")
        first = None
        async for _ in answer.aiter_raw():
            first = first or time.perf_counter() - began
    return first or 0.0, time.perf_counter() - began


@asynccontextmanager
async def _browser(around: World) -> AsyncIterator[httpx2.AsyncClient]:
    """One that is signed in."""
    database = Database(f"sqlite:///{around.root / 'service' / 'data' / 'gitward.db'}")
    link = await database.write(lambda tx: sign_ins.offer_link(tx, BENCH.subject, now()))
    await database.stop()
    headers = {"Origin": around.url, "Accept": "text/html"}
    async with httpx2.AsyncClient(base_url=around.url, headers=headers, trust_env=False, timeout=60) as http:
        answer = await http.post("/sign-in", data={"link": link})
        if answer.status_code != 303:
            raise RuntimeError(f"the sign-in was answered {answer.status_code}")
        yield http
