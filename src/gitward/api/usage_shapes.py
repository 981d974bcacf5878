"""What a run used of models, as runs and events tell it."""

from __future__ import annotations

from pydantic import BaseModel, Field

from gitward.grants.usage import Usage


class UsageNumbers(BaseModel):
    """As the providers told them. All kinds of tokens but `reasoning_tokens` are disjoint."""

    requests: int = Field(description="That began.")
    unknown_requests: int = Field(
        description="Of these: calls under way, cut or without numbers. Their tokens are missing in the sums."
    )
    input_tokens: int = Field(description="Neither read from the provider's cache nor written to it.")
    cached_tokens: int = Field(description="Input that was read from the cache.")
    cache_written_tokens: int = Field(description="Input that was written to the cache.")
    output_tokens: int
    reasoning_tokens: int = Field(description="A part of `output_tokens`.")
    usd: float | None = Field(description="By the operator's prices; null: a model has none.")


class ModelUsageOut(UsageNumbers):
    model: str = Field(description="As the provider names it; `unknown` if it names none.")


class UsageOut(UsageNumbers):
    """Of one run, over all its attempts."""

    seconds: float = Field(description="That agents' turns took.")
    by_model: list[ModelUsageOut]


def usage_out(usage: object) -> object:
    """As it is validated."""
    return usage.to_json() if isinstance(usage, Usage) else usage
