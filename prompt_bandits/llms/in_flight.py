"""Many requests in flight at once: what is lost is asked for again, what fails is collected, the rest handed over."""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from prompt_bandits.llms.failures import BudgetExceeded
from prompt_bandits.llms.openai_answers import LONGEST_WISH_S, Fatal, Lost, Refused
from prompt_bandits.llms.requests import Completion

if TYPE_CHECKING:
    from tenacity import RetryCallState

_LONGEST_BACKOFF_S = 30.0
DEAD_AFTER = 16  # requests in a row, or as many as are in flight, that were lost for good: there is no server


Pause = Callable[[float], Awaitable[None]]
Attempt = Callable[[int, bool, Pause], Awaitable[Completion]]
Deliver = Callable[[tuple[int, Completion]], None]


class Stopped(Exception):
    """The run ends; this request is not sent, or not again."""


class InFlight:
    """One run over `n` requests.

    A request's place among the `concurrency` ones is free again once its answer was `taken`, so that no more answers
    than that can be lost between here and the reader.

    To be made on the event loop that runs it.

    Args:
        n: how many requests.
        concurrency: places.
        max_retries: attempts after a request's first.
        backoff_s: the first pause between two attempts; it doubles.

    Attributes:
        failures: why, by position, for requests that failed by themselves.
        stopped_by: what ended the run before all requests were sent.
    """

    def __init__(self, n: int, concurrency: int, max_retries: int, backoff_s: float) -> None:
        import anyio

        self._n, self._concurrency = n, concurrency
        self._max_retries, self._backoff_s = max_retries, backoff_s
        self._random, self._lost_in_a_row = random.Random(), 0
        self._places, self._stop = anyio.Semaphore(concurrency), anyio.Event()
        self.failures: dict[int, str] = {}
        self.stopped_by: Exception | None = None

    async def run(self, attempt: Attempt, deliver: Deliver) -> None:
        """Gives (position, answer) to `deliver` as they come, until all are answered or have failed.

        `attempt(position, is it sent again?, pause)` sends a request once; it raises Lost, Refused, Fatal,
        BudgetExceeded or what `pause` raises.
        """
        import anyio

        async with anyio.create_task_group() as group:
            for position in range(self._n):
                await self._places.acquire()
                if self._stop.is_set():
                    return
                group.start_soon(self._one, position, attempt, deliver)

    def taken(self) -> None:
        """A delivered answer is in the reader's hands."""
        self._places.release()

    async def pause(self, seconds: float) -> None:
        """Sleeps.

        Raises:
            Stopped: the run ends meanwhile.
        """
        import anyio

        with anyio.move_on_after(seconds):
            await self._stop.wait()
        if self._stop.is_set():
            raise Stopped

    async def _one(self, position: int, attempt: Attempt, deliver: Deliver) -> None:
        try:
            completion = await self._until_answered(position, attempt)
        except Stopped:
            pass
        except (Fatal, BudgetExceeded) as error:
            self._end(error)
        except (Refused, Lost) as error:
            self.failures[position] = str(error)
            self._lost_in_a_row = self._lost_in_a_row + 1 if isinstance(error, Lost) else 0
            if self._lost_in_a_row >= max(DEAD_AFTER, self._concurrency):
                self._end(error)
        else:
            self._lost_in_a_row = 0
            deliver((position, completion))
            return
        self._places.release()

    def _end(self, error: Exception) -> None:
        self.stopped_by = self.stopped_by or error
        self._stop.set()

    async def _until_answered(self, position: int, attempt: Attempt) -> Completion:
        from tenacity import AsyncRetrying, retry_if_exception, stop_after_attempt

        retrying = AsyncRetrying(
            retry=retry_if_exception(lambda error: isinstance(error, Lost) and error.retry_after_s <= LONGEST_WISH_S),
            stop=stop_after_attempt(self._max_retries + 1),
            wait=self._wait_s,
            sleep=self.pause,
            reraise=True,
        )
        async for trial in retrying:
            with trial:
                return await attempt(position, trial.retry_state.attempt_number > 1, self.pause)
        raise AssertionError("the last attempt neither answered nor raised")

    def _wait_s(self, state: RetryCallState) -> float:
        backoff: float = min(self._backoff_s * 2.0 ** (state.attempt_number - 1), _LONGEST_BACKOFF_S)
        return backoff * self._random.uniform(0.5, 1.0)
