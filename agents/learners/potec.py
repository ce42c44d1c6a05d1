"""POTEC: a cluster by policy gradient, a prompt in it by a reward model."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial

from typing_extensions import Self

from prompt_bandits.policies import EpsilonGreedy

from ..callbacks import Seen
from ..clipping import check_clip
from ..clustering import Clustering, ClusterReward, cluster_prompts
from ..policies import TwoStage
from ..protocols import Callback, LoggedData, QFunction, SamplesOutputs
from ..requirements import check_given
from ..reward_models import RewardTraining, fit_action_reward_model
from ..training import Loss
from ..weights import importance_weight
from .base import PolicyTraining, fit_policy
from .dr import doubly_robust_loss
from .ips import ips_loss
from .model_value import model_value_loss
from .steps import MakeLoss, Step


@dataclass(frozen=True)
class POTEC(PolicyTraining):
    """Two stages: π(a|x) = π1(c(a)|x)·π2(a|x, c(a)), with π1 learned by policy gradient and π2 greedy on a reward
    model (Saito et al., 2024).

    `gradient="dr"` is POTEC: w_c ∇log π1(c_i|x_i)(r_i − q̂(x_i, a_i)) + ∇E_{c~π1}[max_{a∈c} q̂(x_i, a)], with
    w_c = π1(c|x)/Σ_{a∈c}π0(a|x). `"ips"` is its importance-sampling part with q̂ = 0, `"regression"` its model part.
    """

    n_clusters: int = 10
    cluster_by: str = "prompts"  # k-means on their embeddings; "outputs", on their mean logged ones; or "random"
    gradient: str = "dr"  # or "ips", "regression"
    clip: float | None = 200.0
    sampled: bool = False  # one c ~ π1 a round in the model's part, as published, in place of the expectation
    reward_training: RewardTraining = field(default_factory=RewardTraining)  # where fit is given no model
    network: str = "pairwise"  # [x; q; centre] → a number, as published

    @classmethod
    def published(cls) -> Self:
        """The published settings."""
        return cls(reward_training=RewardTraining.published(), sampled=True)

    def __post_init__(self) -> None:
        super().__post_init__()
        check_clip(self.clip)
        for name, known in (("cluster_by", ("prompts", "outputs", "random")), ("gradient", _GRADIENTS)):
            if getattr(self, name) not in known:
                raise ValueError(f"{name}: expected one of {', '.join(known)}, got {getattr(self, name)!r}")
        if self.n_clusters < 1:
            raise ValueError(f"n_clusters: expected >= 1, got {self.n_clusters}")
        if self.kl_to_logging and self.gradient == "regression":
            raise ValueError("kl_to_logging: expected 0 with gradient='regression', which needs no logging policy")

    def fit(
        self,
        data: LoggedData,
        *,
        seed: int,
        simulator: SamplesOutputs | None = None,
        callback: Callback | None = None,
        q_hat: QFunction | None = None,
        clustering: Clustering | None = None,
    ) -> TwoStage:
        """Learns from (context, query, action, reward), the logging policy that the data carries, a reward model and
        clusters; the latter two are made unless given.

        Raises:
            ValueError: no logging policy in the data, or clusters that are not of its prompts.
        """
        check_given(q_hat=q_hat, clustering=clustering)
        if self.gradient != "regression":
            data.require_logging_policies()
        if clustering is None:
            clustering = cluster_prompts(data, self.cluster_by, self.n_clusters, seed=seed)
        clustering.check(data.prompts)
        model = fit_action_reward_model(data, self.reward_training, seed=seed) if q_hat is None else q_hat
        second = EpsilonGreedy(model)
        whole = partial(TwoStage, second_stage=second, clustering=clustering)
        listen = None if callback is None else Seen(callback, whole)
        score = self._make_loss(model, clustering, sampled=False) if self.gradient == "regression" else None
        make_loss = self._make_loss(model, clustering, sampled=self.sampled)
        first = fit_policy(
            self, data, make_loss, name="potec", seed=seed, callback=listen, make_score=score, clustering=clustering
        )
        return whole(first)

    def _make_loss(self, model: QFunction, clustering: Clustering, *, sampled: bool) -> MakeLoss:
        clusters = ClusterReward(model, clustering)
        if self.gradient == "dr":
            return doubly_robust_loss(model, clusters, partial(importance_weight, clip=self.clip), sampled=sampled)
        if self.gradient == "ips":
            return lambda rounds: self._ips
        return model_value_loss(clusters, sampled=sampled)

    def _ips(self, step: Step) -> Loss:
        return ips_loss(step, self.clip)


_GRADIENTS = ("dr", "ips", "regression")
