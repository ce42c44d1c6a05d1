"""What the single and the vector environment share: spaces, encoding, and which rounds come next."""

from __future__ import annotations

from typing import Any

import numpy as np
from gymnasium import spaces
from gymnasium.error import ResetNeeded
from numpy.typing import NDArray

from prompt_bandits.rounds import Rounds, RoundStream
from prompt_bandits.simulator import PromptSimulator
from prompt_bandits.types import Feedback, IntArray, Observation

_MAX_SEED = 2**63


class BanditInterface:
    """What the single and the vector environment share: spaces, encoding, and which rounds come next."""

    metadata: dict[str, Any]
    _np_random: np.random.Generator | None
    _np_random_seed: Any
    np_random: Any

    def _connect(
        self, simulator: PromptSimulator, flatten_obs: bool, action_mode: str, render_mode: str | None
    ) -> tuple[spaces.Space[Any], spaces.Space[Any]]:
        """Stores the settings; returns the observation and the action space of one round."""
        if action_mode not in ("index", "embedding"):
            raise ValueError(f"action_mode: expected 'index' or 'embedding', got {action_mode!r}")
        if render_mode is not None and render_mode not in self.metadata["render_modes"]:
            raise ValueError(
                f"render_mode: expected None or one of {self.metadata['render_modes']}, got {render_mode!r}"
            )
        self.simulator = simulator
        self.flatten_obs, self.action_mode, self.render_mode = flatten_obs, action_mode, render_mode
        self._stream: RoundStream | None = None
        self._stream_generator: np.random.Generator | None = None
        self._observed: tuple[Rounds, Observation] | None = None
        self._obs: Observation | None = None
        self._rounds: Rounds | None = None
        self._finished: tuple[Observation, IntArray, Feedback] | None = None
        return self._observation_space(), self._action_space()

    def _observation_space(self) -> spaces.Space[Any]:
        probe = self.simulator.observe(Rounds(0, 0, 1, "probe"))
        boxes: dict[str, spaces.Space[Any]] = {
            name: spaces.Box(-np.inf, np.inf, (column.shape[1],), np.float32)
            for name, column in encode(probe, False).items()
        }
        if self.flatten_obs:
            return spaces.Box(-np.inf, np.inf, (probe.features().shape[1],), np.float32)
        return spaces.Dict(boxes)

    def _action_space(self) -> spaces.Space[Any]:
        if self.action_mode == "index":
            return spaces.Discrete(self.simulator.n_actions)
        embedding = self.simulator.prompts.embedding
        return spaces.Box(embedding.min(axis=0), embedding.max(axis=0), dtype=np.float32)

    def _select_rounds(self, seed: int | None, options: dict[str, Any] | None) -> RoundStream:
        """The stream that the next round comes from, by the seed rule (docs/architecture.md)."""
        if self._stream is None or seed is not None or self._np_random is not self._stream_generator:
            own = self._np_random_seed
            if own is None or not 0 <= own < _MAX_SEED:  # np_random set by hand, or made before the first reset
                own = int(self.np_random.integers(_MAX_SEED))
            self._stream = RoundStream(own, self.simulator.scope)
            self._stream_generator = self._np_random
        if options and "round" in options:
            start = options["round"]
            if not isinstance(start, (int, np.integer)) or start < 0:
                raise ValueError(f"options['round']: expected a round id >= 0, got {start!r}")
            self._stream.position = int(start)
        return self._stream

    def _observe(self, rounds: Rounds) -> Observation:
        """Observes a whole block at once and hands out its rows."""
        whole, offset = rounds.whole
        if self._observed is None or self._observed[0] is not whole:
            self._observed = (whole, self.simulator.observe(whole))
        return self._observed[1].take(slice(offset, offset + len(rounds)))

    def _open(self, stream: RoundStream, rounds: Rounds, obs: Observation) -> None:
        """The last thing done to a new round, after all that may raise: until then the old one stays open."""
        stream.position += len(rounds)
        self._rounds, self._obs = rounds, obs

    def _current(self) -> tuple[Observation, Rounds]:
        if self._obs is None or self._rounds is None:
            raise ResetNeeded("step: this round is finished (an episode is one step); call reset() for the next one")
        return self._obs, self._rounds


def first_seed(seed: int | None, generator: np.random.Generator | None) -> int | None:
    """The seed to hand to Gymnasium: the first unseeded reset gets one of 63 bits from the system's entropy."""
    if seed is None and generator is None:
        return int(np.random.SeedSequence().generate_state(1, np.uint64)[0]) >> 1
    if seed is not None and not 0 <= seed < _MAX_SEED:
        raise ValueError(f"seed: expected 0 … 2**63 − 1, got {seed}")
    return None if seed is None else int(seed)


def encode(obs: Observation, flatten: bool) -> Any:
    """Fresh arrays in the shape of the observation space."""
    if flatten:
        return np.array(obs.features())
    if obs.query is None:
        return {"context": obs.context.copy()}
    return {"context": obs.context.copy(), "query": obs.query.copy()}


def encode_one(obs: Observation, flatten: bool) -> Any:
    if flatten:
        return obs.features()[0].copy()
    if obs.query is None:
        return {"context": obs.context[0].copy()}
    return {"context": obs.context[0].copy(), "query": obs.query[0].copy()}


_INFO_COLUMNS = ("action_mask", "user_id", "query_id", "query_text")


def round_info(obs: Observation, rounds: Rounds) -> dict[str, Any]:
    info: dict[str, Any] = {
        "seed": np.full(len(rounds), rounds.seed, dtype=np.int64),
        "round_id": rounds.round_id.copy(),
    }
    for name in _INFO_COLUMNS:
        column = getattr(obs, name)
        if column is not None:
            info[name] = column.astype(np.int8) if name == "action_mask" else column.copy()
    return info


def round_info_one(obs: Observation, rounds: Rounds) -> dict[str, Any]:
    info: dict[str, Any] = {"seed": rounds.seed, "round_id": rounds.start}
    for name in _INFO_COLUMNS:
        column = getattr(obs, name)
        if column is not None:
            info[name] = (
                column[0].astype(np.int8)
                if name == "action_mask"
                else column[0]
                if name == "query_text"
                else int(column[0])
            )
    return info


def feedback_columns(obs: Observation, taken: IntArray, feedback: Feedback) -> list[tuple[str, NDArray[Any]]]:
    columns: list[tuple[str, NDArray[Any]]] = [
        ("prompt_id", obs.prompts.prompt_id[taken]),
        ("expected_reward", feedback.expected_reward),
    ]
    if obs.prompts.text is not None:
        columns.append(("prompt", obs.prompts.text[taken]))
    if feedback.output.embedding is not None:
        columns.append(("output", feedback.output.embedding))
    if feedback.output.text is not None:
        columns.append(("sentence", feedback.output.text))
    return columns


def with_masks(info: dict[str, Any], n: int) -> dict[str, Any]:
    """Gymnasium's vector convention: beside every key, which rows have it. Here all."""
    return info | {f"_{key}": np.ones(n, dtype=bool) for key in info}
