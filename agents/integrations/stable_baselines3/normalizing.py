"""The running mean and spread of a `VecNormalize`, frozen."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from gymnasium import spaces
from stable_baselines3.common.vec_env import VecNormalize

from prompt_bandits.saving import register_saved
from prompt_bandits.types import FloatArray


@register_saved
@dataclass(frozen=True, eq=False)
class Standardising:
    """clip((x − mean)/scale, −clip, clip), as `VecNormalize.normalize_obs`."""

    mean: FloatArray  # (d,)
    scale: FloatArray  # (d,)
    clip: FloatArray  # (d,); inf where a part is left as it is
    saved_as: ClassVar[str] = "sb3_standardising"

    def __call__(self, features: FloatArray) -> FloatArray:
        """(n, d) float32 to the same."""
        return np.clip((features - self.mean) / self.scale, -self.clip, self.clip).astype(np.float32)

    @classmethod
    def of(cls, normalize: VecNormalize | None, space: Any) -> Standardising | None:
        """What the wrapper does at present; None where there is none, or it leaves observations alone."""
        if normalize is None or not normalize.norm_obs:
            return None
        if not isinstance(space, spaces.Dict):
            return cls._stacked([_part(normalize, normalize.obs_rms)])
        parts = [
            _part(normalize, normalize.obs_rms[name]) if name in (normalize.norm_obs_keys or ()) else _as_it_is(part)
            for name, part in space.spaces.items()
        ]
        return cls._stacked(parts)

    @classmethod
    def _stacked(cls, parts: list[tuple[FloatArray, FloatArray, FloatArray]]) -> Standardising:
        mean, scale, clip = (np.concatenate(columns) for columns in zip(*parts, strict=True))
        return cls(mean, scale, clip)


def _part(normalize: VecNormalize, statistics: Any) -> tuple[FloatArray, FloatArray, FloatArray]:
    mean = statistics.mean.reshape(-1).copy()
    scale = np.sqrt(statistics.var.reshape(-1) + normalize.epsilon)
    return mean, scale, np.full(len(mean), float(normalize.clip_obs))


def _as_it_is(part: spaces.Space[Any]) -> tuple[FloatArray, FloatArray, FloatArray]:
    d = int(spaces.flatdim(part))
    return np.zeros(d), np.ones(d), np.full(d, np.inf)
