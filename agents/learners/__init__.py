"""Learners: one a file, each a frozen config with `fit(data, *, seed, simulator=None, callback=None) -> policy`."""

from .actor_critic import ActorCritic
from .behaviour_cloning import BehaviourCloning
from .direct_method import DirectMethod
from .distillation import Distillation
from .dr import DR, SwitchDR
from .dso import DSO
from .greedy import RewardGreedy
from .ips import IPS
from .online import OnlineREINFORCE
from .poem import POEM
from .potec import POTEC
from .sentence_dm import SentenceDM
from .sentence_dr import SentenceDR

__all__ = [
    "DR",
    "DSO",
    "IPS",
    "POEM",
    "POTEC",
    "ActorCritic",
    "BehaviourCloning",
    "DirectMethod",
    "Distillation",
    "OnlineREINFORCE",
    "RewardGreedy",
    "SentenceDM",
    "SentenceDR",
    "SwitchDR",
]
