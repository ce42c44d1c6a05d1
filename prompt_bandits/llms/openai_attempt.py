"""One attempt to get one answer from a server: wait for a turn, send, judge what comes back, book what it took."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from prompt_bandits.llms.budget import Aside, Budget
from prompt_bandits.llms.costs import Amount, Prices, guessed_tokens, most_tokens
from prompt_bandits.llms.failures import one_line
from prompt_bandits.llms.in_flight import Pause
from prompt_bandits.llms.openai_answers import (
    LONGEST_WISH_S,
    Fatal,
    Lost,
    Refused,
    completion_of,
    outcome_of_status,
    seed_of,
)
from prompt_bandits.llms.pacing import Gate
from prompt_bandits.llms.requests import Completion, Sampling, TextRequest
from prompt_bandits.llms.usage import Meter

if TYPE_CHECKING:
    import anyio
    from openai import AsyncOpenAI

_NEVER_SENT = {"ConnectError", "ConnectTimeout", "PoolTimeout"}
_BUDGET_POLL_S = 0.02


@dataclass(frozen=True)
class Endpoint:
    """What every request to a server has in common."""

    model: str
    chat: bool
    extra_body: dict[str, Any]
    timeout_s: float

    def body(self, request: TextRequest, sampling: Sampling) -> dict[str, Any]:
        """The request's fields beside model and prompt."""
        fields: dict[str, Any] = {
            "max_tokens": sampling.max_new_tokens,
            "temperature": sampling.temperature,
            "top_p": sampling.top_p,
            "top_k": sampling.top_k or None,
            "stop": list(sampling.stop) or None,
            "seed": seed_of(request),
        }
        return {name: value for name, value in {**fields, **self.extra_body}.items() if value is not None}

    async def ask(self, client: AsyncOpenAI, request: TextRequest, sampling: Sampling) -> Completion:
        """Sends a request once. What the server says about a failure is passed on without the key.

        Raises:
            Lost: no answer; try again. Refused: not this request. Fatal: not any.
        """
        try:
            return await self._ask(client, request, sampling)
        except (Lost, Refused, Fatal) as error:
            error.args = (one_line(str(error).replace(client.api_key, "[key]")),)
            raise

    async def _ask(self, client: AsyncOpenAI, request: TextRequest, sampling: Sampling) -> Completion:
        status, body, headers = await self._response(client, request, sampling)
        if status != 200:
            return outcome_of_status(status, body, headers)
        try:
            answer = json.loads(body)
        except ValueError:
            answer = None
        if answer is None:
            raise Lost(f"an answer that is no whole JSON: {body}", charged=True)
        return completion_of(answer, sampling, self.chat)

    async def _response(
        self, client: AsyncOpenAI, request: TextRequest, sampling: Sampling
    ) -> tuple[int, Any, Mapping[str, str]]:
        """Status, body, headers. The client's errors hold the request with its key: none is kept, nor chained."""
        import anyio
        from openai import APIConnectionError, APIStatusError, APITimeoutError

        late = f"no whole answer within {self.timeout_s:g} s"
        try:
            with anyio.fail_after(self.timeout_s):
                return 200, await self._send(client, request, self.body(request, sampling)), {}
        except TimeoutError:
            lost = Lost(late, charged=True)
        except APIConnectionError as error:
            cause = type(error.__cause__).__name__
            reason = late if isinstance(error, APITimeoutError) else f"{cause}: {error.__cause__}"
            lost = Lost(reason, charged=cause not in _NEVER_SENT)
        except APIStatusError as error:
            return error.status_code, error.body, error.response.headers
        raise lost

    async def _send(self, client: AsyncOpenAI, request: TextRequest, body: dict[str, Any]) -> str:
        if not self.chat:
            create_text = client.completions.with_raw_response.create
            return (await create_text(model=self.model, prompt=request.text, extra_body=body)).http_response.text
        turns: Any = [asdict(message) for message in request.messages] or [{"role": "user", "content": request.text}]
        create = client.chat.completions.with_raw_response.create
        return (await create(model=self.model, messages=turns, extra_body=body)).http_response.text


@dataclass(frozen=True)
class Attempts:
    """Sends the requests of one call, within the limits."""

    endpoint: Endpoint
    client: AsyncOpenAI
    requests: Sequence[TextRequest]
    sampling: Sampling
    gate: Gate
    meter: Meter
    budget: Budget | None
    prices: Prices | None
    turn: anyio.Lock  # one request at a time waits for room in the budget

    async def __call__(self, position: int, again: bool, pause: Pause) -> Completion:
        """One attempt for the request at `position`; `again`: it was sent before.

        Raises:
            Lost: no answer; try again. Refused: not this request. Fatal: not any.
            BudgetExceeded: it was not sent.
        """
        request = self.requests[position]
        aside = await self._set_aside(request, pause)
        used = Amount()
        try:
            await pause(self.gate.turn_s(guessed_tokens(request, self.sampling, self.endpoint.chat)))
            used = aside.asked  # from here on it may be charged for
            completion = await self._counted(request, again)
            used = self._used(completion, aside)
            return completion
        except (Lost, Refused, Fatal) as error:
            used = aside.asked if isinstance(error, Lost) and error.charged else Amount()
            if isinstance(error, Lost) and error.retry_after_s:
                self.gate.close_for(min(error.retry_after_s, LONGEST_WISH_S))
            raise
        finally:
            if self.budget is not None:
                self.budget.book(aside, used)

    async def _set_aside(self, request: TextRequest, pause: Pause) -> Aside:
        most = self._amount(*most_tokens(request, self.sampling, self.endpoint.chat))
        if self.budget is None:
            return Aside(most, most)
        async with self.turn:
            while (aside := self.budget.set_aside(most)) is None:
                await pause(_BUDGET_POLL_S)
        return aside

    async def _counted(self, request: TextRequest, again: bool) -> Completion:
        self.meter.sent(again)
        try:
            completion = await self.endpoint.ask(self.client, request, self.sampling)
        finally:
            self.meter.ended()
        self.meter.answered(completion.prompt_tokens, completion.new_tokens)
        return completion

    def _used(self, completion: Completion, aside: Aside) -> Amount:
        """What the server says; the most where it does not."""
        if completion.prompt_tokens or completion.new_tokens:
            return self._amount(completion.prompt_tokens, completion.new_tokens)
        return Amount() if completion.outcome == "context_limit" else aside.asked

    def _amount(self, prompt_tokens: int, new_tokens: int) -> Amount:
        cost = self.prices.cost(prompt_tokens, new_tokens) if self.prices else 0.0
        return Amount(prompt_tokens + new_tokens, cost)
