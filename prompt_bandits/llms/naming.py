"""Text models by name. A name may hold a password by mistake, so errors repeat none that could."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from prompt_bandits.llms.requests import TextModel

_FORMS = "'hf:<model id or folder>' or 'openai:<base url>#<model>'"
_EXAMPLE = "'openai:<base url>#<model>', such as 'openai:http://localhost:8000/v1#my-model'"


def text_model(name: str, **options: Any) -> TextModel:
    """The text model of a name; `options` are the other arguments of its class.

    `"hf:<model id or folder>"` is a `HuggingFaceLM`, `"openai:<base url>#<model>"` an `OpenAICompatibleLM`.

    Raises:
        ValueError: another form of name.
        FileNotFoundError: no such folder.
        TypeError: an option that the class does not have.
    """
    check_name(name)
    scheme, _, rest = name.partition(":")
    if scheme == "hf":
        from prompt_bandits.llms.huggingface import HuggingFaceLM

        return HuggingFaceLM(rest, **options)
    from prompt_bandits.llms.openai_compatible import OpenAICompatibleLM

    url, _, model = rest.partition("#")
    served: TextModel = OpenAICompatibleLM(url, model, **options)
    return served


def check_name(name: str, forms: str = _FORMS) -> None:
    """Refuses what names no text model; `forms` says what is expected.

    Raises:
        ValueError: another form of name, or credentials in its address.
    """
    scheme, colon, rest = name.partition(":")
    if not colon or scheme not in ("hf", "openai"):
        raise ValueError(f"llm: expected {forms}, got {shown(name)}")
    if scheme == "openai":
        _check_served(rest)
    elif not rest or "://" in rest:
        raise ValueError(f"llm: expected a model id or folder after 'hf:', got {'an address' if rest else 'nothing'}")


def shown(name: str) -> str:
    """A model's name for a message, unless a user name, a password or a key could be in it."""
    return "a name that may hold a password" if {"@", "?"} & {*name} else repr(name)


def checked_url(url: str) -> str:
    """A server's address without a slash at its end; errors do not repeat it, since it may hold a key.

    Raises:
        ValueError: no http or https address, or one with credentials.
    """
    try:
        parts = urlsplit(url)
        good = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port or 1) > 0
    except ValueError:
        good = False
    if not good:
        raise ValueError("base_url: expected http://host:port/v1 or https://host/v1, got something else")
    if "@" in parts.netloc or "?" in url or "#" in url:
        raise ValueError(
            "base_url: expected no user name, password, query or fragment, since addresses are recorded; "
            "keys come from the environment variable that api_key_env names"
        )
    return url.rstrip("/")


def _check_served(rest: str) -> None:
    """Of what follows 'openai:'."""
    url, _, model = rest.partition("#")
    if not model:
        raise ValueError(f"llm: expected {_EXAMPLE}; got no #<model> at the end")
    if not url.startswith(("http://", "https://")):
        raise ValueError(f"llm: expected {_EXAMPLE}; got an address without http:// or https://")
    checked_url(url)
