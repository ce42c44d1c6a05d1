"""Learners: one a file, each a frozen config with `fit(data, *, seed, simulator=None, callback=None) -> policy`."""

from agents.learners.behaviour_cloning import BehaviourCloning
from agents.learners.direct_method import DirectMethod
from agents.learners.dso import DSO
from agents.learners.ips import IPS

__all__ = ["DSO", "IPS", "BehaviourCloning", "DirectMethod"]
