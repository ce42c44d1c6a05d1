"""The dataset card that a dataset has on the Hugging Face Hub."""

from __future__ import annotations

import json
from typing import Any

from prompt_bandits.datasets.columns import ORACLE
from prompt_bandits.datasets.stored import StoredDataset
from prompt_bandits.exchange.logged import require

_SIZES = ((1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"), (1_000_000, "100K<n<1M"))
_TEXT = """# {name}

{n_rounds:,} logged rounds of a contextual bandit whose action is a prompt, out of {n_actions:,}: a user with a query
arrives, a policy picks a prompt, a frozen LLM writes a sentence, and the user's reward depends on that sentence.

```python
from datasets import load_dataset

rounds = load_dataset("{repo_id}", "rounds", split="train")  # streaming=True reads it as it comes

from prompt_bandits.exchange import pull_from_hub

data = pull_from_hub("{repo_id}", "data")  # with the logging policies, and checked
```

## Columns

| column | kind |
|---|---|
{columns}

{oracle}## How it was logged

The propensities, the probabilities that the actions were drawn with, are {propensity}. {policies}

{environment}## Summary

```
{summary}
```
"""
_ORACLE = """The configuration `oracle` is for judging; who played did not know it. Learn from `rounds` alone.

"""


def dataset_card(data: StoredDataset, repo_id: str, *, license: str | None = None) -> str:
    """A README with the head that the Hub reads: configurations, size, tags, license.

    Args:
        data: the folder.
        repo_id: where it will be.
        license: a name of the Hub's.

    Raises:
        ImportError: huggingface_hub is not installed.
    """
    hub = require("huggingface_hub", "hub", "a dataset card")
    head = hub.DatasetCardData(
        license=license,
        pretty_name=repo_id.split("/")[-1],
        size_categories=[next((name for most, name in _SIZES if len(data) < most), "n>1M")],
        tags=["contextual-bandits", "off-policy-evaluation", "off-policy-learning", "prompt-bandits"],
        configs=_configs(data),
    )
    return f"---\n{head.to_yaml()}\n---\n\n{_text(data, repo_id)}"


def _configs(data: StoredDataset) -> list[dict[str, Any]]:
    configs: list[dict[str, Any]] = [
        {"config_name": "rounds", "data_files": "data/*.parquet", "default": True},
        {"config_name": "prompts", "data_files": data.manifest.actions},
    ]
    if _has_oracle(data):
        configs.append({"config_name": "oracle", "data_files": "oracle/*.parquet"})
    return configs


def _text(data: StoredDataset, repo_id: str) -> str:
    n = len(data.manifest.policies)
    saved = sum(policy.saved for policy in data.manifest.policies)
    spec = "" if data.spec is None else f"```json\n{json.dumps(data.spec, indent=1)}\n```\n\n"
    return _TEXT.format(
        name=repo_id.split("/")[-1],
        repo_id=repo_id,
        n_rounds=len(data),
        n_actions=data.n_actions,
        columns="\n".join(f"| `{name}` | {kind} |" for name, kind in sorted(data.manifest.columns.items())),
        oracle=_ORACLE if _has_oracle(data) else "",
        propensity="known" if "propensity" in data.columns else "unknown",
        policies=f"Logging policies: {n}, of which {saved} can be loaded.",
        environment=f"The environment:\n\n{spec}" if spec else "",
        summary=data.summary(),
    )


def _has_oracle(data: StoredDataset) -> bool:
    return any(name.startswith(ORACLE) for name in data.columns)
