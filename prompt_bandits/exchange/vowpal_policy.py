"""A model that Vowpal Wabbit has learnt, as a policy or as a score."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, ClassVar
from weakref import finalize

import numpy as np
from numpy.typing import NDArray
from typing_extensions import Self

from prompt_bandits.exchange.logged import require
from prompt_bandits.exchange.vowpal_text import offered, prompt_texts, question, shared_texts
from prompt_bandits.types import FloatArray, Observation, Prompts


@dataclass(frozen=True, eq=False)
class VowpalModel:
    """A model's file, and what its learner was told of the prompts.

    Args:
        model: (bytes,) u8 the content of the file.
        prompt_features: as in `export_dataset(data, "vw-adf", …)`.

    Raises:
        ImportError: Vowpal Wabbit is not installed; when it is first asked.
        ValueError: of another kind than the class says; when it is first asked.
    """

    model: NDArray[np.uint8]
    prompt_features: str = "both"
    kind: ClassVar[str]  # of predictions, a name of `vowpalwabbit.PredictionType`
    expected: ClassVar[str]  # in words

    @classmethod
    def load_model(cls, file: str | Path, *, prompt_features: str = "both") -> Self:
        """From a file that `vw -f` or `Workspace.save` wrote."""
        return cls(np.fromfile(file, np.uint8), prompt_features)

    def ask(self, obs: Observation) -> Iterator[tuple[Any, FloatArray]]:
        """The prompts on offer and what the model says of them, round after round."""
        workspace, prompts = self._workspace, self._prompt_texts(obs.prompts)
        for row, text in enumerate(shared_texts(obs)):
            offer = offered(obs, row)
            answer = np.array(workspace.predict(question(text, prompts, offer)), np.float64)
            yield (slice(None) if obs.action_mask is None else offer), answer

    @cached_property
    def _workspace(self) -> Any:
        vw = require("vowpalwabbit", "vw", "a Vowpal Wabbit model")
        with TemporaryDirectory() as folder:
            file = Path(folder) / "model.vw"
            self.model.tofile(file)
            workspace = vw.Workspace(arg_list=["-i", str(file), "-t", "--quiet"])
        finalize(self, workspace.finish)  # at the latest before the interpreter takes the library apart
        found = workspace.get_prediction_type()
        if found != getattr(workspace, f"p{self.kind}"):
            raise ValueError(f"model: expected {self.expected}, got {workspace.get_arguments()!r}")
        return workspace

    def _prompt_texts(self, prompts: Prompts) -> list[str]:
        known = self.__dict__.get("_known")  # the table is nearly always the same
        if known is None or known[0] is not prompts:
            known = self.__dict__["_known"] = (prompts, prompt_texts(prompts, self.prompt_features))
        texts: list[str] = known[1]
        return texts


@dataclass(frozen=True, eq=False)
class VowpalPolicy(VowpalModel):
    """What a `--cb_explore_adf` learner would do, with its own probabilities, whatever its exploration is."""

    saved_as: ClassVar[str] = "vowpal_policy"
    kind: ClassVar[str] = "ACTION_PROBS"
    expected: ClassVar[str] = "one learnt with --cb_explore_adf (VowpalScore takes those of --cb_adf)"

    def action_dist(self, obs: Observation) -> FloatArray:
        dist = np.zeros((len(obs), obs.n_actions))
        for row, (offer, probability) in enumerate(self.ask(obs)):
            dist[row, offer] = probability / probability.sum()  # float32, off by 1e-7
        return dist


@dataclass(frozen=True, eq=False)
class VowpalScore(VowpalModel):
    """What a `--cb_adf` learner expects of each prompt, −cost, to make a policy of: `EpsilonGreedy(score, 0.1)`."""

    saved_as: ClassVar[str] = "vowpal_score"
    kind: ClassVar[str] = "ACTION_SCORES"
    expected: ClassVar[str] = "one learnt with --cb_adf (VowpalPolicy takes those of --cb_explore_adf)"

    def scores(self, obs: Observation) -> FloatArray:
        scores = np.zeros((len(obs), obs.n_actions))
        for row, (offer, cost) in enumerate(self.ask(obs)):
            scores[row, offer] = -cost
        return scores
