"""`prompt-bandits make` and `prompt-bandits play`."""

from __future__ import annotations

import builtins
import json
import subprocess
import sys
from collections.abc import Iterator

import gymnasium as gym
import numpy as np
import pytest

from agents.cli.candidates import found_prompts, some_prompts
from agents.cli.main import main
from prompt_bandits import BanditDataset, Observation, Prompts
from prompt_bandits.registration import MOVIE_ID, SYNTHETIC_ID

FIVE = ("--env-args", "n_actions=5")


def typed(monkeypatch, *lines: str | type[BaseException]) -> None:
    """What the user types at each prompt; an exception in place of a line."""
    waiting: Iterator[str | type[BaseException]] = iter([*lines, EOFError])

    def answer(prompt: str = "") -> str:
        line = next(waiting)
        if isinstance(line, str):
            return line
        raise line

    monkeypatch.setattr(builtins, "input", answer)


def test_make_lists_environments_and_shows_one(capsys) -> None:
    assert main(["make"]) == 0
    said = capsys.readouterr().out
    assert all(name in said for name in ("synthetic", SYNTHETIC_ID, "movie", MOVIE_ID))
    assert main(["make", "synthetic", "--env-args", "n_actions=7", "reward_type=binary", "--rounds", "3"]) == 0
    said = capsys.readouterr().out
    assert "Discrete(7)" in said
    assert said.count("7 candidates") == 3
    assert "reward_type        binary" in said


def test_make_answers_machines_with_what_gymnasium_gives(capsys) -> None:
    assert main(["make", SYNTHETIC_ID, *FIVE, "--rounds", "2", "--seed", "3", "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert (said["id"], said["arguments"]["n_actions"]) == (SYNTHETIC_ID, 5)
    assert said["values"]["uniform"] < said["values"]["optimal"]
    env = gym.make(SYNTHETIC_ID, n_actions=5)
    for k, shown in enumerate(said["rounds"]):
        env.reset(seed=3 if k == 0 else None)
        _, reward, _, _, info = env.step(shown["action"])
        assert shown["reward"] == float(reward)
        assert shown["info"]["round_id"] == info["round_id"] == k


def test_make_shows_environments_of_others(capsys) -> None:
    assert main(["make", "CartPole-v1", "--rounds", "1"]) == 0
    said = capsys.readouterr().out
    assert "Discrete(2)" in said
    assert "reward +1.000" in said


def test_make_takes_only_prompts_that_a_round_allows() -> None:
    assert main(["make", "synthetic", "--env-args", "n_actions=5", "mask_rate=0.9", "--rounds", "5"]) == 0


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["synthetc"], "env: unknown environment 'synthetc'; did you mean 'synthetic'?"),
        (["Nothing-v9"], "env: unknown environment 'Nothing-v9'; expected synthetic, movie or an id of Gymnasium"),
        (["no_such_package:A-v0"], "env: 'no_such_package:A-v0': No module named 'no_such_package'"),
        (
            ["synthetic", "--env-args", "n_action=3"],
            "env_args: unknown argument 'n_action'; did you mean 'n_actions'? (",
        ),
        (["synthetic", "--env-args", "n_actions=x"], "env_args: n_actions: expected an integer >= 1, got 'x'"),
        (["synthetic", "--env-args", "n_actions"], "env_args: expected name=value, got 'n_actions'"),
        (["synthetic", "--env-args", "n_actions=1", "n_actions=2"], "env_args: n_actions is given twice"),
        (["synthetic", "--rounds", "-1"], "rounds: expected >= 0, got -1"),
    ],
)
@pytest.mark.parametrize("command", ["make", "play"])
def test_wrong_environments_are_a_line(command, arguments, says, capsys) -> None:
    assert main([command, *arguments]) == 2
    said = capsys.readouterr()
    assert said.err.startswith(f"prompt-bandits {command}: ")
    assert says in said.err or command == "play"
    assert said.err.count("\n") == 1
    assert said.out == ""


def test_playing_earns_what_the_environment_gives(monkeypatch, capsys) -> None:
    typed(monkeypatch, "3", "1", "q")
    assert main(["play", "synthetic", *FIVE, "--seed", "7", "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    env = gym.make(SYNTHETIC_ID, n_actions=5)
    rewards, best, uniform = [], [], []
    for k, action in enumerate((3, 1)):
        env.reset(seed=7 if k == 0 else None)
        simulator = env.unwrapped.simulator  # type: ignore[attr-defined]
        values = simulator.action_values(simulator.observe(simulator.rounds(7, k, 1))).value[0]
        best.append(values.max())
        uniform.append(values.mean())
        rewards.append(env.step(action)[1])
    assert said["rounds"] == 2
    for name, column in (("reward", rewards), ("optimal", best), ("uniform", uniform)):
        assert said["mean"][name] == pytest.approx(np.mean(column))


def test_play_searches_shows_others_and_helps(monkeypatch, capsys) -> None:
    typed(monkeypatch, "war", "androd", "zzzzqqq", "", "?", "9999", "-3", "12")
    assert main(["play", "movie", "--show", "4", "--rounds", "1"]) == 0
    said = capsys.readouterr().out
    assert "  312  nuclear war\n" in said  # found by the word
    assert "   12  android\n" in said  # written most like "androd"
    assert "no prompt is like 'zzzzqqq'" in said
    assert said.count("Enter shows others") == 2
    assert said.count("expected a number in 0 … 503") == 2
    assert "action  12  android" in said
    assert said.count("1 round · your mean reward") == 1


def test_prompts_without_texts_cannot_be_searched(monkeypatch, capsys) -> None:
    typed(monkeypatch, "war", "q")
    assert main(["play", "synthetic", *FIVE]) == 0
    assert "these prompts have no texts to search; expected a number in 0 … 4" in capsys.readouterr().out


def test_a_masked_prompt_is_refused_and_asked_for_again(monkeypatch, capsys) -> None:
    mask = gym.make(SYNTHETIC_ID, n_actions=5, mask_rate=0.6).reset(seed=0)[1]["action_mask"]
    masked, allowed = int(np.flatnonzero(mask == 0)[0]), int(np.flatnonzero(mask)[0])
    typed(monkeypatch, str(masked), str(allowed))
    assert main(["play", "synthetic", "--env-args", "n_actions=5", "mask_rate=0.6", "--rounds", "1"]) == 0
    said = capsys.readouterr().out
    assert f"action: expected a prompt that this round's action_mask allows, got {masked}" in said
    assert f"action  {allowed}  " in said


@pytest.mark.parametrize(("end", "status"), [("q", 0), (EOFError, 0), (KeyboardInterrupt, 130)])
def test_what_was_played_is_recorded_however_it_ends(end, status, monkeypatch, capsys, tmp_path) -> None:
    typed(monkeypatch, "3", "1", end)
    out = ["--out", str(tmp_path / "mine")]
    assert main(["play", "synthetic", *FIVE, *out]) == status
    assert f"recorded in {tmp_path / 'mine'}" in capsys.readouterr().out
    data = BanditDataset.load(tmp_path / "mine")
    assert data.action.tolist() == [3, 1]
    assert data.round_id.tolist() == [0, 1]
    assert data.propensity is None
    assert dict(data.spec or {})["kwargs"] == {"n_actions": 5}
    typed(monkeypatch, "4", "q")
    assert main(["play", "synthetic", *FIVE, *out, "--resume"]) == 0
    assert BanditDataset.load(tmp_path / "mine").action.tolist() == [3, 1, 4]
    typed(monkeypatch, "4", "q")
    assert main(["play", "synthetic", *FIVE, *out]) == 1
    assert "--resume goes on with a dataset" in capsys.readouterr().err


def test_nothing_played_leaves_nothing(monkeypatch, capsys, tmp_path) -> None:
    typed(monkeypatch)
    assert main(["play", "synthetic", *FIVE, "--out", str(tmp_path / "mine")]) == 0
    assert "no round played" in capsys.readouterr().out
    assert not (tmp_path / "mine").exists()


def test_playing_with_pipes_gives_one_json_object() -> None:
    command = [sys.executable, "-m", "agents.cli.main", "play", "synthetic", *FIVE, "--json"]
    done = subprocess.run(command, input="2\n0\n", capture_output=True, text=True, check=True)
    assert json.loads(done.stdout)["rounds"] == 2
    assert "2 rounds · your mean reward" in done.stderr


def test_environments_of_others_cannot_be_played(capsys) -> None:
    assert main(["play", "CartPole-v1"]) == 2
    assert "env: expected an environment of this package for play" in capsys.readouterr().err


def test_candidates_are_allowed_ones_and_others_every_turn() -> None:
    prompts = Prompts.from_embedding(np.zeros((50, 2)), [f"prompt {i}" for i in range(50)])
    mask = np.arange(50)[None] % 2 == 0
    obs = Observation(np.zeros((1, 2), np.float32), prompts, action_mask=mask)
    shown = some_prompts(obs, 8, seed=0, turn=1)
    assert len(set(shown.tolist())) == 8
    assert (shown % 2 == 0).all()
    assert shown.tolist() == some_prompts(obs, 8, seed=0, turn=1).tolist() != some_prompts(obs, 8, 0, 2).tolist()
    assert len(some_prompts(obs, 99, seed=0, turn=0)) == 25
    assert found_prompts(obs, "PROMPT 4", 99).tolist() == [4, 40, 42, 44, 46, 48]
