"""Vowpal Wabbit's text and JSON lines: what comes back, and what Vowpal Wabbit itself makes of them."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

from prompt_bandits import BanditDataset, Prompts, collect
from prompt_bandits.exchange import export_dataset, import_dataset
from prompt_bandits.policies import Softmax, Uniform
from prompt_bandits.types import Observation

FORMATS = ("vw-cb", "vw-adf", "vw-dsjson")


def by_hand(**changes) -> BanditDataset:
    """Two rounds: the second prompt for 2, the first for nothing."""
    columns = {
        "context": np.array([[0.5, -1.0], [0.1, 0.0]]),
        "query": np.array([[3.0], [4.0]]),
        "action": np.array([1, 0]),
        "reward": np.array([2.0, 0.0]),
        "prompts": Prompts.from_embedding(np.array([[1.0, 0.0], [0.25, -7.0]])),
        "propensity": np.array([0.5, 0.1]),
        "seed": np.array([7, 7]),
        "round_id": np.array([3, 9]),
    }
    return BanditDataset.from_arrays(**(columns | changes))


def masked() -> BanditDataset:
    mask = np.array([[True, True, False], [False, True, True]])
    return by_hand(prompts=3, action=np.array([1, 2]), action_mask=mask)


def written(tmp_path, data, format, **options) -> str:
    return export_dataset(data, format, tmp_path / "log", overwrite=True, **options).read_text()


def assert_came_back(back: BanditDataset, data: BanditDataset) -> None:
    for name in ("action", "reward", "propensity", "seed", "round_id"):
        np.testing.assert_array_equal(getattr(back, name), getattr(data, name), err_msg=name)
    np.testing.assert_array_equal(back.obs.context, data.obs.context)
    assert (back.obs.query is None) == (data.obs.query is None)
    if data.obs.query is not None:
        np.testing.assert_array_equal(back.obs.query, data.obs.query)


def test_cb_is_a_line_a_round_with_actions_from_one_and_costs(tmp_path) -> None:
    assert written(tmp_path, by_hand(), "vw-cb") == (
        "2:-2.0:0.5 '7_3 |x 0:0.5 1:-1.0 |q 0:3.0\n1:0.0:0.1 '7_9 |x 0:0.1 1:0.0 |q 0:4.0\n"
    )


def test_adf_is_a_block_a_round_with_the_label_at_the_prompt_taken(tmp_path) -> None:
    assert written(tmp_path, by_hand(), "vw-adf") == (
        "shared '7_3 |x 0:0.5 1:-1.0 |q 0:3.0\n|a 0 |e 0:1.0 1:0.0\n0:-2.0:0.5 |a 1 |e 0:0.25 1:-7.0\n\n"
        "shared '7_9 |x 0:0.1 1:0.0 |q 0:4.0\n0:0.0:0.1 |a 0 |e 0:1.0 1:0.0\n|a 1 |e 0:0.25 1:-7.0\n\n"
    )


def test_dsjson_is_a_decision_a_line(tmp_path) -> None:
    first = json.loads(written(tmp_path, by_hand(), "vw-dsjson").splitlines()[0])
    assert first == {
        "_label_cost": -2.0,
        "_label_probability": 0.5,
        "_label_Action": 2,
        "_labelIndex": 1,
        "Version": "1",
        "EventId": "7_3",
        "a": [2],
        "p": [0.5],
        "c": {"x": [0.5, -1.0], "q": [3.0], "_multi": [{"a": {"0": 1}, "e": [1, 0]}, {"a": {"1": 1}, "e": [0.25, -7]}]},
    }


def test_dsjson_has_the_whole_distribution_where_the_logging_policy_is_known(tmp_path, logged) -> None:
    text = written(tmp_path, logged.take(slice(0, 20)), "vw-dsjson")
    for row, line in enumerate(text.splitlines()):
        decision = json.loads(line)
        dist = np.zeros(10)
        dist[np.array(decision["a"]) - 1] = decision["p"]
        np.testing.assert_allclose(dist, logged.logging_dist(slice(row, row + 1))[0], rtol=1e-6)
        assert decision["a"][0] == logged.action[row] + 1


@pytest.mark.parametrize("format", FORMATS)
def test_columns_come_back_bit_for_bit(format, tmp_path, logged) -> None:
    back = import_dataset(format, export_dataset(logged, format, tmp_path / "log"))
    assert_came_back(back, logged)
    if format != "vw-cb":
        assert back.prompts.same_as(logged.prompts)


@pytest.mark.parametrize("format", FORMATS)
def test_a_folder_is_written_in_parts_to_the_same_file(format, tmp_path, logged, monkeypatch) -> None:
    from prompt_bandits.datasets.stored import StoredDataset

    stored = BanditDataset.open(logged.save(tmp_path / "folder"))
    whole = written(tmp_path, logged, format)
    sizes = []
    batches = StoredDataset.batches

    def small(self, size=100, **options):
        for batch in batches(self, 100, **options):
            sizes.append(len(batch))
            yield batch

    monkeypatch.setattr(StoredDataset, "batches", small)
    monkeypatch.setattr(StoredDataset, "load", None)
    assert written(tmp_path, stored, format) == whole
    assert sizes == [100] * 6


@pytest.mark.parametrize("format", ["vw-adf", "vw-dsjson"])
def test_masks_come_back_since_only_prompts_on_offer_are_listed(format, tmp_path) -> None:
    data = masked()
    back = import_dataset(format, export_dataset(data, format, tmp_path / "log"))
    assert_came_back(back, data)
    assert back.prompts.same_as(data.prompts)
    np.testing.assert_array_equal(back.obs.action_mask, data.obs.action_mask)


@pytest.mark.parametrize("features", ["id", "embedding"])
@pytest.mark.parametrize("format", ["vw-adf", "vw-dsjson"])
def test_prompts_are_known_by_number_or_by_features(format, features, tmp_path) -> None:
    data = by_hand()
    path = export_dataset(data, format, tmp_path / "log", prompt_features=features)
    back = import_dataset(format, path)
    assert_came_back(back, data)
    expected = data.prompts if features == "embedding" else Prompts.one_hot(2)
    assert back.prompts.same_as(expected)
    assert import_dataset(format, path, prompts=data.prompts).prompts is data.prompts


def test_what_cb_and_unknown_propensities_cannot_say_is_refused(tmp_path) -> None:
    with pytest.raises(ValueError, match="action_mask: expected none, since --cb chooses from all actions"):
        export_dataset(masked(), "vw-cb", tmp_path / "log")
    for format in FORMATS:
        with pytest.raises(ValueError, match="propensity: unknown in this dataset"):
            export_dataset(replace(by_hand(), propensity=None), format, tmp_path / "log")
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(ValueError, match="prompt_features: expected one of both, id, embedding, got 'text'"):
        export_dataset(by_hand(), "vw-adf", tmp_path / "log", prompt_features="text")


def test_text_of_others_is_read_with_a_column_for_each_name(tmp_path) -> None:
    (tmp_path / "log").write_text(
        "shared |User user=Tom time_of_day=morning age:30\n"
        "0:-1.5:0.8 |Action article=politics\n|Action article=sports\n\n"
        "shared |User:2 user=Anna age:20\n"
        "|Action article=sports\n0:0.5:0.2 |Action article=music\n"
    )
    back = import_dataset("vw-adf", tmp_path / "log")
    # columns in the order in which names come: Tom, morning, age, Anna
    np.testing.assert_array_equal(back.obs.context, [[1, 1, 30, 0], [0, 0, 40, 2]])
    assert back.action.tolist() == [0, 2]  # politics; music, the third that is mentioned
    np.testing.assert_array_equal(back.obs.action_mask, [[True, True, False], [False, True, True]])
    assert back.reward.tolist() == [1.5, -0.5]
    assert back.propensity.tolist() == [0.8, 0.2]


def test_dsjson_of_others_is_read(tmp_path) -> None:
    decision = {
        "_label_cost": -1,
        "_label_probability": 0.8,
        "_label_Action": 2,
        "Timestamp": "2024-01-01T00:00:00Z",
        "Version": "1",
        "EventId": "0074434d",
        "a": [2, 1],
        "c": {
            "User": {"id": "Tom", "age": 30, "vip": True, "_ignored": 3},
            "_multi": [{"A": {"topic": "politics"}}, {"A": {"topic": "sports", "len": 2.5}}],
        },
        "p": [0.8, 0.2],
    }
    (tmp_path / "log").write_text(json.dumps(decision) + "\n\n" + json.dumps({"RewardValue": 1}) + "\n")
    back = import_dataset("vw-dsjson", tmp_path / "log")
    np.testing.assert_array_equal(back.obs.context, [[1, 30, 1]])  # id^Tom, age, vip
    np.testing.assert_array_equal(back.prompts.embedding, [[1, 0, 0], [0, 1, 2.5]])
    assert back.action.tolist() == [1]
    assert back.reward.tolist() == [1.0]


@pytest.mark.parametrize(
    ("format", "text", "message"),
    [
        ("vw-cb", "1:0:0.5 |x 0:1\n1:zero:0.5 |x 0:1\n", "line 2: could not convert string to float: 'zero'"),
        ("vw-cb", "1:0 |x 0:1\n", "line 1: label: expected action:cost:probability, got '1:0'"),
        ("vw-cb", "1:0:0.5\n", "line 1: line: expected features behind a |"),
        ("vw-cb", "|x 0:1\n", "rounds: expected labelled ones, found none"),
        ("vw-adf", "shared |x 0:1\n|a 0\n|a 1\n", "rounds: expected labelled ones, found none"),
        ("vw-dsjson", '{"_label_cost":1}\n', "line 1: c: expected an object with a list _multi"),
        ("vw-dsjson", "{\n", "line 1: "),
        (
            "vw-dsjson",
            '{"_label_cost":1,"_label_probability":1,"_label_Action":3,"c":{"_multi":[{},{}]}}\n',
            "_labelIndex: expected in 0 … 1, or _label_Action from 1, got 2",
        ),
        (
            "vw-dsjson",
            '{"_label_cost":1,"_labelIndex":0,"c":{"_multi":[{},{}]}}\n',
            "_label_probability: expected a number, got none",
        ),
        (
            "vw-dsjson",
            '{"_label_cost":1,"_label_probability":1,"_labelIndex":0,"c":{}}\n',
            "line 1: c: expected an object with a list",
        ),
    ],
)
def test_broken_files_are_refused_by_line(format, text, message, tmp_path) -> None:
    (tmp_path / "log").write_text(text)
    with pytest.raises(ValueError, match=message.replace("|", r"\|")):
        import_dataset(format, tmp_path / "log")


def learnt(tmp_path, arguments: str):
    vw = pytest.importorskip("vowpalwabbit")
    return vw.Workspace(f"{arguments} --quiet -d {tmp_path / 'log'}")


def test_vowpal_wabbit_reads_each_label_feature_and_tag(tmp_path) -> None:
    vw = pytest.importorskip("vowpalwabbit")
    workspace = vw.Workspace("--cb_explore_adf --noconstant --quiet")
    block = written(tmp_path, by_hand(), "vw-adf").split("\n\n")[0]
    shared, first, second = examples = workspace.parse(block)
    assert [shared.get_feature_number(), first.get_feature_number(), second.get_feature_number()] == [
        3,
        2,
        3,
    ]  # no zero
    label = vw.CBLabel.from_example(second)
    assert [(cost.cost, cost.probability) for cost in label.costs] == [(-2.0, 0.5)]
    assert vw.CBLabel.from_example(shared).costs[0].probability == -1  # how it marks the shared one
    assert shared.get_tag() == "7_3"
    workspace.finish_example(examples)


@pytest.mark.parametrize("logging_policy", ["known", "unknown"])
def test_text_and_json_teach_vowpal_wabbit_the_same(logging_policy, tmp_path, logged) -> None:
    data = logged if logging_policy == "known" else replace(logged, policies=())
    models = []
    for format, flag in (("vw-adf", ""), ("vw-dsjson", "--dsjson")):
        written(tmp_path, data, format)
        workspace = learnt(tmp_path, f"--cb_explore_adf -q xa -q qe {flag}")
        assert workspace.get_weighted_examples() == len(logged)
        models.append((workspace.get_sum_loss(), [workspace.get_weight(i) for i in range(1 << 18)]))
        workspace.finish()
    assert models[0][0] == pytest.approx(models[1][0], rel=1e-5)  # its text parser rounds a float by 1e-7
    np.testing.assert_allclose(models[0][1], models[1][1], atol=1e-5)
    assert np.count_nonzero(models[0][1]) > 50


def test_the_loss_that_vowpal_wabbit_tells_of_its_first_pass_is_ips(tmp_path) -> None:
    data = by_hand()
    written(tmp_path, data, "vw-adf")
    workspace = learnt(tmp_path, "--cb_explore_adf --epsilon 1 --cb_type ips -l 0")
    # a learner that learns nothing takes each prompt with probability 1/2: −2·(½/½) + 0
    assert workspace.get_sum_loss() == pytest.approx(-2.0)
    workspace.finish()


def test_cb_teaches_vowpal_wabbit_which_action_pays(tmp_path) -> None:
    rng = np.random.default_rng(0)
    context = np.sign(rng.normal(size=(2000, 1)))
    action = rng.integers(3, size=2000)
    reward = np.where(context[:, 0] > 0, action == 2, action == 0)
    data = BanditDataset.from_arrays(context, action, reward, prompts=3, propensity=np.full(2000, 1 / 3))
    written(tmp_path, data, "vw-cb")
    workspace = learnt(tmp_path, "--cb 3")
    assert [workspace.predict("|x 0:1"), workspace.predict("|x 0:-1")] == [3, 1]
    workspace.finish()


def test_the_logging_policy_that_dsjson_names_may_look_at_every_column(tmp_path) -> None:
    class ByUser:
        def scores(self, obs: Observation):
            return np.outer(obs.user_id, [0.0, 0.1])

    data = by_hand(user_id=np.array([5, 6]), policies=(Softmax(ByUser()),))
    decisions = [json.loads(line) for line in written(tmp_path, data, "vw-dsjson").splitlines()]
    assert decisions[0]["p"][1] == pytest.approx(1 / (1 + np.exp(0.5)))


@pytest.mark.slow
def test_writing_a_file_takes_no_memory_for_the_file(tmp_path) -> None:
    collect("PromptPersonalization-Synthetic-v0", Uniform(), 150_000, path=tmp_path / "d", n_actions=5)
    code = """
import resource, sys
from prompt_bandits import BanditDataset
from prompt_bandits.exchange import export_dataset
peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
data = BanditDataset.open(sys.argv[1])
assert sum(map(len, data.batches(columns=["context", "query", "propensity"]))) == 150_000
before = peak()
export_dataset(data, "vw-cb", sys.argv[2])
print(peak() - before)
"""
    arguments = [sys.executable, "-c", code, str(tmp_path / "d"), str(tmp_path / "log")]
    more = int(subprocess.run(arguments, capture_output=True, text=True, check=True).stdout)  # kB than reading alone
    assert (tmp_path / "log").stat().st_size > 24e6
    assert more < 15_000
