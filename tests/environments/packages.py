"""The registries of Go, npm and Python on loopback, behind a proxy that alone knows their names."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import io
import json
import tarfile
import zipfile
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from aiohttp import web

from company import Company
from connect_proxy import ConnectProxy, connect_proxy

HOSTS = ("proxy.golang.org", "registry.npmjs.org", "pypi.org", "files.pythonhosted.org")
_MODULE = "example.com/greeting"
_GO = {
    "go.mod": f"module {_MODULE}\n\ngo 1.19\n",
    "greeting.go": 'package greeting\n\nfunc Hello() string { return "hi" }\n',
}
_NPM = {
    "package/package.json": '{"name": "greeting", "version": "1.0.0", "main": "index.js"}',
    "package/index.js": 'module.exports = () => "hi"\n',
}
_PYTHON = {
    "greeting.py": 'def hello():\n    return "hi"\n',
    "greeting-1.0.0.dist-info/METADATA": "Metadata-Version: 2.1\nName: greeting\nVersion: 1.0.0\n",
    "greeting-1.0.0.dist-info/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    "greeting-1.0.0.dist-info/RECORD": "greeting.py,,\n",
}


@dataclass(frozen=True, kw_only=True)
class Registries:
    proxy: ConnectProxy
    settings: Mapping[str, str]  # of a service that reaches them
    served: list[str]  # paths of packages, in order


def zipped(files: Mapping[str, str]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, text in files.items():
            archive.writestr(name, text)
    return out.getvalue()


def tarball(files: Mapping[str, str]) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as archive:
        for name, text in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(text)
            archive.addfile(entry, io.BytesIO(text.encode()))
    return out.getvalue()


def _answers() -> dict[str, bytes]:
    packed = tarball(_NPM)
    digest = base64.b64encode(hashlib.sha512(packed).digest()).decode()
    dist = {"tarball": "https://registry.npmjs.org/greeting/-/greeting-1.0.0.tgz", "integrity": f"sha512-{digest}"}
    version = {"name": "greeting", "version": "1.0.0", "dist": dist}
    npm = {"name": "greeting", "dist-tags": {"latest": "1.0.0"}, "versions": {"1.0.0": version}}
    wheel = "greeting-1.0.0-py3-none-any.whl"
    module = f"/{_MODULE}/@v"
    return {
        f"{module}/list": b"v1.0.0\n",
        f"{module}/v1.0.0.info": b'{"Version": "v1.0.0", "Time": "2026-01-01T00:00:00Z"}',
        f"{module}/v1.0.0.mod": _GO["go.mod"].encode(),
        f"{module}/v1.0.0.zip": zipped({f"{_MODULE}@v1.0.0/{name}": text for name, text in _GO.items()}),
        "/greeting": json.dumps(npm).encode(),
        "/greeting/-/greeting-1.0.0.tgz": packed,
        "/simple/greeting/": f'<a href="https://files.pythonhosted.org/packages/{wheel}">{wheel}</a>'.encode(),
        f"/packages/{wheel}": zipped(_PYTHON),
    }


@contextlib.asynccontextmanager
async def registries(folder: Path) -> AsyncIterator[Registries]:
    """`folder` must be readable by the service's user."""
    served: list[str] = []
    answers = _answers()

    async def answer(request: web.Request) -> web.Response:
        content = answers.get(request.path)
        if content is None:
            return web.Response(status=404)
        served.append(request.path)
        kind = "text/html" if request.path.startswith("/simple") else "application/octet-stream"
        kind = "application/json" if request.path == "/greeting" else kind
        kept = {"Cache-Control": "max-age=365000000, immutable"} if request.path.startswith("/packages") else None
        return web.Response(body=content, content_type=kind, headers=kept)

    app = web.Application()
    app.router.add_get("/{path:.*}", answer)
    company = Company(folder)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=company.context(*HOSTS)).start()
        port = int(runner.addresses[0][1])
        async with connect_proxy({f"{host}:443": port for host in HOSTS}) as proxy:
            settings = {
                "HTTPS_PROXY": f"http://127.0.0.1:{proxy.port}",
                "NO_PROXY": "127.0.0.1",
                "SSL_CERT_FILE": str(company.ca_file),
                "GITWARD_EGRESS": "packages",
            }
            yield Registries(proxy=proxy, settings=settings, served=served)
    finally:
        await runner.cleanup()
