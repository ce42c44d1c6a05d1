"""Offline learners and estimators for logged prompt bandits.

`from agents.learners import DSO` and `DSO().fit(data, seed=0, simulator=simulator)`: a learner is a frozen dataclass
that is its own config, and `fit` returns a policy.
"""
