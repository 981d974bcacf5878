"""Whether the process answers, and whether it can work."""

from __future__ import annotations

from api import make_api
from gitward.api.services import Check
from tests_support import Backend


async def test_health_is_told_whatever_else_is_wrong(backend: Backend) -> None:
    broken = [Check(name="database", ok=False, detail="It is gone.")]
    async with make_api(backend, checks=broken).client() as http:
        assert (await http.get("/health")).json() == {"status": "ok"}


async def test_readiness_tells_what_was_looked_at(backend: Backend) -> None:
    fine, broken = Check(name="a", ok=True, detail="Fine."), Check(name="b", ok=False, detail="Broken.")
    async with make_api(backend, checks=[fine]).client() as http:
        answer = await http.get("/ready")
    assert answer.status_code == 200
    assert answer.json() == {"ready": True, "checks": [{"name": "a", "ok": True, "detail": "Fine."}]}
    async with make_api(backend, checks=[fine, broken]).client() as http:
        answer = await http.get("/ready")
    assert answer.status_code == 503
    assert answer.json()["ready"] is False
    assert [check["ok"] for check in answer.json()["checks"]] == [True, False]
