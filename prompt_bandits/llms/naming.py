"""Text models by name."""

from __future__ import annotations

from typing import Any

from prompt_bandits.llms.requests import TextModel

_FORMS = "'hf:<model id or folder>' or 'openai:<base url>#<model>'"


def text_model(name: str, **options: Any) -> TextModel:
    """The text model of a name; `options` are the other arguments of its class.

    `"hf:<model id or folder>"` is a `HuggingFaceLM`, `"openai:<base url>#<model>"` an `OpenAICompatibleLM`.

    Raises:
        ValueError: another form of name.
        FileNotFoundError: no such folder.
        TypeError: an option that the class does not have.
    """
    scheme, colon, rest = name.partition(":")
    if not colon or scheme not in ("hf", "openai"):
        raise ValueError(f"llm: expected {_FORMS}, got {name!r}")
    if scheme == "hf":
        if not rest:
            raise ValueError(f"llm: expected a model id or folder after 'hf:', got {name!r}")
        from prompt_bandits.llms.huggingface import HuggingFaceLM

        return HuggingFaceLM(rest, **options)
    url, _, model = rest.partition("#")
    if not url.startswith(("http://", "https://")) or not model:
        raise ValueError(
            f"llm: expected 'openai:<base url>#<model>', such as 'openai:http://localhost:8000/v1#my-model'; "
            f"got {name!r}"
        )
    from prompt_bandits.llms.openai_compatible import OpenAICompatibleLM

    served: TextModel = OpenAICompatibleLM(url, model, **options)
    return served
