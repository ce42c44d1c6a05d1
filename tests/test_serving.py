"""Serving live users without an environment, and the log of it."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pytest

from prompt_bandits import BanditDataset, Prompts
from prompt_bandits.datasets import inspect, merge
from prompt_bandits.policies import Logits, Softmax, Uniform
from prompt_bandits.saving import register_saved
from prompt_bandits.serving import BanditLogger
from prompt_bandits.types import text_array

TEXTS = ["Be brief.", "Be kind.", "Be funny."]
PROMPTS = Prompts.from_embedding(np.eye(3), TEXTS)


@register_saved
class Prefers:
    """0.8 for one prompt, the rest shared by those that are allowed."""

    saved_as: ClassVar[str] = "prefers"

    def __init__(self, favourite: int = 1) -> None:
        self.favourite = favourite

    def state(self):
        return {"favourite": self.favourite}

    @classmethod
    def from_state(cls, state):
        return cls(**state)

    def action_dist(self, obs):
        dist = np.full((len(obs), obs.n_actions), 0.2 / (obs.n_actions - 1))
        dist[:, self.favourite] = 0.8
        if obs.action_mask is not None:
            dist = dist * obs.action_mask
        return dist / dist.sum(axis=1, keepdims=True)


class Lengths:
    def encode(self, texts):
        return np.array([[len(text), text.count("a")] for text in texts], float)


def test_a_round_is_served_rewarded_and_read_back(tmp_path) -> None:
    with BanditLogger(tmp_path / "d", Prefers(), PROMPTS) as logger:
        round_id, prompt, propensity = logger.act([1.0, 2.0], [0.5], user_id=7, session="s1")
        assert prompt in TEXTS
        assert propensity == pytest.approx(0.8 if prompt == TEXTS[1] else 0.1)
        logger.wrote(round_id, sentence="Hello.", output=[0.1, 0.2])
        assert logger.waiting().tolist() == [round_id]
        assert len(logger.dataset()) == 0
        logger.reward(round_id, 3.5)
        assert logger.waiting().tolist() == []
        data = logger.dataset().load()
    assert len(data) == 1
    assert data.obs.prompts.text[data.action[0]] == prompt
    assert data.propensity[0] == propensity
    assert (data.reward[0], data.obs.user_id[0], data.output.text[0]) == (3.5, 7, "Hello.")
    np.testing.assert_allclose(data.output.embedding, [[0.1, 0.2]])
    np.testing.assert_allclose(data.obs.features(), [[1, 2, 0.5]])
    assert data.extras["session"].tolist() == ["s1"]
    assert 0 <= data.extras["reward_time"][0] - data.extras["time"][0] < 60
    assert data.extras["prompts_version"].tolist() == [0]


def test_what_is_drawn_has_the_propensity_that_is_told(tmp_path) -> None:
    with BanditLogger(tmp_path / "d", Softmax(_Scores(), beta=1.0), PROMPTS) as logger:
        for _ in range(600):
            logger.reward(logger.act([0.0]).round_id, 1.0)
        data = logger.dataset().load()
    expected = np.exp([0, 1, 2]) / np.exp([0, 1, 2]).sum()
    share = np.bincount(data.action, minlength=3) / 600
    assert np.abs(share - expected).max() < 4 * 0.5 / np.sqrt(600)
    np.testing.assert_allclose(data.propensity, expected[data.action], rtol=1e-6)


@register_saved
@dataclass(frozen=True)
class _Scores:
    saved_as: ClassVar[str] = "one_two_three"

    def scores(self, obs):
        return np.tile(np.arange(3.0), (len(obs), 1))


def test_rounds_go_on_waiting_and_numbering_in_another_process(tmp_path) -> None:
    with BanditLogger(tmp_path / "d", Uniform(), PROMPTS) as logger:
        ids = [logger.act([float(i)]).round_id for i in range(5)]
        logger.reward(ids[0], 1.0)
    with BanditLogger(tmp_path / "d", Uniform(), PROMPTS) as logger:
        assert logger.waiting().tolist() == ids[1:]
        assert logger.act([9.0]).round_id == 5
        with pytest.raises(ValueError, match="round_id: 0 has its reward already"):
            logger.reward(0, 1.0)
        with pytest.raises(ValueError, match="round_id: 77 is no round of this logger"):
            logger.reward(77, 1.0)
        logger.reward(ids[2], 2.0)
        data = logger.dataset().load()
    assert data.round_id.tolist() == [0, 2]
    assert data.obs.context.ravel().tolist() == [0.0, 2.0]
    assert len(set(data.seed.tolist())) == 1
    assert len(list((tmp_path / "d/waiting").glob("acts-*.arrows"))) == 1, "written anew, and the old one is gone"


def test_logs_of_waiting_rounds_are_written_anew_when_they_are_large_and_mostly_done(tmp_path, monkeypatch) -> None:
    from prompt_bandits.serving import waiting

    monkeypatch.setattr(waiting, "_MOST_BYTES", 50_000)
    rewrites, real = [0], waiting.WaitingRounds._rewrite

    def counted(self):
        rewrites[0] += 1
        real(self)

    monkeypatch.setattr(waiting.WaitingRounds, "_rewrite", counted)
    with BanditLogger(tmp_path / "d", Uniform(), PROMPTS) as logger:
        for i in range(300):
            logger.wrote(logger.act([float(i)]).round_id, sentence="x" * 100)
            if i >= 100:
                logger.reward(i - 50, 1.0)
        assert 2 <= rewrites[0] <= 12
        sizes = [file.stat().st_size for file in (tmp_path / "d/waiting").glob("*.arrows")]
        assert sum(sizes) < 600_000
    with BanditLogger(tmp_path / "d", Uniform()) as logger:
        assert logger.waiting().tolist() == [*range(50), *range(250, 300)]


def test_what_the_llm_wrote_is_kept_with_the_waiting_round(tmp_path) -> None:
    with BanditLogger(tmp_path / "d", Uniform(), PROMPTS) as logger:
        for i in range(3):
            logger.wrote(logger.act([float(i)]).round_id, sentence=f"sentence {i}")
    for reopened in range(2):
        with BanditLogger(tmp_path / "d", Uniform()) as logger:
            logger.reward(reopened, 1.0)
    assert BanditDataset.load(tmp_path / "d").output.text.tolist() == ["sentence 0", "sentence 1"]


def test_all_rounds_have_outputs_or_none(tmp_path) -> None:
    with BanditLogger(tmp_path / "none", Uniform(), PROMPTS) as logger:
        a, b = logger.act([0.0]).round_id, logger.act([0.0]).round_id
        logger.reward(a, 1.0)
        with pytest.raises(ValueError, match=r"unknown \['sentence'\]"):
            logger.wrote(b, sentence="too late")
        logger.reward(b, 1.0)
    with BanditLogger(tmp_path / "all", Uniform(), PROMPTS) as logger:
        a, b = logger.act([0.0]).round_id, logger.act([0.0]).round_id
        logger.wrote(a, output=[1.0, 2.0])
        with pytest.raises(ValueError, match="wrote: expected what the LLM wrote before the reward"):
            logger.reward(b, 1.0)
        with pytest.raises(ValueError, match="wrote: expected a sentence, an output or both, got neither"):
            logger.wrote(b)
        logger.wrote(b, output=[3.0, 4.0])
        logger.reward(b, 1.0)
    with BanditLogger(tmp_path / "all", Uniform()) as logger:
        with pytest.raises(ValueError, match=r"output: expected float32\[2\]"):
            logger.wrote(logger.act([0.0]).round_id, output=[1.0])
        logger.reward(a, 2.0)
        assert logger.dataset().load().output.embedding.tolist() == [[3.0, 4.0], [1.0, 2.0]]


def test_old_waiting_rounds_are_found_by_their_age(tmp_path, monkeypatch) -> None:
    from prompt_bandits.serving import logger as module

    now = [1000.0]
    monkeypatch.setattr(module.time, "time", lambda: now[0])
    with BanditLogger(tmp_path / "d", Uniform(), PROMPTS) as logger:
        logger.act([0.0])
        now[0] = 1500.0
        logger.act([0.0])
        assert logger.waiting(older_than=400).tolist() == [0]
        for round_id in logger.waiting(older_than=400):
            logger.reward(round_id, 0.0)  # nobody clicked
        assert logger.waiting().tolist() == [1]
        assert logger.dataset().load().extras["reward_time"].tolist() == [1500.0]


def test_prompts_come_and_go_and_rows_name_their_version(tmp_path) -> None:
    with BanditLogger(tmp_path / "d", Uniform(), PROMPTS) as logger:

        def rounds(n: int) -> set[str]:
            served = [logger.act([0.0]) for _ in range(n)]
            for one in served:
                logger.reward(one.round_id, 1.0)
            assert len({one.propensity for one in served}) == 1
            return {one.prompt for one in served}

        assert rounds(40) == set(TEXTS)
        waits = logger.act([0.0]).round_id
        logger.retire_prompts(0)
        assert rounds(40) == set(TEXTS[1:])
        logger.add_prompts(Prompts(np.array([10]), np.full((1, 3), 0.5, np.float32), text_array(["Be new."])))
        assert rounds(60) == {*TEXTS[1:], "Be new."}
        logger.reward(waits, 0.0)  # acted in at version 0, rewarded at version 2
        stored = logger.dataset()
    data = stored.load()
    version = data.extras["prompts_version"]
    assert version.tolist() == [0] * 40 + [1] * 40 + [2] * 60 + [0]
    assert data.n_actions == 4
    allowed = {0: [1, 1, 1, 0], 1: [0, 1, 1, 0], 2: [0, 1, 1, 1]}
    np.testing.assert_array_equal(data.obs.action_mask, np.array([allowed[v] for v in version], bool))
    np.testing.assert_allclose(data.propensity, 1 / data.obs.action_mask.sum(axis=1))
    dist = data.logging_dist()
    np.testing.assert_allclose(dist[np.arange(len(data)), data.action], data.propensity)
    assert [file.name for file in (tmp_path / "d/tables").iterdir()] == ["actions-00002.parquet"]
    with BanditLogger(tmp_path / "d", Uniform()) as logger:  # the folder knows its prompts
        assert {logger.act([0.0]).prompt for _ in range(60)} == {*TEXTS[1:], "Be new."}
    BanditLogger(tmp_path / "d", Uniform(), PROMPTS).close()  # those of the beginning are fine too
    with pytest.raises(ValueError, match="prompts: expected those of"):
        BanditLogger(tmp_path / "d", Uniform(), Prompts.one_hot(4))
    again = BanditDataset.load(data.save(tmp_path / "copy"))
    np.testing.assert_array_equal(again.obs.action_mask, data.obs.action_mask)


def test_bad_changes_of_prompts_are_refused(tmp_path) -> None:
    with BanditLogger(tmp_path / "d", Uniform(), PROMPTS) as logger:
        for change, message in (
            (lambda: logger.retire_prompts([0, 9]), "prompt_id: 9 is no prompt that can be chosen now"),
            (lambda: logger.retire_prompts([0, 1, 2]), "expected at least one prompt to stay"),
            (lambda: logger.add_prompts(PROMPTS), "prompt_id: 0 is taken"),
            (lambda: logger.add_prompts(Prompts(np.array([5]), np.ones((1, 2)), text_array("x"))), "expected width 3"),
            (lambda: logger.add_prompts(Prompts(np.array([5]), np.ones((1, 3)))), "prompts.text: expected texts"),
        ):
            with pytest.raises(ValueError, match=message):
                change()
        assert logger.act([0.0]).prompt in TEXTS
        logger.retire_prompts(1)
        logger.use(Prefers(1))


def test_a_policy_that_does_not_heed_retired_prompts_is_told(tmp_path) -> None:
    class Stubborn:
        def action_dist(self, obs):
            return np.eye(3)[np.zeros(len(obs), int)]

    with pytest.warns(UserWarning, match="cannot be saved"):
        logger = BanditLogger(tmp_path / "d", Stubborn(), PROMPTS)
    logger.act([0.0])
    logger.retire_prompts(0)
    with pytest.raises(ValueError, match="policy: chose prompt 0, which is retired"):
        logger.act([0.0])
    logger.close()


def test_each_row_names_the_policy_that_served_it(tmp_path) -> None:
    first, second = Uniform(), Softmax(Logits(np.array([0.0, 0.0, 5.0])))
    with BanditLogger(tmp_path / "d", first, PROMPTS) as logger:
        waits = logger.act([0.0]).round_id
        logger.use(second)
        served = logger.act([0.0])
        logger.reward(served.round_id, 1.0)
        logger.reward(waits, 1.0)
        data = logger.dataset().load()
    assert data.policy_id.tolist() == [1, 0]
    np.testing.assert_allclose(data.logging_dist()[np.arange(2), data.action], data.propensity)
    with BanditLogger(tmp_path / "d", second) as logger:  # known by its content, not numbered anew
        logger.reward(logger.act([0.0]).round_id, 1.0)
        assert logger.dataset().load().policy_id.tolist() == [1, 0, 1]


def test_threads_neither_lose_nor_double_rounds(tmp_path) -> None:
    logger, errors = BanditLogger(tmp_path / "d", Uniform(), PROMPTS), []

    def serve(k: int) -> None:
        try:
            for i in range(50):
                served = logger.act([float(k), float(i)])
                if i % 2:
                    logger.reward(served.round_id, 100 * k + i)
                if k == 0 and i == 25:
                    logger.retire_prompts(0)
        except Exception as error:
            errors.append(error)

    threads = [threading.Thread(target=serve, args=(k,)) for k in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    logger.close()
    assert not errors
    data = BanditDataset.load(tmp_path / "d")
    assert len(data) == 200
    assert sorted([*data.round_id.tolist(), *logger.waiting().tolist()]) == list(range(400))
    np.testing.assert_array_equal(data.reward, 100 * data.obs.context[:, 0] + data.obs.context[:, 1])


def test_users_and_queries_may_be_texts(tmp_path) -> None:
    with BanditLogger(tmp_path / "d", Uniform(), PROMPTS, encoder=Lengths()) as logger:
        logger.reward(logger.act("a cat", "aha?").round_id, 1.0)
        data = logger.dataset().load()
    np.testing.assert_array_equal(data.obs.context, [[5, 2]])
    np.testing.assert_array_equal(data.obs.query, [[4, 2]])
    assert data.obs.query_text.tolist() == ["aha?"]


def test_bad_values_are_refused_and_lose_nothing(tmp_path) -> None:
    with BanditLogger(tmp_path / "d", Uniform(), PROMPTS) as logger:
        good = logger.act([1.0, 2.0], group="a")
        for call, message in (
            (lambda: logger.act("text"), "user: expected numbers, or an encoder for texts"),
            (lambda: logger.act([1.0, np.nan]), "user: expected a vector of finite numbers"),
            (lambda: logger.act(["x"]), "user: expected a vector of numbers"),
            (lambda: logger.act([[1.0, 2.0]]), "user: expected a vector of finite numbers"),
            (lambda: logger.act([1.0, 2.0, 3.0], group="a"), r"context: expected float32\[2\] as in the rows so far"),
            (lambda: logger.act([1.0, 2.0]), r"missing \['extras.group'\]"),
            (lambda: logger.act([1.0, 2.0], group=3), "extras.group: expected text as in the rows so far"),
            (lambda: logger.reward(good.round_id, float("nan")), "reward: expected a finite number, got nan"),
            (lambda: logger.reward(good.round_id, None), "reward: expected a finite number, got None"),
            (lambda: logger.act([1.0, 2.0], group="\ud83d"), "group: expected numbers or texts"),
            (lambda: logger.act([1.0, 2.0], group="a", time=5), "extras.time: is written by the logger"),
            (lambda: logger.act([1.0, 2.0], user_id=2**63), "user_id: expected an integer of 64 bits"),
            (lambda: logger.wrote(good.round_id, output=[np.inf]), "output: expected a vector of finite numbers"),
        ):
            with pytest.raises(ValueError, match=message):
                call()
        assert logger.waiting().tolist() == [good.round_id]
        logger.reward(good.round_id, 1.0)
    logger = BanditLogger(tmp_path / "d", Uniform())  # another process: what rows are like is settled
    with pytest.raises(ValueError, match=r"context: expected float32\[2\]"):
        logger.act([1.0], group="a")
    logger.close()
    with pytest.raises(ValueError, match="this logger is closed"):
        logger.act([1.0, 2.0], group="a")
    with pytest.raises(ValueError, match="prompts: expected some for the new folder"):
        BanditLogger(tmp_path / "new", Uniform())
    assert not (tmp_path / "new").exists()
    with pytest.raises(TypeError, match="policy: expected an object with `action_dist`"):
        BanditLogger(tmp_path / "new", "uniform", PROMPTS)


def test_a_failed_write_is_told_and_can_be_tried_again(tmp_path, monkeypatch) -> None:
    import os

    real, full = os.write, [False]

    def write(fd, content):
        if full[0]:
            raise OSError(28, "No space left on device")
        return real(fd, content)

    monkeypatch.setattr(os, "write", write)
    with BanditLogger(tmp_path / "d", Uniform(), PROMPTS) as logger:
        logger.reward(logger.act([0.0]).round_id, 1.0)
        served = logger.act([1.0])
        full[0] = True
        with pytest.raises(OSError, match="No space left"):
            logger.act([2.0])
        with pytest.raises(OSError, match="No space left"):
            logger.reward(served.round_id, 5.0)
        assert logger.waiting().tolist() == [served.round_id]
        full[0] = False
        with pytest.raises(ValueError, match=r"reward: round 1 was given 5\.0 already, which is yet to be written"):
            logger.reward(served.round_id, -5.0)
        logger.reward(logger.act([3.0]).round_id, 7.0)  # writes the other one too
        assert logger.waiting().tolist() == []
        with pytest.raises(ValueError, match="round_id: 1 has its reward already"):
            logger.reward(served.round_id, 5.0)
    assert BanditDataset.load(tmp_path / "d").reward.tolist() == [1.0, 5.0, 7.0]


def test_a_bad_policy_beside_a_change_of_prompts_changes_nothing(tmp_path) -> None:
    with BanditLogger(tmp_path / "d", Uniform(), PROMPTS) as logger:
        with pytest.raises(TypeError, match="policy: expected an object with `action_dist`"):
            logger.retire_prompts(0, policy="oops")
        assert {logger.act([0.0]).prompt for _ in range(40)} == set(TEXTS)
        logger.retire_prompts(0)
        logger.reward(0, 1.0)
        assert logger.dataset().table.version == 1


def test_an_interrupted_act_leaves_the_log_whole(tmp_path, monkeypatch) -> None:
    """Ctrl-C at every write of a round, then another round that is acknowledged."""
    from prompt_bandits.datasets import write_ahead

    real, calls = write_ahead._write_all, [0, 0]

    def interrupted(fd, content):
        calls[0] += 1
        real(fd, content[: len(content) // 2] if calls[0] == calls[1] else content)
        if calls[0] == calls[1]:
            raise KeyboardInterrupt

    acknowledged = []
    for stop in range(1, 9):
        logger = BanditLogger(tmp_path / "d", Uniform(), PROMPTS if stop == 1 else None)
        calls[:] = [0, stop]
        monkeypatch.setattr(write_ahead, "_write_all", interrupted)
        for _ in range(3):
            try:
                acknowledged.append(logger.act([0.0]).round_id)
            except KeyboardInterrupt:
                calls[1] = 0
        monkeypatch.undo()
        logger.close()
    with BanditLogger(tmp_path / "d", Uniform()) as logger:
        assert set(acknowledged) <= set(logger.waiting().tolist())


def test_folders_of_several_servers_are_merged(tmp_path, capsys) -> None:
    for k in range(2):
        with BanditLogger(tmp_path / str(k), Uniform(), PROMPTS) as logger:
            for _ in range(5):
                logger.reward(logger.act([float(k)]).round_id, k)
            logger.retire_prompts(0)
            logger.reward(logger.act([float(k)]).round_id, k)
    merged = merge([tmp_path / "0", tmp_path / "1"], tmp_path / "all").load()
    assert len(merged) == 12
    assert merged.obs.action_mask.sum(axis=1).tolist() == [3, 3, 3, 3, 3, 2] * 2
    inspect(tmp_path / "all")
    assert "version 1" in capsys.readouterr().out


def test_damaged_logs_of_waiting_rounds_are_refused_by_name(tmp_path) -> None:
    with BanditLogger(tmp_path / "d", Uniform(), PROMPTS) as logger:
        logger.act([0.0])
    stream = next((tmp_path / "d/waiting").glob("*.arrows"))
    content = bytearray(stream.read_bytes())
    content[-3] ^= 1
    stream.write_bytes(bytes(content))
    with pytest.raises(ValueError, match=rf"{stream.name}: damaged"):
        BanditLogger(tmp_path / "d", Uniform())
