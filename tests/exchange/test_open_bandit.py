"""Files in the Open Bandit Dataset's columns: the real ones come in as Open Bandit Pipeline reads them, ours go out."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from prompt_bandits import BanditDataset
from prompt_bandits.exchange import export_dataset, import_dataset, to_obp

from .full_rounds import FULL

LOG = """,timestamp,item_id,position,click,propensity_score,user_feature_0,user_feature_1,user-item_affinity_0
0,2019-11-24 00:00:00.250000+00:00,20,3,0,0.5,b7,aa,0.0
1,2019-11-24 00:00:01+00:00,10,1,1,0.25,a1,bb,2.0
2,2019-11-24 00:00:02+00:00,20,3,0,0.125,c9,aa,0.0
"""
ITEMS = """,item_id,item_feature_0,item_feature_1
0,10,-0.5,xx
1,20,0.75,yy
"""


@pytest.fixture
def folder(tmp_path) -> Path:
    (tmp_path / "all.csv").write_text(LOG)
    (tmp_path / "item_context.csv").write_text(ITEMS)
    return tmp_path


def test_a_log_is_read_with_a_column_for_each_hash_but_the_first(folder) -> None:
    data = import_dataset("open-bandit", folder)
    np.testing.assert_array_equal(data.obs.context, [[1, 0, 0], [0, 0, 1], [0, 1, 0]])  # b7, c9, bb
    assert data.action.tolist() == [1, 0, 1]
    assert data.prompts.prompt_id.tolist() == [10, 20]
    np.testing.assert_array_equal(data.prompts.embedding, np.array([[-0.5, 0], [0.75, 1]], np.float32))
    assert data.reward.tolist() == [0, 1, 0]
    assert data.propensity.tolist() == [0.5, 0.25, 0.125]
    assert data.extras["position"].tolist() == [1, 0, 1]
    assert data.extras["time"].tolist() == [1574553600.25, 1574553601, 1574553602]


def test_other_columns_can_be_the_context(folder) -> None:
    data = import_dataset("open-bandit", folder / "all.csv", features=("user-item_affinity_",))
    assert data.obs.context.tolist() == [[0], [2], [0]]


def test_without_items_nothing_is_known_of_them(folder) -> None:
    (folder / "item_context.csv").unlink()
    data = import_dataset("open-bandit", folder)
    assert (data.n_actions, data.action.tolist()) == (21, [20, 10, 20])


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (("20,3", "30,3"), r"all\.csv: item_id: expected one of the items, got 30 in row 0"),
        (("propensity_score", "p"), r"all\.csv: expected columns propensity_score, found timestamp, item_id"),
        (("0.25", "0"), r"propensity: expected values in \(0, 1\], got 0\.0 in row 1"),
    ],
)
def test_a_bad_log_is_told(folder, change, told) -> None:
    (folder / "all.csv").write_text(LOG.replace(*change))
    with pytest.raises(ValueError, match=told):
        import_dataset("open-bandit", folder)


def test_two_logs_in_a_folder_are_told(folder) -> None:
    (folder / "men.csv").write_text(LOG)
    with pytest.raises(ValueError, match=r"expected one log, .* found \['all\.csv', 'men\.csv'\]"):
        import_dataset("open-bandit", folder)


def test_ours_come_back(tmp_path) -> None:
    full = replace(FULL, extras={"time": np.array([0.5, np.nan, 1e9, 1574553634.76283]), "position": np.arange(4)})
    export_dataset(full, "open-bandit", tmp_path / "out")
    assert sorted(file.name for file in (tmp_path / "out").iterdir()) == ["all.csv", "item_context.csv"]
    rows = (tmp_path / "out/all.csv").read_text().splitlines()
    assert [row.split(",")[3] for row in rows] == ['"position"', "1", "2", "3", "4"]
    found = import_dataset("open-bandit", tmp_path / "out", dim_query=1)
    for name in ("context", "query", "action", "reward", "propensity", "extras['time']", "extras['position']"):
        np.testing.assert_array_equal(found._columns()[name], full._columns()[name], err_msg=name)
    np.testing.assert_array_equal(found.prompts.prompt_id, full.prompts.prompt_id)
    np.testing.assert_array_equal(found.prompts.embedding, full.prompts.embedding)


def test_a_folder_gives_the_files_of_its_rows(logged, tmp_path) -> None:
    many = BanditDataset.concat([logged] * 14)
    many = replace(many, round_id=np.arange(len(many)))
    many.save(tmp_path / "data")
    export_dataset(many, "open-bandit", tmp_path / "a")
    export_dataset(BanditDataset.open(tmp_path / "data"), "open-bandit", tmp_path / "b")
    assert (tmp_path / "a/all.csv").read_text() == (tmp_path / "b/all.csv").read_text()
    numbers = [row.split(",")[0] for row in (tmp_path / "a/all.csv").read_text().splitlines()[1:]]
    assert numbers == [str(number) for number in range(len(many))]


def test_unknown_propensities_are_refused(tmp_path) -> None:
    with pytest.raises(ValueError, match="propensity: unknown in this dataset"):
        export_dataset(replace(FULL, propensity=None), "open-bandit", tmp_path / "out")
    assert not list(tmp_path.iterdir())


def test_times_in_milliseconds_are_refused(tmp_path) -> None:
    late = replace(FULL, extras={"time": np.full(4, 1574553634762.0)})
    with pytest.raises(ValueError, match=r"extras\.time: expected seconds since 1970, got 1\.57455e\+12"):
        export_dataset(late, "open-bandit", tmp_path / "out")


@pytest.mark.parametrize("campaign", ["all", "men", "women"])
def test_the_real_sample_comes_in_as_the_pipeline_reads_it(campaign) -> None:
    dataset = pytest.importorskip("obp.dataset")
    for policy in ("random", "bts"):
        theirs = dataset.OpenBanditDataset(policy, campaign)
        feedback = theirs.obtain_batch_bandit_feedback()
        ours = import_dataset("open-bandit", theirs.data_path)
        rows = to_obp(ours.take(theirs.data.index.to_numpy()))  # sorted by time
        for name in ("context", "action", "reward", "pscore", "position"):
            np.testing.assert_allclose(rows[name], feedback[name], rtol=1e-11, err_msg=name)  # pandas rounds


def test_the_real_pipeline_reads_ours(logged, tmp_path) -> None:
    dataset = pytest.importorskip("obp.dataset")
    export_dataset(logged, "open-bandit", tmp_path / "random/all")
    feedback = dataset.OpenBanditDataset("random", "all", tmp_path).obtain_batch_bandit_feedback()
    np.testing.assert_array_equal(feedback["context"].astype(np.float32), logged.obs.features())
    np.testing.assert_array_equal(feedback["action"], logged.action)
    np.testing.assert_allclose(feedback["reward"], logged.reward, rtol=1e-13)  # as pandas rounds
    np.testing.assert_allclose(feedback["pscore"], logged.propensity, rtol=1e-13)
