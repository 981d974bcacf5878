"""What a worker tells a broker's process, for tests of what is inside of it."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from gitward.broker.client.authority import Certificates
from gitward.grants.grant import Grant
from gitward.grants.model_budget import ModelBudget

from .conftest import TOKEN

CREDENTIAL = "ghp_" + "w" * 36


def to_open(grant: Grant, certificates: Certificates) -> dict[str, Any]:
    return {
        "op": "open",
        "grant": asdict(grant),
        "credential": CREDENTIAL,
        "token": TOKEN,
        "successor": TOKEN,
        "injected": [],
        "proxy_login": None,
        "budget": ModelBudget().to_message(),
        "leaf": certificates.leaf_pem.decode(),
        "key": certificates.key_pem.decode(),
    }
