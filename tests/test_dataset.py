"""Datasets: what is refused, what is kept, what comes back from disk."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from hashlib import sha256

import numpy as np
import pyarrow.parquet as pq
import pytest
from test_recording import assert_same_rows

from agents.reward_models import RewardTraining, fit_action_reward_model
from prompt_bandits import BanditDataset, Prompts, collect
from prompt_bandits.policies import Softmax, Uniform
from prompt_bandits.types import Observation, Output, text_array


def three_rows(**changes) -> BanditDataset:
    columns = {
        "context": np.arange(6).reshape(3, 2),
        "action": np.array([0, 1, 1]),
        "reward": np.array([1.0, 0.0, 2.0]),
        "prompts": 2,
        "propensity": np.array([0.5, 0.25, 1.0]),
    }
    return BanditDataset.from_arrays(**(columns | changes))


def test_from_arrays_numbers_the_rounds_and_casts_to_the_documented_types() -> None:
    data = three_rows()
    assert len(data) == 3
    assert data.n_actions == 2
    assert data.round_id.tolist() == [0, 1, 2]
    assert data.obs.context.dtype == np.float32
    assert "context (3, 2)" in repr(data)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"reward": np.ones(2)}, "reward: expected 3 rows, one an action, got 2"),
        ({"context": np.ones((4, 2))}, "context: expected 3 rows"),
        ({"context": np.ones(3)}, r"context: expected shape \(n, d_x\)"),
        ({"action": np.array([0, 2, 1])}, "action: expected integers in 0 … 1, got 2 in row 1"),
        ({"action": np.array([0.0, 1.0, 1.0])}, "action: expected integers, got float64"),
        ({"reward": np.array([0, np.nan, 1])}, "reward: expected finite numbers, got nan in row 1"),
        ({"context": np.array([[0, 1], [2, 3], [np.inf, 0]])}, "context: expected finite numbers, .* in row 2"),
        ({"propensity": np.array([0.5, 0.0, 1])}, r"propensity: expected values in \(0, 1\], got 0.0 in row 1"),
        ({"propensity": np.array([0.5, 0.1, 1.01])}, r"got 1.01 in row 2"),
        ({"propensity": np.array([0.5, np.nan, 1])}, r"got nan in row 1"),
        ({"output": np.full((3, 2), np.nan)}, "output: expected finite numbers"),
        ({"reward": np.ones((3, 1))}, r"reward: expected shape \(n,\), got \(3, 1\)"),
        ({"action": np.ones((3, 1), int)}, r"action: expected shape \(n,\)"),
        ({"query": np.ones(3)}, r"query: expected shape \(n, d\), got \(3,\)"),
        ({"context": np.ones((3, 0))}, r"context: expected shape \(n, d\), got \(3, 0\)"),
        ({"action_mask": [[True, False]] * 3}, "the row's action_mask allows, got 1 in row 1"),
        ({"extras": {"group": np.zeros(2)}}, r"extras\['group'\]: expected 3 rows"),
        (
            {"policies": (Uniform(),), "policy_id": np.array([0, 1, 0])},
            "policy_id: expected indices in 0 … 0, got 0 … 1",
        ),
    ],
)
def test_bad_columns_are_named(changes, message) -> None:
    with pytest.raises(ValueError, match=message):
        three_rows(**changes)


def test_a_masked_action_is_refused() -> None:
    data = three_rows()
    mask = np.array([[True, False], [True, False], [True, True]])
    with pytest.raises(ValueError, match="the row's action_mask allows, got 1 in row 1"):
        replace(data, obs=replace(data.obs, action_mask=mask))


def test_take_filter_split_and_concat_keep_rows_whole(logged) -> None:
    index = np.array([5, 3, 3])
    taken = logged.take(index)
    for name, column in logged._columns().items():
        np.testing.assert_array_equal(taken._columns()[name], column[index])
    good = logged.filter(lambda data: data.reward > 0)
    assert (good.reward > 0).all()
    assert len(good) == (logged.reward > 0).sum()
    a, b = logged.split(0.25, seed=1)
    assert (len(a), len(b)) == (150, 450)
    assert not set(a.round_id) & set(b.round_id)
    assert_same_rows(BanditDataset.concat([logged.take(slice(0, 200)), logged.take(slice(200, 600))]), logged)
    with pytest.raises(ValueError, match=r"keep: expected a boolean array of shape \(600,\)"):
        logged.filter(lambda data: data.reward)
    with pytest.raises(ValueError, match=r"fraction: expected in \(0, 1\)"):
        logged.split(1.0)


def test_split_depends_on_its_seed_only(logged) -> None:
    assert_same_rows(logged.split(0.5, seed=1)[0], logged.split(0.5, seed=1)[0])
    assert not np.array_equal(logged.split(0.5, seed=1)[0].round_id, logged.split(0.5, seed=2)[0].round_id)


def test_concat_remembers_who_logged_what(simulator) -> None:
    from prompt_bandits.policies import OracleScore

    uniform, soft = Uniform(), Softmax(OracleScore(simulator))
    parts = [
        collect(simulator, uniform, 30),
        collect(simulator, soft, 20, seed=1),
        collect(simulator, uniform, 10, seed=2),
    ]
    data = BanditDataset.concat(parts)
    assert data.policies == (uniform, soft)
    assert data.policy_id.tolist() == [0] * 30 + [1] * 20 + [0] * 10
    dist = data.logging_dist()
    np.testing.assert_allclose(dist[np.arange(60), data.action], data.propensity, rtol=1e-6)


def test_concat_refuses_what_does_not_belong_together(logged) -> None:
    with pytest.raises(ValueError, match="prompts: expected the same table in all parts, part 1 has another"):
        BanditDataset.concat([three_rows(), three_rows(prompts=Prompts.from_embedding(np.ones((2, 3))))])
    with pytest.raises(ValueError, match="columns: expected"):
        BanditDataset.concat([three_rows(), three_rows(propensity=None)])


def test_summary_by_hand() -> None:
    summary = three_rows().summary()
    assert (summary.n, summary.n_actions, summary.actions_seen) == (3, 2, 2)
    assert summary.reward.value == 1.0
    assert summary.propensity_range == (0.25, 1.0)
    assert summary.effective_sample_size == pytest.approx((2 + 4 + 1) ** 2 / (4 + 16 + 1))
    assert "unknown" in str(three_rows(propensity=None).summary())
    masked = three_rows(action_mask=[[True, False], [True, True], [False, True]]).summary()
    weight = np.array([1 / 0.5, 0.5 / 0.25, 1 / 1.0])
    assert masked.effective_sample_size == pytest.approx(weight.sum() ** 2 / (weight**2).sum())


def test_logging_dist_gives_the_logged_propensities(logged) -> None:
    index = np.array([7, 100, 3])
    dist = logged.logging_dist(index)
    assert dist.shape == (3, 10)
    np.testing.assert_allclose(dist[np.arange(3), logged.action[index]], logged.propensity[index], rtol=1e-6)
    with pytest.raises(ValueError, match="logging_policy: this dataset carries none"):
        three_rows().logging_dist()


def full_rows() -> BanditDataset:
    """Every kind of column."""
    obs = Observation(
        context=np.arange(6, dtype=np.float32).reshape(3, 2),
        prompts=Prompts.from_embedding(np.eye(2), text=["Ω, briefly", "in a\nword"]),
        query=np.ones((3, 1), np.float32),
        user_id=np.array([4, 5, 6]),
        query_id=np.array([1, 2, 3]),
        query_text=text_array(["a", "", "ünï"]),
        action_mask=np.array([[True, True], [False, True], [True, True]]),
    )
    return BanditDataset(
        obs,
        np.array([0, 1, 1]),
        np.array([0.1, -2.0, 1e-9]),
        propensity=np.array([0.5, 1.0, 1 / 3]),
        output=Output(np.full((3, 2), 0.3, np.float32), text_array(["x", "yy", ""])),
        seed=np.array([2**62, 1, 1]),
        round_id=np.array([0, 10**12, 5]),
        extras={"group": text_array(["g", "h", "g"]), "time": np.array([1.5, 2.5, 3.5])},
        oracle={"expected_reward": np.array([1.0, 2.0, 3.0])},
        spec={"id": "X-v0", "kwargs": {"n": 1}},
    )


def test_every_kind_of_column_comes_back_from_disk(tmp_path) -> None:
    data = full_rows()
    back = BanditDataset.load(data.save(tmp_path / "d"))
    assert_same_rows(data, back)
    assert data.obs.prompts.same_as(back.obs.prompts)
    assert back.spec == data.spec
    for name, column in data._columns().items():
        assert back._columns()[name].dtype == column.dtype, name


def test_the_folder_has_its_documented_layout(tmp_path, logged) -> None:
    logged.save(tmp_path / "d")
    files = sorted(str(f.relative_to(tmp_path / "d")) for f in (tmp_path / "d").rglob("*") if f.is_file())
    assert files == [
        "README.md",
        "data/part-00000.parquet",
        "meta/info.json",
        "meta/policies/0/arrays.safetensors",
        "meta/policies/0/policy.json",
        "oracle/part-00000.parquet",
        "tables/actions.parquet",
    ]
    assert "expected_reward" not in pq.read_schema(tmp_path / "d/data/part-00000.parquet").names
    info = json.loads((tmp_path / "d/meta/info.json").read_text())
    assert (info["schema_version"], info["n_rounds"], info["propensity"], info["seeds"]) == (2, 600, "known", [1])


def test_the_logging_policy_works_in_another_process(tmp_path, simulator) -> None:
    uniform = collect(simulator, Uniform(), 300)
    model = fit_action_reward_model(uniform, RewardTraining(steps=20, patience=None), seed=0)
    data = collect(simulator, Softmax(model, 2.0), 50, seed=1, path=tmp_path / "d")
    code = (
        "from prompt_bandits import BanditDataset; import numpy as np;"
        f"d = BanditDataset.load({str(tmp_path / 'd')!r});"
        "print(np.abs(d.logging_dist()[np.arange(50), d.action] / d.propensity - 1).max())"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert float(out.stdout) < 1e-5
    assert len(data) == 50


def test_a_policy_that_cannot_be_saved_is_told_and_the_data_kept(tmp_path, simulator) -> None:
    class Mine:
        def action_dist(self, obs):
            return np.full((len(obs), 10), 0.1)

    data = collect(simulator, Mine(), 20)
    with pytest.warns(UserWarning, match="Mine cannot be saved"):
        data.save(tmp_path / "d")
    back = BanditDataset.load(tmp_path / "d")
    np.testing.assert_array_equal(back.propensity, data.propensity)
    with pytest.raises(ValueError, match="carries none"):
        back.logging_dist()


def test_saving_does_not_overwrite_unless_told(tmp_path, logged) -> None:
    logged.save(tmp_path / "d")
    with pytest.raises(FileExistsError, match="overwrite=True"):
        logged.save(tmp_path / "d")
    logged.take(slice(0, 5)).save(tmp_path / "d", overwrite=True)
    assert len(BanditDataset.load(tmp_path / "d")) == 5
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/notes.txt").write_text("x")
    with pytest.raises(FileExistsError, match="refusing to overwrite what is not a dataset"):
        logged.save(tmp_path / "mine", overwrite=True)


def test_a_failed_overwrite_keeps_the_former_dataset(tmp_path, logged, monkeypatch) -> None:
    logged.save(tmp_path / "d")
    rename = type(tmp_path).rename

    def failing(self, target):
        if self.name.startswith(".d.") and not self.name.endswith(".former") and target.name == "d":
            raise KeyboardInterrupt
        return rename(self, target)

    monkeypatch.setattr(type(tmp_path), "rename", failing)
    with pytest.raises(KeyboardInterrupt):
        logged.take(slice(0, 5)).save(tmp_path / "d", overwrite=True)
    monkeypatch.undo()
    assert len(BanditDataset.load(tmp_path / "d")) == 600
    assert [file.name for file in tmp_path.iterdir()] == ["d"]


def test_two_loads_of_one_logging_policy_are_one_policy(tmp_path, logged) -> None:
    path = logged.save(tmp_path / "d")
    both = BanditDataset.concat([BanditDataset.load(path), BanditDataset.load(path)])
    assert len(both.policies) == 1
    assert both.policy_id is None


def test_a_failed_save_leaves_nothing_behind(tmp_path, logged) -> None:
    bad = replace(logged, extras={"cube": np.zeros((600, 2, 2))})
    with pytest.raises(ValueError, match=r"extras.cube: expected numbers or texts of shape \(n,\) or \(n, d\)"):
        bad.save(tmp_path / "d")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("file", ["data/part-00000.parquet", "tables/actions.parquet", "meta/policies/0/policy.json"])
def test_damaged_and_missing_files_are_named(tmp_path, logged, file) -> None:
    logged.save(tmp_path / "d")
    path = tmp_path / "d" / file
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(bytes(content))
    with pytest.raises(ValueError, match=f"{file}: damaged or changed"):
        BanditDataset.load(tmp_path / "d")
    path.unlink()
    with pytest.raises(ValueError, match=f"{file}: missing"):
        BanditDataset.load(tmp_path / "d")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda info: info | {"schema_version": 99}, "expected schema version 1 … 2, got 99"),
        (lambda info: {k: v for k, v in info.items() if k != "shards"}, "info.json: damaged"),
        (lambda info: info | {"files": {"../x": "0"}}, "names a file outside its folder: ../x"),
        (lambda info: info | {"files": {"/etc/hosts": "0"}}, "names a file outside its folder: /etc/hosts"),
        (lambda info: info | {"actions": "../x"}, "names a file outside its folder: ../x"),
        (lambda info: info | {"shards": [{"groups": [1], "files": {"data/../../x-1": "0"}}]}, "outside its folder"),
        (lambda info: info | {"shards": info["shards"][:0]}, "part-00000.parquet: no part of this dataset"),
        (lambda info: info | {"shards": [info["shards"][0] | {"groups": [5]}]}, "expected 5 rows, got 600"),
        (lambda info: [], "info.json: damaged"),
        (lambda info: info | {"files": 3}, "info.json: damaged"),
        (lambda info: info | {"policies": "many"}, "info.json: damaged"),
    ],
)
def test_foreign_descriptions_are_refused(tmp_path, logged, change, message) -> None:
    logged.save(tmp_path / "d")
    file = tmp_path / "d/meta/info.json"
    values = json.loads(file.read_text())
    del values["checksum"]
    values = change(values)
    if isinstance(values, dict):
        values["checksum"] = sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()
    file.write_text(json.dumps(values))
    with pytest.raises(ValueError, match=message):
        BanditDataset.load(tmp_path / "d")


def test_a_description_edited_by_hand_is_refused(tmp_path, logged) -> None:
    logged.save(tmp_path / "d")
    file = tmp_path / "d/meta/info.json"
    file.write_text(file.read_text().replace('"n_rounds": 600', '"n_rounds": 601'))
    with pytest.raises(ValueError, match=r"info\.json: damaged or edited by hand"):
        BanditDataset.load(tmp_path / "d")


def test_no_dataset_is_told(tmp_path) -> None:
    with pytest.raises(FileNotFoundError, match="expected a dataset folder"):
        BanditDataset.load(tmp_path)
