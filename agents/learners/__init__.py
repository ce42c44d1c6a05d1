"""Learners: one a file, each a frozen config with `fit(data, *, seed, simulator=None, callback=None) -> policy`."""

from .behaviour_cloning import BehaviourCloning
from .direct_method import DirectMethod
from .dso import DSO
from .ips import IPS

__all__ = ["DSO", "IPS", "BehaviourCloning", "DirectMethod"]
