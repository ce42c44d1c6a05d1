"""What a column is: a number for every round."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar

from prompt_bandits.types import FloatArray

from ..protocols import LoggedData
from .chunk import Chunk
from .models import Models, ModelSpec


class Column(ABC):
    """A number for every round. A frozen dataclass: equal columns are computed once."""

    needs: tuple[ModelSpec, ...] = ()  # models
    models_reward: ClassVar[bool] = False  # whether it predicts rewards, so that an estimate rests on the model

    def refusal(self, data: LoggedData, models: Models) -> str | None:
        """Why it cannot be computed for these rounds; None where it can."""
        return None

    @abstractmethod
    def of(self, chunk: Chunk) -> FloatArray:
        """(k,) of the chunk's rounds."""
