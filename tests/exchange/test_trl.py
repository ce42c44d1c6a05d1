"""Prompts with completions and rewards, and pairs of which one earned more: by hand, and taken by TRL's trainers."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from prompt_bandits import BanditDataset, Prompts
from prompt_bandits.exchange import export_dataset, to_preferences, to_prompt_completion
from prompt_bandits.types import Observation, Output, text_array

PROMPTS = Prompts.from_embedding(np.eye(2), ["brief", "kind"])
#             user  query action  sentence reward
ROUNDS = [
    (1, "cat", 0, "s0", 1.0),
    (1, "cat", 1, "s1", 3.0),
    (2, "cat", 0, "s2", 9.0),  # alone with its query
    (1, "dog", 0, "s3", 5.0),
    (1, "cat", 0, "s4", 2.0),
    (1, "dog", 1, "s5", 5.0),  # no better than s3
    (1, "cat", 1, "s6", 0.5),
    (1, "cat", 0, "s7", 2.0),
]
USER, QUERY, ACTION, SENTENCE, REWARD = (list(column) for column in zip(*ROUNDS, strict=True))
DATA = BanditDataset(
    Observation(np.zeros((8, 1), np.float32), PROMPTS, user_id=np.array(USER), query_text=text_array(QUERY)),
    np.array(ACTION),
    np.array(REWARD),
    output=Output(text=text_array(SENTENCE)),
    extras={"tone": text_array(["warm"] * 8)},
)


def test_a_row_is_what_was_asked_written_and_earned() -> None:
    columns = to_prompt_completion(DATA)
    assert columns["prompt"][:2] == ["brief\n\ncat", "kind\n\ncat"]
    assert (columns["completion"], columns["reward"]) == (SENTENCE, REWARD)


def test_prompts_can_be_what_is_written() -> None:
    columns = to_prompt_completion(DATA, completion="prompt", template="{user_id} asks in a {tone} voice: {query}")
    assert columns["prompt"][2] == "2 asks in a warm voice: cat"
    assert columns["completion"][:2] == ["brief", "kind"]


def test_labels_say_which_rewards_are_good() -> None:
    assert to_prompt_completion(DATA, good=3)["label"] == [reward >= 3 for reward in REWARD]


def test_pairs_are_the_best_with_the_worst_of_one_user_and_query() -> None:
    """User 1 and cat: 3 (s1), 2 (s4), 2 (s7), 1 (s0), 0.5 (s6); s1 with s6, s4 with s0, s7 in the middle with none."""
    columns = to_preferences(DATA)
    assert columns == {
        "prompt": ["cat", "cat"],
        "chosen": ["s1", "s4"],
        "rejected": ["s6", "s0"],
        "chosen_reward": [3.0, 2.0],
        "rejected_reward": [0.5, 1.0],
    }


def test_pairs_of_prompts_say_which_prompt_was_better() -> None:
    columns = to_preferences(DATA, completion="prompt")  # s1 and s6 had the same prompt, s4 and s0 too
    assert columns["chosen"] == []
    other = replace(DATA, action=np.array([1, 1, 0, 0, 0, 1, 0, 0]))
    columns = to_preferences(other, completion="prompt", template="{user_id}: {query}")
    assert (columns["prompt"], columns["chosen"], columns["rejected"]) == (
        ["1: cat", "1: cat"],
        ["kind", "brief"],
        ["brief", "kind"],
    )


def test_pairs_differ_by_more_than_the_margin() -> None:
    assert to_preferences(DATA, margin=0.99)["chosen"] == ["s1", "s4"]
    assert to_preferences(DATA, margin=1.0)["chosen"] == ["s1"]


def test_without_ids_users_are_told_apart_by_context_and_queries_by_features() -> None:
    obs = Observation(
        np.array([[1.0], [1], [2], [1]], np.float32), PROMPTS, query=np.array([[0.0], [0], [0], [1]], np.float32)
    )
    data = BanditDataset(obs, np.zeros(4, int), np.arange(4.0), output=Output(text=text_array("abcd")))
    columns = to_preferences(data, template="Write.")
    assert (columns["prompt"], columns["chosen"], columns["rejected"]) == (["Write."], ["b"], ["a"])


def test_files_hold_the_columns_and_a_folder_gives_the_same(tmp_path) -> None:
    DATA.save(tmp_path / "data")
    stored = BanditDataset.open(tmp_path / "data")
    for name, columns in (("trl", to_prompt_completion(DATA)), ("preferences", to_preferences(DATA))):
        rows = [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
        for number, data in enumerate((DATA, stored)):
            file = export_dataset(data, name, tmp_path / f"{name}{number}.jsonl")
            assert [json.loads(line) for line in file.read_text().splitlines()] == rows


@pytest.mark.parametrize(
    ("call", "told"),
    [
        (lambda: to_prompt_completion(replace(DATA, output=None)), "sentence: expected texts of what the LLM wrote"),
        (lambda: to_prompt_completion(DATA, completion="answer"), "completion: expected one of sentence, prompt, got"),
        (lambda: to_prompt_completion(DATA, template="{qery}"), r"template: expected some of tone, .*, got \{qery\}"),
        (lambda: to_prompt_completion(DATA, template="{query.__class__}"), r"got \{query.__class__\}"),
        (lambda: to_preferences(DATA, template="{prompt}"), r"template: expected no \{prompt\}"),
        (lambda: to_preferences(DATA, margin=-1), "margin: expected at least 0, got -1"),
    ],
)
def test_what_cannot_be_made_is_told(call, told) -> None:
    with pytest.raises(ValueError, match=told):
        call()


def test_synthetic_rounds_without_texts_are_refused(logged) -> None:
    with pytest.raises(ValueError, match="sentence: expected texts"):
        to_preferences(logged)


def test_files_are_read_by_datasets_with_the_columns_of_trl(tmp_path, monkeypatch) -> None:
    datasets = pytest.importorskip("datasets")
    file = export_dataset(DATA, "preferences", tmp_path / "pairs.jsonl")
    read = datasets.load_dataset("json", data_files=str(file), split="train", cache_dir=str(tmp_path / "cache"))
    assert read["chosen"][:] == ["s1", "s4"]
    assert set(read.column_names) >= {"prompt", "chosen", "rejected"}


@pytest.mark.slow
def test_the_real_trainers_take_the_files(tmp_path) -> None:
    trl = pytest.importorskip("trl")
    from datasets import Dataset
    from llm_models import save_tiny_model

    model = save_tiny_model(tmp_path / "model")
    common = {"max_steps": 1, "per_device_train_batch_size": 2, "report_to": "none", "use_cpu": True, "bf16": False}
    pairs = Dataset.from_dict(to_preferences(DATA))
    for trainer, config in ((trl.DPOTrainer, trl.DPOConfig), (trl.RewardTrainer, trl.RewardConfig)):
        settings = config(output_dir=str(tmp_path / "out"), max_length=32, **common)
        assert np.isfinite(trainer(model=str(model), args=settings, train_dataset=pairs).train().training_loss)
    settings = trl.SFTConfig(output_dir=str(tmp_path / "out"), max_length=32, **common)
    rows = Dataset.from_dict(to_prompt_completion(DATA, good=3))
    assert np.isfinite(trl.SFTTrainer(model=str(model), args=settings, train_dataset=rows).train().training_loss)
    settings = trl.KTOConfig(output_dir=str(tmp_path / "out"), max_length=32, **common)
    assert np.isfinite(trl.KTOTrainer(model=str(model), args=settings, train_dataset=rows).train().training_loss)
