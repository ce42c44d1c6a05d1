"""What a reward model by output expects of a policy, over sentences that the LLM writes for it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from prompt_bandits.types import FloatArray, Observation

from ..protocols import LoggedData
from .chunk import Chunk, unseen_models
from .column import Column
from .models import Models, ModelSpec
from .sentence_draws import WRITER, draws, positions
from .sentence_models import SentenceReward, no_outputs

if TYPE_CHECKING:
    from ..pair_models import OutputReward


@dataclass(frozen=True)
class RSampled(Column):
    """Σ_a π(a|x_i)·E[r̂(x_i, s')] over `n_outputs` sentences that the LLM writes for draws of the policy."""

    model: SentenceReward
    n_outputs: int
    models_reward: ClassVar[bool] = True

    @property
    def needs(self) -> tuple[ModelSpec, ...]:  # type: ignore[override]
        return (self.model, WRITER)

    def refusal(self, data: LoggedData, models: Models) -> str | None:
        return no_outputs(data)

    def of(self, chunk: Chunk) -> FloatArray:
        m, out = self.n_outputs, np.empty(len(chunk))
        for drawn in draws(chunk, chunk.action_dist, m, "baseline"):
            some = chunk.rows.take(drawn.part)
            for rows, model in unseen_models(chunk.models.get(self.model), some):
                output = drawn.output[positions(rows, m)].reshape(len(rows), m, -1)
                out[drawn.part.start + rows] = _mean_reward(model, some.obs.take(rows), output)
        return out


def _mean_reward(model: OutputReward, obs: Observation, output: FloatArray) -> FloatArray:
    """Of outputs (j, m, d_o), (j,); of a model that is affine in the output, its value at their mean."""
    from ..sampling import without_mask
    from ..sentence_value import AffineReward

    j, m, dim = output.shape
    if isinstance(model, AffineReward):
        return model.predict(obs, output.mean(axis=1))
    repeated = without_mask(obs).take(np.repeat(np.arange(j), m))
    return np.asarray(model.predict(repeated, output.reshape(j * m, dim)).reshape(j, m).mean(axis=1))
