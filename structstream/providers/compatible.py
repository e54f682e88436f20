"""The providers: one row each, from their own documentation; a row that names no dialect speaks chat completions.

Where a provider's page leaves a doubt, the row says less: ``auto`` must not choose what may be refused.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from .base import ProviderSpec

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from .base import ThinkingForm

__all__ = ["COMPATIBLE", "RESPONSES"]

# Models from before structured outputs (August 2024) know tools only.
_OPENAI_BEFORE_SCHEMAS = r"gpt-3\.5|gpt-4(?:$|-\d{4}$|-turbo|-32k|-vision|-1106|-0125)|gpt-4o-2024-05-13|chatgpt-4o"

# console.groq.com/docs/structured-outputs: "limited model support"; the others refuse json_schema.
_GROQ_WITHOUT_SCHEMAS = r"(?!openai/gpt-oss|moonshotai/kimi-k2|meta-llama/llama-4)"

# Claude up to 4.1, by its names of both orders: claude-3-5-haiku, claude-opus-4-1, claude-sonnet-4-20250514.
_CLAUDE_BEFORE_SCHEMAS = r"claude-(?:instant|4-[a-z]|[23](?:$|\D)|[a-z]+-4(?:$|-[01](?:$|\D)|-\d{8}))"

COMPATIBLE: Sequence[ProviderSpec] = (
    ProviderSpec(
        name="openai",
        thinking="reasoning_effort",
        base_url="https://api.openai.com/v1",
        base_url_env="OPENAI_BASE_URL",
        key_env=("OPENAI_API_KEY",),
        modes_of=((_OPENAI_BEFORE_SCHEMAS, ("tool", "prompted")),),
        strict_tools=True,
        max_tokens_field="max_completion_tokens",
    ),
    # platform.claude.com, "Structured outputs": Claude 4.5 and later.
    ProviderSpec(
        name="anthropic",
        thinking="thinking",
        dialect="anthropic",
        base_url="https://api.anthropic.com",
        base_url_env="ANTHROPIC_BASE_URL",
        key_env=("ANTHROPIC_API_KEY",),
        auth="x-api-key",
        modes_of=((_CLAUDE_BEFORE_SCHEMAS, ("tool", "prompted")),),
        strict_form="anthropic",
    ),
    # ai.google.dev/gemini-api/docs/structured-output. Models before 2.0 know nothing of JSON Schema proper.
    ProviderSpec(
        name="google",
        whole_modes=("tool",),
        thinking="thinkingConfig",
        dialect="google",
        base_url="https://generativelanguage.googleapis.com",
        base_url_env=("GEMINI_BASE_URL", "GOOGLE_GEMINI_BASE_URL"),
        key_env=("GEMINI_API_KEY", "GOOGLE_API_KEY"),
        auth="x-goog-api-key",
        modes_of=((r"gemini-1|gemini-pro", ("prompted",)),),
        strict_form="google",
    ),
    # The caller's own client knows deployment, API version and the way to sign; the model is the deployment's name.
    ProviderSpec(
        name="azure",
        thinking="reasoning_effort",
        base_url_env="AZURE_OPENAI_ENDPOINT",
        key_env=("AZURE_OPENAI_API_KEY",),
        strict_tools=True,
        max_tokens_field="max_completion_tokens",
    ),
    # The simulated provider of structstream.testing; it takes any schema and wants no key.
    ProviderSpec(
        name="simulated",
        thinking="reasoning_effort",
        base_url_env="STRUCTSTREAM_SIMULATED_BASE_URL",
        needs_key=False,
        any_schema=True,
        strict_tools=True,
        max_tokens_field="max_completion_tokens",
    ),
    ProviderSpec(
        name="openrouter",
        lenient=True,
        thinking="reasoning.max_tokens",
        base_url="https://openrouter.ai/api/v1",
        base_url_env="OPENROUTER_BASE_URL",
        key_env=("OPENROUTER_API_KEY",),
    ),
    ProviderSpec(
        name="groq",
        base_url="https://api.groq.com/openai/v1",
        base_url_env="GROQ_BASE_URL",
        key_env=("GROQ_API_KEY",),
        modes_of=((_GROQ_WITHOUT_SCHEMAS, ("tool", "prompted")),),
        max_tokens_field="max_completion_tokens",
    ),
    # Refuses unknown fields with 422; reports the usage of a stream unasked.
    ProviderSpec(
        name="mistral",
        whole_modes=("tool",),
        base_url="https://api.mistral.ai/v1",
        base_url_env="MISTRAL_BASE_URL",
        key_env=("MISTRAL_API_KEY",),
        tool_choice="any",
        seed_field="random_seed",
        stream_usage=False,
    ),
    # Knows json_object, not json_schema; the reasoning models cannot be forced to call a tool.
    ProviderSpec(
        name="deepseek",
        lenient=True,
        base_url="https://api.deepseek.com/v1",
        base_url_env="DEEPSEEK_BASE_URL",
        key_env=("DEEPSEEK_API_KEY",),
        modes=("prompted",),
        modes_of=(("deepseek-chat", ("tool", "prompted")),),
    ),
    ProviderSpec(
        name="together",
        lenient=True,
        base_url="https://api.together.xyz/v1",
        base_url_env="TOGETHER_BASE_URL",
        key_env=("TOGETHER_API_KEY",),
        any_schema=True,
    ),
    ProviderSpec(
        name="fireworks",
        lenient=True,
        base_url="https://api.fireworks.ai/inference/v1",
        base_url_env="FIREWORKS_BASE_URL",
        key_env=("FIREWORKS_API_KEY",),
        any_schema=True,
    ),
    ProviderSpec(
        name="xai",
        whole_modes=("tool",),
        base_url="https://api.x.ai/v1",
        base_url_env="XAI_BASE_URL",
        key_env=("XAI_API_KEY",),
    ),
    ProviderSpec(
        name="perplexity",
        lenient=True,
        base_url="https://api.perplexity.ai",
        base_url_env="PERPLEXITY_BASE_URL",
        key_env=("PERPLEXITY_API_KEY", "PPLX_API_KEY"),
        modes=("native", "prompted"),
        stream_usage=False,
    ),
    # tool_choice: auto and none only.
    ProviderSpec(
        name="cerebras",
        lenient=True,
        base_url="https://api.cerebras.ai/v1",
        base_url_env="CEREBRAS_BASE_URL",
        key_env=("CEREBRAS_API_KEY",),
        modes=("native", "prompted"),
        max_tokens_field="max_completion_tokens",
    ),
    ProviderSpec(
        name="moonshotai",
        lenient=True,
        base_url="https://api.moonshot.ai/v1",
        base_url_env="MOONSHOT_BASE_URL",
        key_env=("MOONSHOT_API_KEY", "MOONSHOTAI_API_KEY"),
        modes=("prompted",),
    ),
    ProviderSpec(
        name="alibaba",
        lenient=True,
        base_url="https://dashscope-intl.aliyuncs.com/compatible-mode/v1",
        base_url_env="DASHSCOPE_BASE_URL",
        key_env=("DASHSCOPE_API_KEY", "ALIBABA_API_KEY"),
        modes=("tool", "prompted"),
    ),
    # On the caller's own machine: a grammar holds the model to any schema.
    ProviderSpec(
        name="vllm",
        lenient=True,
        base_url="http://localhost:8000/v1",
        base_url_env="VLLM_BASE_URL",
        key_env=("VLLM_API_KEY",),
        needs_key=False,
        any_schema=True,
    ),
    ProviderSpec(
        name="ollama",
        lenient=True,
        base_url="http://localhost:11434/v1",
        base_url_env="OLLAMA_BASE_URL",
        key_env=("OLLAMA_API_KEY",),
        needs_key=False,
        any_schema=True,
    ),
    # tool_choice as an object is refused: "Supported string values: none, auto, required".
    ProviderSpec(
        name="lmstudio",
        lenient=True,
        base_url="http://localhost:1234/v1",
        base_url_env="LMSTUDIO_BASE_URL",
        key_env=("LMSTUDIO_API_KEY",),
        needs_key=False,
        any_schema=True,
        tool_choice="required",
    ),
)

# Those of the above that answer POST /responses as well; key and abilities are those of their row, and so is the base
# URL where none is given.
_OVER_RESPONSES: Mapping[str, str] = {
    "openai": "",
    "azure": "",
    "simulated": "",
    "openrouter": "",
    "groq": "",
    "deepseek": "https://api.deepseek.com",
    "xai": "",
    "vllm": "",
    "ollama": "",
    "lmstudio": "",
}

# The same thought, said in the words of that API.
_THINKING: Mapping[ThinkingForm | None, ThinkingForm] = {
    "reasoning_effort": "reasoning.effort",
    "reasoning.max_tokens": "reasoning.max_tokens",
}

RESPONSES: Sequence[ProviderSpec] = tuple(
    replace(
        spec,
        name=f"{spec.name}-responses",
        dialect="openai_responses",
        thinking=_THINKING.get(spec.thinking),
        base_url=_OVER_RESPONSES[spec.name] or spec.base_url,
    )
    for spec in COMPATIBLE
    if spec.name in _OVER_RESPONSES
)
"""The same providers over the Responses API, such as ``openai-responses/gpt-5``."""
