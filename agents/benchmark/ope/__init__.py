"""Estimators of policy values judged in synthetic worlds, as one command: `prompt-bandits ope-benchmark`."""
