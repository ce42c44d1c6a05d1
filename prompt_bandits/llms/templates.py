"""From a query and a prompt to what a text model is asked."""

from __future__ import annotations

from dataclasses import dataclass, fields
from string import Formatter
from typing import ClassVar

from prompt_bandits.llms.requests import Message, TextRequest

_MOVIE_PREFIX = (
    "Broadly describe in a sentence the genres of the movie without including the name or any specifics of the movie.\n"
    "Title: "
)


@dataclass(frozen=True)
class PromptTemplate:
    """What is asked for a query with a prompt, or without one. The defaults are the published movie template.

    Plain text, for models without chats: `prefix + query + middle + prompt + postfix`, and without a prompt
    `prefix + query + no_prompt_postfix`.

    Args:
        no_prompt_postfix: None is `postfix`.
        system: the first turn of a chat. Plain text has none: say it in `prefix`.
        user: the user's turn of a chat, with `{query}` and `{prompt}` in it; None is the plain text.
        user_without_prompt: the same without a prompt, with `{query}` in it; goes with `user`.

    Raises:
        TypeError: a part that is not a text.
        ValueError: `user` or `user_without_prompt` with other places to fill, or one of them alone.
    """

    prefix: str = _MOVIE_PREFIX
    middle: str = "\nKeyword: "
    postfix: str = "\nMovie description: "
    no_prompt_postfix: str | None = None
    system: str | None = None
    user: str | None = None
    user_without_prompt: str | None = None

    saved_as: ClassVar[str] = "prompt_template"

    def __post_init__(self) -> None:
        for part in fields(self):
            value = getattr(self, part.name)
            if not isinstance(value, str) and (value is not None or part.name in ("prefix", "middle", "postfix")):
                raise TypeError(f"{part.name}: expected a text, got {value!r}")
        if (self.user is None) != (self.user_without_prompt is None):
            missing = "user" if self.user is None else "user_without_prompt"
            raise ValueError(f"{missing}: expected a text, since the other form of the user's turn is given; got None")
        if self.user is not None and self.user_without_prompt is not None:
            _check_places("user", self.user, {"query", "prompt"})
            _check_places("user_without_prompt", self.user_without_prompt, {"query"})

    def request(self, query: str, prompt: str | None, key: str) -> TextRequest:
        """The request for `query` with `prompt`; None asks for the text without a prompt."""
        text = self._text(query, prompt)
        turn = text
        if self.user is not None and self.user_without_prompt is not None:
            form = self.user_without_prompt if prompt is None else self.user
            turn = form.format(query=query, prompt=prompt)
        system = () if self.system is None else (Message("system", self.system),)
        return TextRequest(text, (*system, Message("user", turn)), key)

    def _text(self, query: str, prompt: str | None) -> str:
        if prompt is None:
            return self.prefix + query + (self.postfix if self.no_prompt_postfix is None else self.no_prompt_postfix)
        return self.prefix + query + self.middle + prompt + self.postfix


def _check_places(name: str, form: str, expected: set[str]) -> None:
    """Refuses a format string whose places to fill are not exactly `expected`."""
    places = " and ".join(f"{{{place}}}" for place in sorted(expected, reverse=True))
    try:
        parts = [part for part in Formatter().parse(form) if part[1] is not None]
    except ValueError as error:
        raise ValueError(f"{name}: expected a text with {places} ({{{{ for a brace), got {form!r}: {error}") from None
    found = {place for _, place, _, _ in parts}
    if found != expected or any(specification or conversion for _, _, specification, conversion in parts):
        raise ValueError(f"{name}: expected a text with {places} ({{{{ for a brace), got {form!r}")
