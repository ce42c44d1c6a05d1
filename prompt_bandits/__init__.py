"""Contextual bandits whose action is a prompt: Gymnasium environments, recording, logged data, policies.

Importing registers the environment ids and nothing heavy: no PyTorch, no transformers, no pandas.
"""

from typing import TYPE_CHECKING, Any

from prompt_bandits.registration import register_environments

__version__ = "0.1.0"

_HOMES = {
    "BanditDataset": "prompt_bandits.datasets.dataset",
    "BanditLogger": "prompt_bandits.serving.logger",
    "LogColumns": "prompt_bandits.logs.schema",
    "StoredDataset": "prompt_bandits.datasets.stored",
    "collect": "prompt_bandits.collecting",
    "import_log": "prompt_bandits.logs.importing",
    "RecordBanditDataset": "prompt_bandits.wrappers",
    "RecordBanditDatasetVector": "prompt_bandits.wrappers",
    "PromptBanditEnv": "prompt_bandits.env",
    "PromptBanditVectorEnv": "prompt_bandits.env",
    "PromptSimulator": "prompt_bandits.simulator",
    "Rounds": "prompt_bandits.rounds",
    "Prompts": "prompt_bandits.types",
    "Observation": "prompt_bandits.types",
    "Output": "prompt_bandits.types",
    "act": "prompt_bandits.acting",
    "inspect": "prompt_bandits.datasets.inspecting",
    "load": "prompt_bandits.saving",
    "merge": "prompt_bandits.datasets.merging",
    "recover": "prompt_bandits.datasets.recovery",
    "save": "prompt_bandits.saving",
}

__all__ = [
    "BanditDataset",
    "BanditLogger",
    "LogColumns",
    "Observation",
    "Output",
    "PromptBanditEnv",
    "PromptBanditVectorEnv",
    "PromptSimulator",
    "Prompts",
    "RecordBanditDataset",
    "RecordBanditDatasetVector",
    "Rounds",
    "StoredDataset",
    "__version__",
    "act",
    "collect",
    "import_log",
    "inspect",
    "load",
    "merge",
    "recover",
    "save",
]

if TYPE_CHECKING:
    from prompt_bandits.acting import act
    from prompt_bandits.collecting import collect
    from prompt_bandits.datasets.dataset import BanditDataset
    from prompt_bandits.datasets.inspecting import inspect
    from prompt_bandits.datasets.merging import merge
    from prompt_bandits.datasets.recovery import recover
    from prompt_bandits.datasets.stored import StoredDataset
    from prompt_bandits.env import PromptBanditEnv, PromptBanditVectorEnv
    from prompt_bandits.logs.importing import import_log
    from prompt_bandits.logs.schema import LogColumns
    from prompt_bandits.rounds import Rounds
    from prompt_bandits.saving import load, save
    from prompt_bandits.serving.logger import BanditLogger
    from prompt_bandits.simulator import PromptSimulator
    from prompt_bandits.types import Observation, Output, Prompts
    from prompt_bandits.wrappers import RecordBanditDataset, RecordBanditDatasetVector

register_environments()


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        from importlib import import_module

        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
