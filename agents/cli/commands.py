"""The commands by name, in groups. Modules are found when they are used, so that this list costs nothing to import."""

from __future__ import annotations

import keyword
from importlib import import_module
from types import ModuleType

STAGES = {
    "logging-policy": "stage 1 alone: make the logging policy, of a reward model (in movie of an online policy)",
    "logged-data": "stage 2 alone: play rounds of the logging policy, fit reward models by action and by output",
    "density": "stage 3 alone: fit the density of outputs, for the methods that divide by it",
    "policy": "stage 4 alone: learn policies, with their learning curves",
    "policy-value": "stage 5 alone: judge policies by their exact value",
}
GROUPS = {
    "Environments": {
        "make": "show an environment: spaces, arguments, what policies earn, a few rounds",
        "play": "be the policy yourself, in the terminal",
    },
    "Logged data": {
        "record": "play rounds of an environment with a policy, into a folder",
        "inspect": "what is in a folder of logged rounds: summary, checks, rounds as text, plots",
        "export": "logged rounds to another format, for other libraries",
        "import": "logged rounds from another format",
        "recover": "put a folder in order whose writer died",
    },
    "Learning and judging": {
        "train": "learn a policy from a folder of logged rounds",
        "evaluate": "is a policy better than the one that logged? from a folder of logged rounds, with a report",
    },
    "Benchmarks": {
        "benchmark": "run methods × values × worlds (or datasets × optimisers), or go on with such a run",
        **STAGES,
        "ope-benchmark": "judge estimators of policy values in worlds where the truth is known",
        "report": "write tables, plots and the report of a run anew from its cells",
    },
    "Further": {
        "build-movie-assets": "build the assets of MovieDescription-v0, the package's own or from a MovieLens folder",
        "completion": "print the script that completes these commands in a shell",
    },
}
COMMANDS = {name: about for group in GROUPS.values() for name, about in group.items()}
GO_ON = {*STAGES, "benchmark", "ope-benchmark", "build-movie-assets"}
"""Which go on from where they were when they are given again."""


def module_of(command: str) -> ModuleType:
    """Where `Args` and `run(args)` of a command are."""
    name = "stage_command" if command in STAGES else command.replace("-", "_")
    return import_module(f".{name}_" if keyword.iskeyword(name) else f".{name}", __package__)
