"""Vowpal Wabbit's text files, for `--cb K` and for `--cb_adf` and `--cb_explore_adf`; written a part at a time."""

from __future__ import annotations

from pathlib import Path

from prompt_bandits.datasets.dataset import BanditDataset
from prompt_bandits.exchange.logged import LoggedData, in_parts
from prompt_bandits.exchange.vowpal_reading import (
    Example,
    VowpalRounds,
    naming,
    parse_label,
    read_blocks,
    read_examples,
)
from prompt_bandits.exchange.vowpal_text import COLUMNS, adf_blocks, cb_lines, prompt_texts
from prompt_bandits.types import Prompts


def export_cb_file(data: LoggedData, path: Path) -> None:
    """Writes a line a round. Lost: the prompts, texts, outputs, ids but the key, extras, oracle.

    Args:
        data: rounds with propensities and without masks.
        path: a new file.

    Raises:
        ValueError: unknown propensities, or masks.
    """
    with path.open("w", encoding="ascii") as stream:
        for part in in_parts(data, COLUMNS):
            stream.writelines(cb_lines(part))


def export_adf_file(data: LoggedData, path: Path, *, prompt_features: str = "both") -> None:
    """Writes a block of lines a round. Lost: the prompts' ids and texts, outputs, ids but the key, extras, oracle.

    Args:
        data: rounds with propensities.
        path: a new file.
        prompt_features: "id": a prompt is known by its number only, which keeps the file small; "embedding": by
            its features; "both".

    Raises:
        ValueError: unknown propensities.
    """
    prompts = prompt_texts(data.prompts, prompt_features)
    with path.open("w", encoding="ascii") as stream:
        for part in in_parts(data, COLUMNS):
            stream.writelines(adf_blocks(part, prompts))


def import_cb_file(path: Path, *, prompts: Prompts | int | None = None) -> BanditDataset:
    """Reads labelled lines for `--cb`; others are passed over.

    Args:
        path: the file.
        prompts: the table of prompts, or their number; None: as many as the largest action.

    Raises:
        ValueError: a line that is none, by its number.
    """
    rounds = VowpalRounds()
    for number, line in read_examples(path):
        if line is not None and line.labels:
            with naming(path, number):
                action, cost, probability = parse_label(line.labels[0])
                rounds.add(line.tag, line.namespaces, action - 1, cost, probability)
    return rounds.dataset(prompts)


def import_adf_file(path: Path, *, prompts: Prompts | int | None = None) -> BanditDataset:
    """Reads labelled blocks for `--cb_adf`; others are passed over.

    Args:
        path: the file.
        prompts: the table of prompts, or their number; None: those that the file mentions, with their features.

    Raises:
        ValueError: a line that is none, by its number.
    """
    rounds = VowpalRounds()
    for number, block in read_blocks(path):
        shared = block.pop(0) if block and block[0].shared else Example()
        taken = [(place, line.labels[0]) for place, line in enumerate(block) if line.labels]
        if taken:
            with naming(path, number):
                _, cost, probability = parse_label(taken[0][1])
                offer = [line.namespaces for line in block]
                rounds.add(shared.tag, shared.namespaces, taken[0][0], cost, probability, offer)
    return rounds.dataset(prompts)
