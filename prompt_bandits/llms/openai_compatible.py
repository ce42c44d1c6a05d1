"""Text from any server that speaks OpenAI's protocol: vLLM, TGI, llama.cpp, `transformers serve`, OpenAI."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Iterator, Mapping, Sequence
from importlib.util import find_spec
from queue import SimpleQueue
from typing import Any

from prompt_bandits.llms.budget import Budget
from prompt_bandits.llms.costs import CostEstimate, Prices, Tokenizer, estimate
from prompt_bandits.llms.failures import BudgetExceeded, RequestsFailed
from prompt_bandits.llms.in_flight import DEAD_AFTER, Deliver, InFlight
from prompt_bandits.llms.naming import checked_url
from prompt_bandits.llms.openai_answers import Lost, NoAccess
from prompt_bandits.llms.openai_attempt import Attempts, Endpoint
from prompt_bandits.llms.pacing import Gate
from prompt_bandits.llms.requests import Completion, Sampling, TextRequest
from prompt_bandits.llms.usage import Meter, Usage

__all__ = ["OpenAICompatibleLM"]

_LOG = logging.getLogger(__name__)
_NO_KEY = "no-key"  # the client insists on one


class OpenAICompatibleLM:
    """A text model behind OpenAI's protocol.

    Requests are sent from a thread of their own, `concurrency` at a time, and answers yielded as they arrive. What is
    lost (a dropped, late, cut or malformed answer, 408, 429, 5xx) is asked for again with growing pauses, the server's
    `Retry-After` kept to; a request that fails for good leaves the others alone. Closing the generator, or Ctrl-C,
    hangs up on what is in flight.

    Args:
        base_url: as OpenAI's clients have it, mostly with /v1 at the end; no user, password or query.
        model: the server's name of the model.
        api_key_env: environment variable that holds the key, read at each call and kept nowhere; None sends no key.
        revision: what of the model the server has, for `identity`; servers don't tell.
        chat: the messages go to /chat/completions; otherwise the text to /completions.
        concurrency: requests in flight.
        timeout_s: for an attempt, from connecting to the last byte.
        max_retries: attempts after the first.
        backoff_s: pause before the second; it doubles, up to 30 s.
        requests_per_minute, tokens_per_minute: limits on what is sent; repeated requests count.
        extra_body: further fields of the request, such as `{"top_k": 5}`; None as a value leaves a field out.
        price_per_million_prompt_tokens, price_per_million_new_tokens: for estimates and a budget; both or neither.
        tokenizer: counts prompts for estimates.
        budget: a hard limit. May be shared with other models.

    Raises:
        ValueError: an argument out of range, or credentials in `base_url`.
        ImportError: the packages of `prompt_bandits[openai]` are missing.
    """

    def __init__(
        self,
        base_url: str,
        model: str,
        *,
        api_key_env: str | None = "OPENAI_API_KEY",
        revision: str = "",
        chat: bool = True,
        concurrency: int = 16,
        timeout_s: float = 60.0,
        max_retries: int = 5,
        backoff_s: float = 0.5,
        requests_per_minute: float | None = None,
        tokens_per_minute: float | None = None,
        extra_body: Mapping[str, Any] | None = None,
        price_per_million_prompt_tokens: float | None = None,
        price_per_million_new_tokens: float | None = None,
        tokenizer: Tokenizer | None = None,
        budget: Budget | None = None,
    ) -> None:
        self.base_url, self.model, self.revision, self.chat = checked_url(base_url), model, revision, chat
        for name, value, least in (("concurrency", concurrency, 1), ("max_retries", max_retries, 0)):
            if value < least:
                raise ValueError(f"{name}: expected >= {least}, got {value}")
        for name, seconds in (("timeout_s", timeout_s), ("backoff_s", backoff_s)):
            if not seconds > 0:
                raise ValueError(f"{name}: expected a number above 0, got {seconds}")
        self.concurrency, self.timeout_s = concurrency, timeout_s
        self.max_retries, self.backoff_s = max_retries, backoff_s
        self.extra_body, self._api_key_env = dict(extra_body or {}), api_key_env
        self._prices = _prices(price_per_million_prompt_tokens, price_per_million_new_tokens)
        if budget is not None and budget.max_cost is not None and self._prices is None:
            raise ValueError("budget: max_cost needs price_per_million_prompt_tokens and price_per_million_new_tokens")
        self._tokenizer, self.budget = tokenizer, budget
        self._gate, self._meter = Gate(requests_per_minute, tokens_per_minute), Meter()
        _needs_openai()

    def __repr__(self) -> str:
        return f"OpenAICompatibleLM({self.base_url!r}, {self.model!r})"

    @property
    def identity(self) -> dict[str, str]:
        """Address, model, revision, and what else tells answers apart."""
        more = {"extra_body": json.dumps(self.extra_body, sort_keys=True)} if self.extra_body else {}
        endpoint = "chat" if self.chat else "text"
        return {
            "backend": "openai",
            "base_url": self.base_url,
            "model": self.model,
            "revision": self.revision,
            "endpoint": endpoint,
            **more,
        }

    @property
    def usage(self) -> Usage:
        """What was sent and answered so far."""
        return self._meter.usage

    def estimate(self, requests: Sequence[TextRequest], sampling: Sampling) -> CostEstimate:
        """Tokens and cost of requests, without sending any; also logged at INFO."""
        expected = estimate(requests, sampling, self._tokenizer, self._prices, self.chat)
        _LOG.info("%s at %s: %s", self.model, self.base_url, expected)
        return expected

    def complete(self, requests: Sequence[TextRequest], sampling: Sampling) -> Iterator[tuple[int, Completion]]:
        """(position in `requests`, answer), each as soon as it is there, in any order.

        Raises:
            RequestsFailed: a GenerationError that tells which have no answer, and why.
            BudgetExceeded: one of these, when the budget is at its end.
        """
        from anyio.from_thread import start_blocking_portal

        if not requests:
            return
        self.estimate(requests, sampling)
        missing = dict.fromkeys(range(len(requests)))
        answers: SimpleQueue[tuple[int, Completion] | None] = SimpleQueue()
        with start_blocking_portal() as portal:  # left by an error or a closed generator, it cancels what runs
            run = portal.call(InFlight, len(requests), self.concurrency, self.max_retries, self.backoff_s)
            task = portal.start_task_soon(self._session, run, list(requests), sampling, answers.put)
            task.add_done_callback(lambda _: answers.put(None))
            while (answer := answers.get()) is not None:
                del missing[answer[0]]
                yield answer
                portal.start_task_soon(run.taken)
        task.result()
        if missing:
            raise self._failure(run, len(requests), list(missing))

    async def _session(
        self, run: InFlight, requests: Sequence[TextRequest], sampling: Sampling, deliver: Deliver
    ) -> None:
        import anyio
        from openai import AsyncOpenAI

        client = AsyncOpenAI(
            api_key=self._key() or _NO_KEY, base_url=self.base_url, timeout=self.timeout_s, max_retries=0
        )
        endpoint = Endpoint(self.model, self.chat, self.extra_body, self.timeout_s)
        attempts = Attempts(
            endpoint, client, requests, sampling, self._gate, self._meter, self.budget, self._prices, anyio.Lock()
        )
        try:
            await run.run(attempts, deliver)
        finally:
            with anyio.CancelScope(shield=True):
                await client.close()

    def _key(self) -> str:
        """The key in the environment; empty if there is none.

        Raises:
            ValueError: it has characters that cannot be sent.
        """
        key = os.environ.get(self._api_key_env, "").strip() if self._api_key_env else ""
        if not (key.isascii() and key.isprintable()):
            raise ValueError(f"{self._api_key_env}: expected a key of printable ASCII characters")
        return key

    def _failure(self, run: InFlight, n: int, missing: Sequence[int]) -> RequestsFailed:
        """What is raised when these positions have no answer."""
        headline = (
            f"{self.model} at {self.base_url} ({self.usage.sent} attempts so far, {self.usage.repeated} repeated)"
        )
        error = run.stopped_by
        stopped = "" if error is None else self._stop_reason(error)
        kind = BudgetExceeded if isinstance(error, BudgetExceeded) else RequestsFailed
        return kind(headline, n=n, missing=missing, reasons=run.failures, stopped=stopped)

    def _stop_reason(self, error: Exception) -> str:
        if isinstance(error, Lost):
            return f"{DEAD_AFTER} requests in a row or more were lost for good; the last: {error}"
        if not isinstance(error, NoAccess):
            return str(error)
        if self._api_key_env is None:
            return f"{error} (api_key_env is None: no key is sent)"
        state = "is set" if os.environ.get(self._api_key_env, "").strip() else "is not set"
        return f"{error} (the key comes from the environment variable {self._api_key_env}, which {state})"


def _prices(per_million_prompt: float | None, per_million_new: float | None) -> Prices | None:
    if per_million_prompt is None and per_million_new is None:
        return None
    if per_million_prompt is None or per_million_new is None:
        raise ValueError("price_per_million_prompt_tokens, price_per_million_new_tokens: expected both or neither")
    return Prices(per_million_prompt, per_million_new)


def _needs_openai() -> None:
    for package in ("anyio", "openai", "tenacity"):
        if find_spec(package) is None:
            raise ImportError(f"OpenAICompatibleLM needs {package}: pip install 'prompt_bandits[openai]'")
