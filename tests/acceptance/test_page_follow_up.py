"""After a spent budget, a person raises it on the session's page, and the work goes on."""

from __future__ import annotations

import re
import sys
from asyncio import create_subprocess_exec, subprocess

from model_rig import HELPERS, model_rig

from .test_signing_in import browser


async def test_a_follow_up_in_the_page_has_the_budget_that_was_written() -> None:
    async with model_rig(warm=True) as house, house.service.client() as caller, browser(house.service) as person:
        service = house.service
        ask = HELPERS + "model(CHAT)\nmodel(CHAT)\nsay('Done.')\n"
        repository = await service.repository()
        session, run, _ = await caller.run(repository, prompt=ask, agent="keyed", budget={"requests": 1})
        assert run["reason"] == "budget_exhausted", run
        process = await create_subprocess_exec(
            *(sys.executable, "-m", "gitward", "sign-in", "--subject", "alice"),
            stdout=subprocess.PIPE, env=service.environment, cwd=service.root,
        )  # fmt: skip
        link = (await process.communicate())[0].decode().strip().rpartition("link=")[2]
        await person.post("/sign-in", data={"link": link})
        page = (await person.get(f"/s/{session['id']}")).text
        form = page[page.index('class="reply"') :]
        fields = dict(re.findall(r'name="(\w+)"[^>]*?value="([^"]*)"', form))
        assert fields["budget_requests"] == "1"
        fields |= {"text": ask, "budget_requests": "9", "budget_seconds": "600"}
        answer = await person.post(f"/s/{session['id']}/follow-up", data=fields)
        assert answer.status_code == 303, answer.text
        later = (await caller.get(f"/sessions/{session['id']}"))["runs"][-1]
        after, _ = await caller.finished(session, later["id"])
        assert after["state"] == "succeeded", after
        budget = after["instruction"]["budget"]
        assert (budget["requests"], budget["seconds"], budget["tokens"]) == (9, 600, None)
        assert after["agent"]["name"] == "keyed"
