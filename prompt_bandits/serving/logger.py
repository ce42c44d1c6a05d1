"""Serves prompts from a policy and logs the rounds, their rewards whenever they come."""

from __future__ import annotations

import secrets
import threading
import time
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from typing_extensions import Self

from prompt_bandits.acting import act
from prompt_bandits.datasets.columns import EXTRAS, Columns, column_of
from prompt_bandits.datasets.description import Description
from prompt_bandits.datasets.prompt_table import VERSION, PromptTable
from prompt_bandits.datasets.stored import StoredDataset
from prompt_bandits.datasets.writer import DatasetWriter
from prompt_bandits.logs.values import integer_of, number_of
from prompt_bandits.protocols import Policy, SentenceEncoder
from prompt_bandits.rounds import Rounds
from prompt_bandits.serving.waiting import WaitingRounds
from prompt_bandits.types import FloatArray, IntArray, Observation, Prompts, text_array

_TIME, _REWARD_TIME = f"{EXTRAS}time", f"{EXTRAS}reward_time"


class Served(NamedTuple):
    """What `act` gives."""

    round_id: int
    prompt: str | int  # its text, or the action where prompts have no texts
    propensity: float


class _Serving(NamedTuple):
    """What rounds are served by; replaced whole, so that threads read it without a lock."""

    policy: Policy
    policy_id: int
    table: PromptTable


class BanditLogger:
    """Draws prompts from a policy for live users and keeps every round on disk.

    `act` returns once the round is written and `reward` once the reward is: a process that dies loses nothing that was
    acknowledged. A round joins the dataset at `path` when its reward comes. Until then it is kept apart, in `waiting/`;
    a logger that is opened there again knows it. Methods may be called from several threads. Several processes take a
    folder each, which `prompt_bandits.datasets.merge` joins.

    Rows carry `time` and `reward_time` (seconds since 1970) and `prompts_version` in their extras.

    Args:
        path: a new folder, or one that a logger wrote, to go on with.
        policy: chooses prompts. The log carries it, if it can be saved.
        prompts: the first candidates; with a folder that has some they may be left out.
        encoder: of users and queries that are given as texts.

    Raises:
        FileExistsError: something else is at `path`.
        FolderLocked: another logger is at work there.
        ValueError: no prompts, others than the folder's, or a damaged file.
    """

    def __init__(
        self,
        path: str | Path,
        policy: Policy,
        prompts: Prompts | None = None,
        *,
        encoder: SentenceEncoder | None = None,
    ) -> None:
        self.path, self._encoder, self._lock = Path(path), encoder, threading.RLock()
        self._writer = DatasetWriter(self.path, resume=True, flush_rows=1)
        try:
            self._description = self._begin(prompts)
            self._serving = self._served_by(policy)
            manifest = self._description.manifest
            settled = manifest.columns if self._writer.n_rounds else {}
            self._waiting = WaitingRounds(self.path / "waiting", manifest.id, self._writer.keys, settled)
        except BaseException:
            self._writer.abandon()
            raise
        acts = [waiting.act for waiting in self._waiting.rounds.values()]
        seeds = self._writer.keys.seeds or sorted({int(act["seed"][0]) for act in acts})
        self._seed = seeds[0] if seeds else secrets.randbits(62)
        self._next = 1 + max([self._writer.keys.highest(self._seed), *self._waiting.rounds])
        self._unflushed: dict[int, float] = {}  # rewards that could not be written yet
        self._closed = False

    def act(self, user: Any, query: Any = None, *, user_id: int | None = None, **extras: float | str) -> Served:
        """Chooses a prompt for a user with a query, and writes the round down.

        Args:
            user: the context, (d_x,) numbers, or a text for the encoder.
            query: (d_q,) numbers, or a text for the encoder, which is also logged as `query_text`.
            user_id: logged.
            extras: further columns, numbers or texts, the same for all rounds: session, group, anything.

        Returns:
            Round id, prompt and propensity, in that order.

        Raises:
            ValueError: features that are no finite numbers, or other columns than in the rounds so far.
            OSError: the round could not be written. It is not served.
        """
        serving = self._serving
        reserved = {EXTRAS + name for name in extras} & {_TIME, _REWARD_TIME, VERSION}
        if reserved:
            raise ValueError(f"{sorted(reserved)[0]}: is written by the logger; expected another name")
        columns = self._observed(user, query)
        obs = Observation(prompts=serving.table.prompts, action_mask=_mask(serving.table), **columns)
        with self._lock:
            self._refuse_closed()
            round_id, self._next = self._next, self._next + 1
        action, propensity = act(serving.policy, obs, Rounds(self._seed, round_id, 1, "serve"))
        if obs.action_mask is not None and not obs.action_mask[0, action[0]]:
            raise ValueError(f"policy: chose prompt {action[0]}, which is retired; expected it to heed action_mask")
        columns |= {
            "seed": np.array([self._seed]),
            "round_id": np.array([round_id]),
            "policy_id": np.array([serving.policy_id]),
            "action": action,
            "propensity": propensity,
            _TIME: np.array([time.time()]),
            VERSION: np.array([serving.table.version]),
        }
        if user_id is not None:
            if integer_of(user_id) is None:
                raise ValueError(f"user_id: expected an integer of 64 bits, got {user_id!r}")
            columns["user_id"] = np.array([integer_of(user_id)], np.int64)
        columns |= {EXTRAS + name: column_of(name, [value], 1) for name, value in extras.items()}
        with self._lock:
            self._refuse_closed()
            self._waiting.add(columns)
        text = obs.prompts.text
        return Served(round_id, int(action[0]) if text is None else str(text[action[0]]), float(propensity[0]))

    def wrote(self, round_id: int, sentence: str | None = None, output: Any = None) -> None:
        """Notes what the LLM wrote: the sentence, its embedding (d_o,), or both. All rounds or none should have them.

        Raises:
            ValueError: no waiting round of that id, nothing given, or no finite numbers.
            OSError: it could not be written.
        """
        if sentence is None and output is None:
            raise ValueError("wrote: expected a sentence, an output or both, got neither")
        columns: Columns = {}
        if sentence is not None:
            columns["sentence"] = text_array([sentence])
        if output is not None:
            columns["output"] = _vector("output", output)
        with self._lock:
            self._refuse_unknown(round_id)
            self._waiting.wrote(round_id, columns)

    def reward(self, round_id: int, value: float) -> None:
        """Joins the reward to its round, which moves to the dataset.

        Raises:
            ValueError: no waiting round of that id, a reward that is no finite number, or other columns than in the
                rounds so far.
            OSError: it could not be written. The round goes on waiting; give it the same reward again.
        """
        number = number_of(value)
        if number is None or not np.isfinite(number):
            raise ValueError(f"reward: expected a finite number, got {value!r}")
        with self._lock:
            self._refuse_unknown(round_id)
            waiting = self._waiting.rounds[round_id]
            taken_in = self._unflushed.get(round_id)
            if taken_in is None:
                if self._waiting.with_outputs and not waiting.output:
                    raise ValueError("wrote: expected what the LLM wrote before the reward, as in the rounds so far")
                given = {"reward": np.array([number]), _REWARD_TIME: np.array([time.time()])}
                try:
                    self._writer.append_columns({**waiting.act, **waiting.output, **given})
                except OSError:
                    self._unflushed[round_id] = number
                    raise
                finally:
                    if self._writer.n_rounds:
                        self._waiting.settle(self._description.manifest.columns)
            elif taken_in != number:
                raise ValueError(f"reward: round {round_id} was given {taken_in} already, which is yet to be written")
            self._writer.flush()
            for done in {round_id, *self._unflushed}:
                self._waiting.remove(done)
            self._unflushed.clear()

    def waiting(self, older_than: float = 0.0) -> IntArray:
        """The ids of rounds without a reward, acted in at least so many seconds ago; in ascending order."""
        latest = time.time() - older_than
        with self._lock:
            rounds = [key for key, waiting in self._waiting.rounds.items() if waiting.act[_TIME][0] <= latest]
        return np.array(sorted(rounds), np.int64)

    def use(self, policy: Policy) -> None:
        """Serves by another policy from now on; each row names its own."""
        with self._lock:
            self._serving = self._served_by(policy)

    def add_prompts(self, prompts: Prompts, policy: Policy | None = None) -> None:
        """More candidates from now on: the next version of the table.

        Args:
            prompts: with ids of their own, which `Prompts` lets one give.
            policy: serve by this one from now on, for policies that know a fixed number of prompts.

        Raises:
            ValueError: ids that are taken, or features of another width.
        """
        with self._lock:
            self._change(self._serving.table.add(prompts), policy)

    def retire_prompts(self, prompt_id: Any, policy: Policy | None = None) -> None:
        """No longer candidates from now on: the next version of the table. Actions keep their numbers.

        Raises:
            ValueError: ids that are no candidates, or no candidate left.
        """
        with self._lock:
            self._change(self._serving.table.retire(np.atleast_1d(np.asarray(prompt_id, np.int64))), policy)

    def dataset(self) -> StoredDataset:
        """The rounds that have their reward."""
        with self._lock:
            return StoredDataset.open(self.path) if self._closed else self._writer.handle()

    def close(self) -> None:
        """Seals the dataset; waiting rounds stay where they are."""
        with self._lock:
            if not self._closed:
                self._writer.close()
                self._closed = True
                self._waiting.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def _begin(self, prompts: Prompts | None) -> Description:
        """The folder's description; in a new folder that of these prompts."""
        if self._writer.description is None:
            if prompts is None:
                raise ValueError(f"prompts: expected some for the new folder {self.path}, got none")
            return self._writer.begin(PromptTable.first(prompts))
        if prompts is not None and not self._writer.description.table.offers(prompts):
            raise ValueError(
                f"prompts: expected those of {self.path}, got others; add_prompts and retire_prompts change them"
            )
        return self._writer.description

    def _served_by(self, policy: Policy) -> _Serving:
        """By this policy and the prompts of now."""
        if not isinstance(policy, Policy):
            raise TypeError(f"policy: expected an object with `action_dist`, got {policy!r}")
        return _Serving(policy, self._description.policy_number(policy), self._description.table)

    def _change(self, table: PromptTable, policy: Policy | None) -> None:
        policy = self._served_by(self._serving.policy if policy is None else policy).policy
        self._description.change_prompts(table)
        self._serving = self._served_by(policy)

    def _observed(self, user: Any, query: Any) -> Columns:
        columns: Columns = {"context": self._features("user", user)}
        if query is not None:
            columns["query"] = self._features("query", query)
        if isinstance(query, str):
            columns["query_text"] = text_array([query])
        return columns

    def _features(self, name: str, value: Any) -> FloatArray:
        if not isinstance(value, str):
            return _vector(name, value)
        if self._encoder is None:
            raise ValueError(f"{name}: expected numbers, or an encoder for texts, got {value!r}")
        return _vector(name, self._encoder.encode(text_array([value]))[0])

    def _refuse_unknown(self, round_id: int) -> None:
        self._refuse_closed()
        if round_id not in self._waiting.rounds:
            rewarded = self._writer.keys.contain(np.array([self._seed]), np.array([round_id])).any()
            raise ValueError(
                f"round_id: {round_id} {'has its reward already' if rewarded else 'is no round of this logger'}"
            )

    def _refuse_closed(self) -> None:
        if self._closed:
            raise ValueError(f"{self.path}: this logger is closed")


def _mask(table: PromptTable) -> Any:
    """(1, |A|) which prompts can be chosen now; None for all."""
    active = table.action_mask(table.version)
    return None if active.all() else active[None]


def _vector(name: str, value: Any) -> FloatArray:
    """(1, d)."""
    try:
        vector = np.asarray(value, dtype=np.float32)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{name}: expected a vector of numbers, got {value!r}") from error
    if vector.ndim != 1 or not len(vector) or not np.isfinite(vector).all():
        raise ValueError(f"{name}: expected a vector of finite numbers, got {value!r}")
    return vector[None]
