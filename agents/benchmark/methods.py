"""The benchmark's methods by name.

Learners are named by their class and found when they are used, so that this list costs nothing to import.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Method:
    """What one column of the benchmark is.

    Args:
        name: in commands and files.
        label: in tables and plots.
        learner: a class of `agents.learners`; "" for a baseline, whose name says what it is.
        fields: of the learner, where they differ from what it starts from.
        published: start from the learner's `published()` settings.
        wants: fitted models of the world that its `fit` is given: q_hat, r_hat, density, teacher.
        online: learns from the environment itself, not from the log.
        samples: may sample the frozen LLM.
        ours: has no published settings.
    """

    name: str
    label: str
    learner: str = ""
    fields: Mapping[str, Any] = field(default_factory=dict)
    published: bool = False
    wants: tuple[str, ...] = ()
    online: bool = False
    samples: bool = True
    ours: bool = False

    @property
    def seeds(self) -> tuple[str, ...]:
        """The seeds beside the world's that its policy depends on, as fields of Experiment."""
        if not self.learner:
            return ()
        return ("fit_seed",) if self.online else ("data_seed", "fit_seed")


_BASELINES = (
    Method("no_prompt", "No prompt"),
    Method("uniform", "Uniform"),
    Method("logging", "Logging policy"),
    Method("optimal", "Optimal"),
)
_PUBLISHED = (
    Method("online_reinforce", "Online REINFORCE", "OnlineREINFORCE", online=True),
    Method("regression", "Regression", "DirectMethod", published=True, wants=("q_hat",)),
    Method("regression_greedy", "Regression, greedy", "RewardGreedy", wants=("q_hat",)),
    Method("ips", "IPS", "IPS"),
    Method("dr", "DR", "DR", published=True, wants=("q_hat",)),
    Method("potec", "POTEC", "POTEC", published=True, wants=("q_hat",)),
    Method("dso", "DSO", "DSO", wants=("density",)),
)
_OURS = (
    Method("sentence_dm", "Sentence DM", "SentenceDM", ours=True),
    Method("sentence_dr", "Sentence DR", "SentenceDR", wants=("density",), ours=True),
)


def _potec(name: str, label: str, **changed: Any) -> Method:
    return Method(name, f"POTEC, {label}", "POTEC", changed, published=True, wants=("q_hat",))


def _dso(name: str, label: str, **changed: Any) -> Method:
    return Method(name, f"DSO, {label}", "DSO", changed, wants=("density",))


_MANY_DRAWS = {"n_inner": 64, "density_by": "monte_carlo"}  # where few of many prompts write what was logged
_FURTHER = (
    Method("actor_critic", "Actor-critic, online", "ActorCritic", online=True),
    Method("online_mean", "Online REINFORCE, mean baseline", "OnlineREINFORCE", {"baseline": "mean"}, online=True),
    Method("direct_method", "Direct method, exact", "DirectMethod", wants=("q_hat",)),
    Method("snips", "SNIPS", "IPS", {"self_normalised": True}),
    Method("poem", "POEM", "POEM"),
    Method("switch_dr", "Switch-DR", "SwitchDR", wants=("q_hat",)),
    _potec("potec_ips", "IPS gradient", gradient="ips"),
    _potec("potec_regression", "regression gradient", gradient="regression"),
    _potec("potec_outputs", "clusters by output", cluster_by="outputs"),
    _potec("potec_random", "random clusters", cluster_by="random"),
    _dso("dso_dr", "control variate", control_variate=True),
    _dso("dso_exact", "exact expectation", expectation="exact"),
    _dso("dso_64_draws", "64 draws", **_MANY_DRAWS),
    _dso("dso_dr_64_draws", "64 draws, control variate", control_variate=True, **_MANY_DRAWS),
    _dso("dso_snips", "self-normalised", self_normalised=True),
    Method("dso_logged", "DSO, logged data only", "DSO", samples=False),
    Method("behaviour_cloning", "Behaviour cloning", "BehaviourCloning"),
    Method("distillation", "Distillation of the optimal policy", "Distillation", wants=("teacher",)),
)

METHODS = {method.name: method for method in (*_BASELINES, *_PUBLISHED, *_OURS, *_FURTHER)}
"""By name. Those after ours are no columns unless asked for."""
