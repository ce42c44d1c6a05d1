"""Datasets on the Hugging Face Hub: its own client, against a stand-in for it."""

from __future__ import annotations

import numpy as np
import pytest
from packaging.version import Version

from prompt_bandits import BanditDataset, StoredDataset, collect
from prompt_bandits.datasets import DatasetWriter
from prompt_bandits.exchange.hub import pull_from_hub, push_to_hub
from prompt_bandits.exchange.hub_card import dataset_card
from prompt_bandits.policies import Uniform

from .hub_server import Hub, hub_server

hub = pytest.importorskip("huggingface_hub")
pytest.importorskip("starlette")
pytest.importorskip("uvicorn")
pytestmark = pytest.mark.skipif(Version(hub.__version__) < Version("2"), reason="reads no address but the Hub's own")
SYNTHETIC = "PromptPersonalization-Synthetic-v0"


@pytest.fixture(scope="module")
def server():
    with hub_server() as running:
        yield running


@pytest.fixture
def api(server: Hub):
    server.repositories.clear()
    server.uploaded.clear()
    return hub.HfApi(endpoint=server.url, token="hf_test")


@pytest.fixture
def folder(tmp_path) -> StoredDataset:
    return collect(SYNTHETIC, Uniform(), 300, path=tmp_path / "mine", n_actions=5)


def test_what_is_pushed_comes_back_with_its_content_its_policies_and_its_environment(api, folder, tmp_path) -> None:
    push_to_hub(folder, "me/prompts", api=api)
    pulled = pull_from_hub("me/prompts", tmp_path / "pulled", api=api)
    assert pulled.content_hash() == folder.content_hash()
    assert pulled.policies == (Uniform(),)
    assert pulled.spec == folder.spec
    assert sorted(file.name for file in (tmp_path / "pulled").iterdir()) == sorted(
        ["README.md", "data", "meta", "oracle", "tables"]
    )


def test_rounds_in_memory_are_pushed_too(api, logged, tmp_path) -> None:
    push_to_hub(logged, "me/prompts", api=api)
    back = pull_from_hub("me/prompts", tmp_path / "pulled", api=api).load()
    np.testing.assert_array_equal(back.propensity, logged.propensity)
    np.testing.assert_array_equal(back.oracle["expected_reward"], logged.oracle["expected_reward"])


def test_only_what_the_folder_vouches_for_is_uploaded(api, server, folder) -> None:
    (folder.path / "waiting").mkdir()
    (folder.path / "waiting/secret.arrows").write_text("who has not clicked yet")
    (folder.path / "notes.txt").write_text("mine")
    push_to_hub(folder, "me/prompts", api=api)
    assert sorted(server.uploaded) == sorted(["README.md", "meta/info.json", *folder.manifest.checksums()])


def test_repositories_are_private_unless_asked(api, server, folder) -> None:
    push_to_hub(folder, "me/prompts", api=api)
    push_to_hub(folder, "me/open", private=False, api=api)
    assert server.repositories["me/prompts"].private
    assert not server.repositories["me/open"].private


def test_a_second_push_leaves_no_shard_of_the_first(api, server, folder, tmp_path) -> None:
    shards = []
    with DatasetWriter(tmp_path / "many") as writer:
        for part in range(3):
            writer.append(folder.load().take(slice(100 * part, 100 * part + 100)))
            writer.flush()
            writer.seal()
    push_to_hub(tmp_path / "many", "me/prompts", api=api)
    push_to_hub(folder, "me/prompts", api=api)
    repository = server.repositories["me/prompts"]
    shards = [name for name in repository.commits[repository.branches["main"]] if name.startswith("data/")]
    assert shards == ["data/part-00000.parquet"]
    assert pull_from_hub("me/prompts", tmp_path / "pulled", api=api).content_hash() == folder.content_hash()


def test_a_commit_gives_its_rows_for_good(api, folder, tmp_path) -> None:
    first = push_to_hub(folder, "me/prompts", api=api).oid
    push_to_hub(collect(SYNTHETIC, Uniform(), 10, seed=7, n_actions=5), "me/prompts", api=api)
    assert len(pull_from_hub("me/prompts", tmp_path / "old", revision=first, api=api)) == 300
    assert len(pull_from_hub("me/prompts", tmp_path / "new", api=api)) == 10


def test_a_branch_is_made_if_need_be(api, folder, tmp_path) -> None:
    push_to_hub(folder, "me/prompts", revision="v2", api=api)
    assert len(pull_from_hub("me/prompts", tmp_path / "v2", revision="v2", api=api)) == 300
    with pytest.raises(ValueError, match="me/prompts: expected a dataset that push_to_hub wrote"):
        pull_from_hub("me/prompts", tmp_path / "main", api=api)
    assert not (tmp_path / "main").exists()


def test_a_folder_that_is_written_to_is_not_pushed(api, server, folder, tmp_path) -> None:
    with DatasetWriter(tmp_path / "open") as writer:
        writer.append(folder.load())
        writer.flush()
        with pytest.raises(ValueError, match="300 rows are in an open shard; close its writer"):
            push_to_hub(tmp_path / "open", "me/prompts", api=api)
    assert not server.repositories


def test_a_damaged_file_is_neither_pushed_nor_kept(api, server, folder, tmp_path) -> None:
    push_to_hub(folder, "me/prompts", api=api)
    files = server.repositories["me/prompts"].commits[server.repositories["me/prompts"].branches["main"]]
    files["data/part-00000.parquet"] = files["data/part-00000.parquet"][:-1] + b"?"
    with pytest.raises(ValueError, match=r"part-00000\.parquet: damaged"):
        pull_from_hub("me/prompts", tmp_path / "pulled", api=api)
    assert not (tmp_path / "pulled").exists()
    shard = folder.path / "data/part-00000.parquet"
    content = shard.read_bytes()
    shard.write_bytes(content[:99] + bytes([content[99] ^ 1]) + content[100:])
    with pytest.raises(ValueError, match=r"part-00000\.parquet: damaged"):
        push_to_hub(folder.path, "me/another", api=api)
    assert "me/another" not in server.repositories


def test_a_repository_that_is_not_there_says_so(api, tmp_path) -> None:
    with pytest.raises(hub.errors.RepositoryNotFoundError):
        pull_from_hub("me/nothing", tmp_path / "pulled", api=api)
    assert not (tmp_path / "pulled").exists()


def test_an_occupied_folder_stays(api, folder, tmp_path) -> None:
    push_to_hub(folder, "me/prompts", api=api)
    with pytest.raises(FileExistsError):
        pull_from_hub("me/prompts", folder.path, api=api)
    assert len(pull_from_hub("me/prompts", folder.path, overwrite=True, api=api)) == 300


def test_the_card_has_the_head_that_the_hub_reads(folder) -> None:
    card = hub.DatasetCard(dataset_card(folder, "me/prompts", license="cc-by-4.0"))
    assert card.data.license == "cc-by-4.0"
    assert card.data.size_categories == ["n<1K"]
    assert [config["config_name"] for config in card.data.configs] == ["rounds", "prompts", "oracle"]
    assert "| `propensity` | float64 |" in card.text
    assert "propensities, the probabilities that the actions were drawn with, are known" in card.text
    assert SYNTHETIC in card.text


def test_load_dataset_finds_the_tables_by_the_card(folder, tmp_path, monkeypatch) -> None:
    datasets = pytest.importorskip("datasets")
    monkeypatch.setenv("HF_DATASETS_OFFLINE", "1")
    (folder.path / "README.md").write_text(dataset_card(folder, "me/prompts"))
    for config in ("rounds", "oracle"):
        rows = datasets.load_dataset(str(folder.path), config, split="train", cache_dir=str(tmp_path / "cache"))
        assert len(rows) == 300
    assert (
        "expected_reward"
        not in datasets.load_dataset(
            str(folder.path), "rounds", split="train", cache_dir=str(tmp_path / "cache")
        ).column_names
    )


def test_the_card_of_unknown_propensities_says_so(tmp_path) -> None:
    rows = BanditDataset.from_arrays(np.ones((3, 1)), np.zeros(3, int), np.ones(3), prompts=2)
    card = dataset_card(BanditDataset.open(rows.save(tmp_path / "d")), "me/log")
    assert "are unknown. Logging policies: 0" in card
    assert "oracle" not in card
