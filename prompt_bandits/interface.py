"""What the single and the vector environment share: spaces, encoding, and which rounds come next."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

import numpy as np
from gymnasium import spaces
from gymnasium.error import ResetNeeded
from numpy.typing import NDArray

from prompt_bandits.checking import config_from
from prompt_bandits.render import round_cards
from prompt_bandits.rounds import Rounds, RoundStream
from prompt_bandits.simulator import PromptSimulator
from prompt_bandits.text_space import UnicodeText
from prompt_bandits.types import Feedback, IntArray, Observation

_T = TypeVar("_T")
_MAX_SEED = 2**63
INTERFACE_ARGUMENTS = ("flatten_obs", "obs_mode", "action_mode", "render_mode")
_FIELDS = {
    "numeric": ("context", "query"),
    "text": ("query_text",),
    "both": ("context", "query", "query_text"),
}
_LONGEST_QUERY = 4096  # characters of a text observation
_SAMPLED_QUERIES = 64


class BanditInterface:
    """What the single and the vector environment share: spaces, encoding, and which rounds come next."""

    metadata: dict[str, Any]
    _np_random: np.random.Generator | None
    _np_random_seed: Any
    np_random: Any

    def _connect(
        self, simulator: PromptSimulator, flatten_obs: bool, obs_mode: str, action_mode: str, render_mode: str | None
    ) -> tuple[spaces.Space[Any], spaces.Space[Any]]:
        """Stores the settings; returns the observation and the action space of one round."""
        if action_mode not in ("index", "embedding"):
            raise ValueError(f"action_mode: expected 'index' or 'embedding', got {action_mode!r}")
        if obs_mode not in _FIELDS:
            raise ValueError(f"obs_mode: expected one of {', '.join(_FIELDS)}, got {obs_mode!r}")
        if flatten_obs and obs_mode != "numeric":
            raise ValueError(f"flatten_obs: expected False with obs_mode={obs_mode!r}; a text is no row of a Box")
        if render_mode is not None and render_mode not in self.metadata["render_modes"]:
            raise ValueError(
                f"render_mode: expected None or one of {self.metadata['render_modes']}, got {render_mode!r}"
            )
        self.simulator = simulator
        self.flatten_obs, self.obs_mode = flatten_obs, obs_mode
        self.action_mode, self.render_mode = action_mode, render_mode
        self._stream: RoundStream | None = None
        self._stream_generator: np.random.Generator | None = None
        self._observed: tuple[Rounds, Observation] | None = None
        self._obs: Observation | None = None
        self._rounds: Rounds | None = None
        self._finished: tuple[Observation, IntArray, Feedback] | None = None
        return self._observation_space(), self._action_space()

    def _observation_space(self) -> spaces.Space[Any]:
        probe = self.simulator.observe(Rounds(0, 0, _SAMPLED_QUERIES, "probe"))
        self._fields: tuple[str, ...] = ()
        if self.flatten_obs:
            return spaces.Box(-np.inf, np.inf, (probe.features().shape[1],), np.float32)
        shown = {name: getattr(probe, name) for name in _FIELDS[self.obs_mode]}
        if "query_text" in shown and shown["query_text"] is None:
            raise ValueError(f"obs_mode: expected 'numeric' where queries have no text, got {self.obs_mode!r}")
        self._fields = tuple(name for name, column in shown.items() if column is not None)
        return spaces.Dict(
            {
                name: UnicodeText(_LONGEST_QUERY, corpus=dict.fromkeys(shown[name]))
                if name == "query_text"
                else spaces.Box(-np.inf, np.inf, (shown[name].shape[1],), np.float32)
                for name in self._fields
            }
        )

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

    def _columns(self, obs: Observation) -> Any:
        """Fresh arrays, batched: one, or one for each part of the observation."""
        return np.array(obs.features()) if self.flatten_obs else {n: getattr(obs, n).copy() for n in self._fields}

    def _encode(self, obs: Observation) -> Any:
        """The same in the shape of the observation space, where a batch of texts is a tuple."""
        columns = self._columns(obs)
        return columns | {"query_text": tuple(columns["query_text"])} if "query_text" in self._fields else columns

    def _encode_one(self, obs: Observation) -> Any:
        """The same of a single round."""
        if self.flatten_obs:
            return obs.features()[0].copy()
        shown = {name: getattr(obs, name)[0] for name in self._fields}
        return {name: value if isinstance(value, str) else value.copy() for name, value in shown.items()}

    def _info(self, obs: Observation, rounds: Rounds) -> dict[str, Any]:
        """What is known of rounds before anything is played, batched: keys, ids, texts, and the features of users and
        queries that the observation leaves out.
        """
        info: dict[str, Any] = {
            "seed": np.full(len(rounds), rounds.seed, dtype=np.int64),
            "round_id": rounds.round_id.copy(),
        }
        for name in (*_INFO_COLUMNS, *self._left_out):
            column = getattr(obs, name)
            if column is not None:
                info[name] = column.astype(np.int8) if name == "action_mask" else column.copy()
        return info

    def _info_one(self, obs: Observation, rounds: Rounds) -> dict[str, Any]:
        """The same of a single round."""
        info: dict[str, Any] = {"seed": rounds.seed, "round_id": rounds.start}
        for name in (*_INFO_COLUMNS, *self._left_out):
            column = getattr(obs, name)
            if column is not None:
                value = column[0]
                if name == "action_mask":
                    info[name] = value.astype(np.int8)
                elif name == "query_text":
                    info[name] = value
                else:
                    info[name] = int(value) if column.ndim == 1 else value.copy()
        return info

    @property
    def _left_out(self) -> tuple[str, ...]:
        return _FIELDS["numeric"] if self.obs_mode == "text" else ()

    def _open(self, stream: RoundStream, rounds: Rounds, obs: Observation) -> None:
        """The last thing done to a new round, after all that may raise: until then the old one stays open."""
        stream.position += len(rounds)
        self._rounds, self._obs = rounds, obs

    def _cards(self) -> tuple[str, ...]:
        """What render shows: the finished rounds after a step, the open ones after a reset."""
        if self._finished is not None:
            return round_cards(self.simulator, *self._finished)
        return ("no round yet: call reset()",) if self._obs is None else round_cards(self.simulator, self._obs)

    def _current(self) -> tuple[Observation, Rounds]:
        if self._obs is None or self._rounds is None:
            raise ResetNeeded("step: this round is finished (an episode is one step); call reset() for the next one")
        return self._obs, self._rounds


def config_and_interface(cls: type[_T], kwargs: Mapping[str, Any]) -> tuple[_T, dict[str, Any]]:
    """Keyword arguments of an entry point: a config, and what goes to the environment itself.

    Raises:
        TypeError: an unknown argument.
    """
    interface = {name: value for name, value in kwargs.items() if name in INTERFACE_ARGUMENTS}
    others = {name: value for name, value in kwargs.items() if name not in interface}
    return config_from(cls, others, INTERFACE_ARGUMENTS), interface


def first_seed(seed: int | None, generator: np.random.Generator | None) -> int | None:
    """The seed to hand to Gymnasium: the first unseeded reset gets one of 63 bits from the system's entropy."""
    if seed is None and generator is None:
        return int(np.random.SeedSequence().generate_state(1, np.uint64)[0]) >> 1
    if seed is not None and not 0 <= seed < _MAX_SEED:
        raise ValueError(f"seed: expected 0 … 2**63 − 1, got {seed}")
    return None if seed is None else int(seed)


_INFO_COLUMNS = ("action_mask", "user_id", "query_id", "query_text")


def feedback_columns(obs: Observation, taken: IntArray, feedback: Feedback) -> list[tuple[str, NDArray[Any]]]:
    columns: list[tuple[str, NDArray[Any]]] = [
        ("prompt_id", obs.prompts.prompt_id[taken]),
        *feedback.oracle.items(),
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
