"""The fitted models that estimators look at: given, or fitted when an estimator asks for them."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, runtime_checkable

import numpy as np

from prompt_bandits.datasets import BanditDataset
from prompt_bandits.protocols import Policy
from prompt_bandits.types import FloatArray, IntArray

from ..protocols import Density, LoggedData, QFunction, SamplesOutputs
from .refusing import Refused

if TYPE_CHECKING:
    from ..pair_models import OutputReward
    from ..propensity import PropensityModel, PropensityTraining
    from ..reward_training import RewardTraining


@runtime_checkable
class ModelSpec(Hashable, Protocol):
    """Which model, and how it is fitted; a frozen dataclass. Equal ones are fitted once and shared."""

    name: ClassVar[str]  # in the arguments of `evaluate`, if it may be given there
    of_policy: ClassVar[bool]  # whether it is another one for another policy

    def fit(self, fitter: Fitter) -> Any:
        """The model. Raises a ValueError where it cannot be fitted: estimators that need it are then refused."""
        ...


@dataclass(frozen=True, eq=False)
class Models:
    """What was given, and what was fitted."""

    q_hat: QFunction | None = None
    r_hat: OutputReward | None = None
    density: Density | None = None
    simulator: SamplesOutputs | None = None
    propensity: PropensityModel | None = None  # in place of the logged propensities, where there is one
    fitted: Mapping[ModelSpec, Any] = field(default_factory=dict)

    def has(self, spec: ModelSpec) -> bool:
        """Whether it was given or fitted."""
        return getattr(self, spec.name, None) is not None or spec in self.fitted

    def get(self, spec: ModelSpec) -> Any:
        """The model.

        Raises:
            Refused: it was neither given nor fitted.
        """
        given = getattr(self, spec.name, None)
        if given is None and spec not in self.fitted:
            raise Refused(f"{spec.name}: needed here, but neither given nor fitted")
        return self.fitted[spec] if given is None else given

    def for_other_policies(self) -> Models:
        """Without the models that were fitted for one policy."""
        return replace(self, fitted={spec: model for spec, model in self.fitted.items() if not spec.of_policy})


class Fitter:
    """Fits the models that are missing, each once.

    Args:
        data: what they are fitted to.
        policy: the policy that is evaluated, for the models that depend on it.
        models: those that there are.
        folds: of cross-fitting.
        seed: of folds, weights and minibatches.
        memory_mb: what rounds may take in memory.
        training: of reward models; their defaults with None.
        propensity_training: of propensities; likewise.
    """

    def __init__(
        self,
        data: LoggedData,
        policy: Policy,
        models: Models,
        *,
        folds: int = 5,
        seed: int = 0,
        memory_mb: int = 256,
        training: RewardTraining | None = None,
        propensity_training: PropensityTraining | None = None,
    ) -> None:
        self.data, self.policy, self.models = data, policy, models
        self.folds, self.seed, self.memory_mb = folds, seed, memory_mb
        self.training, self.propensity_training = training, propensity_training

    def get(self, spec: ModelSpec) -> Any:
        """The model, fitted if need be. Raises a ValueError where it cannot be."""
        if not self.models.has(spec):
            model = spec.fit(self)
            self.models = replace(self.models, fitted={**self.models.fitted, spec: model})
        return self.models.get(spec)

    def rounds(self) -> BanditDataset:
        """The rounds in memory; of a folder that is too large as many as fit, at random.

        Cross-fitted models know by a round's key who has not seen it, so the others can be asked about all the same.
        """
        from ..segments import in_memory

        return in_memory(self.data, self.memory_mb, self.seed)


@dataclass(frozen=True)
class QHat:
    """q̂(x, a) by regression on the logged rounds, cross-fitted."""

    name: ClassVar[str] = "q_hat"
    of_policy: ClassVar[bool] = False

    def fit(self, fitter: Fitter) -> QFunction:
        from ..cross_fitting import cross_fit_action_reward_model

        return cross_fit_action_reward_model(fitter.rounds(), fitter.training, folds=fitter.folds, seed=fitter.seed)


@dataclass(frozen=True)
class RHat:
    """r̂(x, o) by regression on the logged rounds, cross-fitted."""

    name: ClassVar[str] = "r_hat"
    of_policy: ClassVar[bool] = False

    def fit(self, fitter: Fitter) -> OutputReward:
        from ..cross_fitting import cross_fit_output_reward_model

        return cross_fit_output_reward_model(fitter.rounds(), fitter.training, folds=fitter.folds, seed=fitter.seed)


@dataclass(frozen=True)
class EstimatedPropensities:
    """π̂0, the logging policy as the logged rounds show it, cross-fitted and calibrated."""

    name: ClassVar[str] = "propensity"
    of_policy: ClassVar[bool] = False

    def fit(self, fitter: Fitter) -> PropensityModel:
        from ..propensity import fit_propensity_model

        return fit_propensity_model(fitter.rounds(), fitter.propensity_training, folds=fitter.folds, seed=fitter.seed)


@dataclass(frozen=True)
class LoggerShares:
    """n_l/n, the share of the rounds that each logging policy of the data logged: (L,)."""

    name: ClassVar[str] = "logger_shares"
    of_policy: ClassVar[bool] = False

    def fit(self, fitter: Fitter) -> FloatArray:
        data = fitter.data
        count = np.zeros(max(1, len(data.policies)))
        for ids in _logger_numbers(data):
            count += np.bincount(ids, minlength=len(count))
        return np.asarray(count / count.sum())


def _logger_numbers(data: LoggedData) -> Iterator[IntArray]:
    if isinstance(data, BanditDataset):
        yield np.zeros(len(data), np.int64) if data.policy_id is None else data.policy_id
    else:
        yield from (columns["policy_id"] for columns in data.columns_in_batches(("policy_id",)))


Q_HAT, R_HAT, LOGGER_SHARES = QHat(), RHat(), LoggerShares()
