"""What litellm (1.110) keeps of a provider's answer beside its content."""

from typing import Any


def headers_of(response: Any) -> dict[str, str]:
    """The headers that the provider sent, in small letters; empty where litellm kept none."""
    kept = (getattr(response, "_hidden_params", None) or {}).get("additional_headers") or {}
    return {name.lower().removeprefix("llm_provider-"): str(value) for name, value in kept.items()}
