"""Rounds to and from the formats of other libraries: one small file each, whose libraries are imported when needed."""

from prompt_bandits.exchange.d3rlpy import from_d3rlpy, to_d3rlpy
from prompt_bandits.exchange.formats import FORMATS, Format, export_dataset, import_dataset
from prompt_bandits.exchange.hub import pull_from_hub, push_to_hub
from prompt_bandits.exchange.huggingface import from_huggingface, to_huggingface
from prompt_bandits.exchange.minari import from_minari, to_minari
from prompt_bandits.exchange.obp import from_obp, to_obp
from prompt_bandits.exchange.pandas_frames import from_pandas, to_pandas
from prompt_bandits.exchange.preferences import to_preferences
from prompt_bandits.exchange.scope_rl import from_scope_rl, to_scope_rl
from prompt_bandits.exchange.trl import to_prompt_completion

__all__ = [
    "FORMATS",
    "Format",
    "export_dataset",
    "from_d3rlpy",
    "from_huggingface",
    "from_minari",
    "from_obp",
    "from_pandas",
    "from_scope_rl",
    "import_dataset",
    "pull_from_hub",
    "push_to_hub",
    "to_d3rlpy",
    "to_huggingface",
    "to_minari",
    "to_obp",
    "to_pandas",
    "to_preferences",
    "to_prompt_completion",
    "to_scope_rl",
]
