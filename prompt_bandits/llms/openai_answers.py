"""What a server's answer means: a completion, an attempt to repeat, or an end."""

from __future__ import annotations

import email.utils
import re
import time
from collections.abc import Mapping
from hashlib import blake2b
from typing import Any

from prompt_bandits.llms.requests import Completion, Sampling, TextRequest

LONGEST_WISH_S = 120.0  # a server that asks for a longer pause than that is not waited for
_STOPPED = {"stop", "eos", "eos_token", "stop_sequence"}
_TOO_LONG = re.compile(
    r"context[ _-]*(length|size|window|limit)|longer than the (maximum )?model|(prompt|input) is too long"
    r"|tokens.{0,60}must be <=|must have less than \d+ tokens",
    re.IGNORECASE | re.DOTALL,
)
_TRY_AGAIN = {408, 409, 425, 429}
_GATEWAY = {502, 504}  # says nothing about what the server behind it did


class Lost(Exception):
    """An attempt without an answer; the next may have one.

    Attributes:
        retry_after_s: the server's wish.
        charged: the server may have generated, and charged for, an answer that did not arrive.
    """

    def __init__(self, reason: str, retry_after_s: float = 0.0, charged: bool = False) -> None:
        super().__init__(reason)
        self.retry_after_s, self.charged = retry_after_s, charged


class Refused(Exception):
    """This request will not be answered, however often it is sent."""


class Fatal(Exception):
    """No request will be answered: no such model, nothing left to pay with."""


class NoAccess(Fatal):
    """The key is wrong, or missing."""


def seed_of(request: TextRequest) -> int:
    """The seed for a server's sampler, 31 bits: it follows from the request's key and its prompt."""
    turns = [part for message in request.messages for part in (message.role, message.content)]
    digest = blake2b("\0".join([request.key, request.text, *turns]).encode(), digest_size=4).digest()
    return int.from_bytes(digest, "big") >> 1


def completion_of(answer: Any, sampling: Sampling, chat: bool) -> Completion:
    """The completion in a parsed answer with status 200.

    Raises:
        Lost: it is not what such an answer looks like; part of it is missing.
    """
    try:
        choice = answer["choices"][0]
        finish = choice["finish_reason"]
        said = choice["message"] if chat else choice
        text = said.get("content" if chat else "text")
        usage = answer.get("usage") or {}
        prompt_tokens, new_tokens = int(usage.get("prompt_tokens") or 0), int(usage.get("completion_tokens") or 0)
    except (TypeError, KeyError, IndexError, AttributeError, ValueError):
        raise Lost(f"an answer that is none: {answer}", charged=True) from None
    if finish == "content_filter" or (text is None and said.get("refusal")):
        return Completion("", "content_filter", prompt_tokens, new_tokens)
    if finish == "length":
        return _ended(text or "", "length", sampling, prompt_tokens, new_tokens)
    if finish not in _STOPPED or not isinstance(text, str):
        raise Lost(f"an answer without text, finish_reason {finish!r}", charged=True)
    return _ended(text, "stop", sampling, prompt_tokens, new_tokens)


def _ended(text: str, outcome: str, sampling: Sampling, prompt_tokens: int, new_tokens: int) -> Completion:
    """Cut before a stop string, which some servers leave in; half a surrogate pair becomes "?"."""
    text = text.encode(errors="replace").decode()
    cuts = [cut for cut in map(text.find, sampling.stop) if cut >= 0]
    return Completion(text[: min(cuts)] if cuts else text, "stop" if cuts else outcome, prompt_tokens, new_tokens)


def outcome_of_status(status: int, body: Any, headers: Mapping[str, str]) -> Completion:
    """The completion without text that an error status stands for.

    Raises:
        Lost: try again. Refused: not this request. Fatal: not any.
    """
    codes, message = _codes(body), _message(body)
    reason = f"HTTP {status}: {message}"
    if status in (400, 413, 422):
        if codes & {"context_length_exceeded", "exceed_context_size_error"} or _TOO_LONG.search(message):
            return Completion("", "context_limit")
        if codes & {"content_filter", "content_policy_violation", "ResponsibleAIPolicyViolation"}:
            return Completion("", "content_filter")
    if status in (401, 403):
        raise NoAccess(reason)
    if status == 404:
        raise Fatal(f"{reason} (is that the server's name of the model, and does base_url end in /v1?)")
    if status == 402 or codes & {"insufficient_quota", "model_not_found"}:
        raise Fatal(reason)
    if status in _TRY_AGAIN or status >= 500:
        raise Lost(reason, retry_after_s(headers), charged=status in _GATEWAY)
    raise Refused(reason)


def retry_after_s(headers: Mapping[str, str]) -> float:
    """Seconds that a server asks to wait, from milliseconds, seconds or a date; 0 where it does not."""
    for name, per_second in (("retry-after-ms", 1000), ("retry-after", 1)):
        value = headers.get(name)
        if value is None:
            continue
        if re.fullmatch(r"\s*\d+(\.\d*)?\s*", value):
            return float(value) / per_second
        try:
            return max(0.0, email.utils.parsedate_to_datetime(value).timestamp() - time.time())
        except (TypeError, ValueError):
            continue
    return 0.0


def _error(body: Any) -> Any:
    return body.get("error", body) if isinstance(body, Mapping) else body


def _codes(body: Any) -> set[str]:
    error = _error(body)
    if not isinstance(error, Mapping):
        return set()
    inner = error.get("innererror")
    values = [error.get("code"), error.get("type"), inner.get("code") if isinstance(inner, Mapping) else None]
    return {value for value in values if isinstance(value, str)}


def _message(body: Any) -> str:
    error = _error(body)
    if isinstance(error, Mapping):
        error = error.get("message") or error.get("detail") or error
    return str(error)
