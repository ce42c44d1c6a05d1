"""Vowpal Wabbit's JSON lines, `--dsjson`: a decision a line, written a part at a time.

Its arrays address the same weights as the numbered features of vowpal_text, so a learner may read either.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from prompt_bandits.checking import check_choice
from prompt_bandits.datasets.dataset import BanditDataset
from prompt_bandits.exchange.logged import LoggedData, in_parts
from prompt_bandits.exchange.vowpal_features import Features
from prompt_bandits.exchange.vowpal_reading import VowpalRounds, naming
from prompt_bandits.exchange.vowpal_text import COLUMNS, PROMPT_FEATURES, cost_of, offered, tag
from prompt_bandits.types import FloatArray, Observation, Prompts


def export_file(data: LoggedData, path: Path, *, prompt_features: str = "both") -> None:
    """Writes a decision a line. `a` and `p` name all prompts on offer and the logging policy's probabilities where the
    data carries it, else the one that was taken. Lost: the prompts' ids and texts, outputs, ids but the key, extras,
    oracle.

    Args:
        data: rounds with propensities.
        path: a new file.
        prompt_features: "id", "embedding" or "both", as in `vw-adf`.

    Raises:
        ValueError: unknown propensities.
    """
    prompts = _prompts(data.prompts, prompt_features)
    columns = data.learnable_columns() if not isinstance(data, BanditDataset) and data.policies else COLUMNS
    with path.open("w", encoding="ascii") as stream:
        for part in in_parts(data, columns):
            stream.writelines(_lines(part, prompts))


def import_file(path: Path, *, prompts: Prompts | int | None = None) -> BanditDataset:
    """Reads decisions; lines without one, and features whose names begin with `_`, are passed over.

    Args:
        path: the file.
        prompts: the table of prompts, or their number; None: those that the file mentions, with their features.

    Raises:
        ValueError: a line that is no decision, by its number.
    """
    rounds = VowpalRounds()
    with path.open(encoding="utf-8") as stream:
        for number, line in enumerate(stream, 1):
            with naming(path, number):
                decision = json.loads(line) if line.strip() else {}
                if "_label_cost" in decision:
                    _add(rounds, decision)
    return rounds.dataset(prompts)


def _lines(rows: BanditDataset, prompts: list[str]) -> Iterator[str]:
    propensity = rows.require_propensity()
    logging = rows.logging_dist() if rows.policies else None
    for row, shared in enumerate(_shared(rows.obs)):
        offer = list(offered(rows.obs, row))
        place, p = offer.index(rows.action[row]), float(propensity[row])
        others = [] if logging is None else [i for i in range(len(offer)) if i != place]
        label = {
            "_label_cost": cost_of(float(rows.reward[row])),
            "_label_probability": p,
            "_label_Action": place + 1,
            "_labelIndex": place,
            "Version": "1",
            "EventId": tag(rows, row).removeprefix("'"),
            "a": [place + 1, *(i + 1 for i in others)],
            "p": [p, *(float(logging[row, offer[i]]) for i in others if logging is not None)],
        }
        multi = ",".join([prompts[a] for a in offer])
        yield f'{_json(label)[:-1]},"c":{{{shared},"_multi":[{multi}]}}}}\n'


def _shared(obs: Observation) -> Iterator[str]:
    for row in range(len(obs)):
        context = f'"x":{_numbers(obs.context[row])}'
        yield context if obs.query is None else f'{context},"q":{_numbers(obs.query[row])}'


def _prompts(prompts: Prompts, features: str) -> list[str]:
    check_choice("prompt_features", features, PROMPT_FEATURES)
    ids = [f'"a":{{"{i}":1}}' for i in range(len(prompts))]
    embeddings = [f'"e":{_numbers(row)}' for row in prompts.embedding]
    both = [f"{a},{e}" for a, e in zip(ids, embeddings, strict=True)]
    return [f"{{{text}}}" for text in {"id": ids, "embedding": embeddings, "both": both}[features]]


def _numbers(values: FloatArray) -> str:
    """A list, in the shortest digits that give the same float32."""
    return f"[{','.join(np.asarray(values, np.float32).astype(str).tolist())}]"


def _json(values: dict[str, Any]) -> str:
    return json.dumps(values, separators=(",", ":"))


def _add(rounds: VowpalRounds, decision: Mapping[str, Any]) -> None:
    context = decision.get("c")
    offer = context.get("_multi") if isinstance(context, dict) else None
    if not isinstance(context, dict) or not isinstance(offer, list) or not offer:
        raise ValueError("c: expected an object with a list _multi of the prompts on offer")
    place = int(decision["_labelIndex"]) if "_labelIndex" in decision else int(decision.get("_label_Action", 0)) - 1
    if not 0 <= place < len(offer):
        raise ValueError(f"_labelIndex: expected in 0 … {len(offer) - 1}, or _label_Action from 1, got {place}")
    if "_label_probability" not in decision:
        raise ValueError("_label_probability: expected a number, got none")
    rounds.add(
        str(decision.get("EventId", "")),
        _namespaces({name: value for name, value in context.items() if name != "_multi"}),
        place,
        float(decision["_label_cost"]),
        float(decision["_label_probability"]),
        [_namespaces(prompt) for prompt in offer],
    )


def _namespaces(values: Mapping[str, Any]) -> dict[str, Features]:
    """Objects and arrays are namespaces; what stands beside them is in the one without a name."""
    found: dict[str, Features] = {}
    for name, value in values.items():
        if isinstance(value, (dict, list)) and not name.startswith("_"):
            found.setdefault(name, []).extend(_features(value))
    loose = {name: value for name, value in values.items() if not isinstance(value, (dict, list))}
    return found | {"": _features(loose)} if loose else found


def _features(values: Mapping[str, Any] | list[Any]) -> Features:
    """Numbers as they are, texts as `name^text`, true as 1."""
    features: Features = []
    items = enumerate(values) if isinstance(values, list) else values.items()
    for name, value in items:
        if str(name).startswith("_") or value is None:
            continue
        if isinstance(value, str):
            features.append((f"{name}^{value}", 1.0))
        elif isinstance(value, (int, float)):
            features.append((str(name), float(value)))
        elif isinstance(value, (dict, list)):  # a namespace within
            features += [(f"{name}^{inner}", number) for inner, number in _features(value)]
    return features
