"""Offline learners for logged prompt bandits.

`from agents.learners import DSO` and `DSO().fit(data, seed=0, simulator=simulator)`: a learner is a frozen dataclass
that is its own config, and `fit` returns a policy.
"""

PROJECT = "prompt_bandits"
"""Whose `agents` this is: others have a package of that name too."""
