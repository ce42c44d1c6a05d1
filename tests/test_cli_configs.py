"""Configs: dataclasses to YAML and JSON and back, and what a wrong file is told."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import pytest

from agents import learners
from agents.configs import from_plain, pairs, read_config, read_values, to_plain, write_config, write_values
from prompt_bandits.movie.config import MovieConfig
from prompt_bandits.synthetic import SyntheticConfig


@dataclass(frozen=True)
class Inner:
    steps: int = 5


@dataclass(frozen=True)
class Outer:
    n: int
    lr: float = 0.1
    how: Literal["fast", "slow"] = "fast"
    where: Path | None = None
    settings: tuple[str, ...] = ()
    span: tuple[float, float] | None = None
    inner: Inner = field(default_factory=Inner)
    flag: bool = False


FULL = Outer(3, 5e-4, "slow", Path("a/b"), ("x=1", "y.z=none"), (0.0, 1.5), Inner(7), True)


@pytest.mark.parametrize("ending", ["yaml", "yml", "json"])
def test_a_config_is_what_it_was_after_a_file(ending, tmp_path) -> None:
    for config in (FULL, Outer(1), SyntheticConfig(n_actions=7, mapping="linear"), MovieConfig(llm_options={"a": 1})):
        write_config(config, tmp_path / f"config.{ending}")
        assert read_config(type(config), tmp_path / f"config.{ending}") == config


@pytest.mark.parametrize("name", learners.__all__)
def test_every_learner_is_a_config(name, tmp_path) -> None:
    learner: Any = getattr(learners, name)()
    write_config(learner, tmp_path / "learner.yaml")
    assert read_config(type(learner), tmp_path / "learner.yaml") == learner


def test_numbers_with_exponents_are_numbers_although_yaml_reads_texts(tmp_path) -> None:
    (tmp_path / "a.yaml").write_text("n: 1e3\nlr: 5e-4\n")
    assert read_values(tmp_path / "a.yaml") == {"n": "1e3", "lr": "5e-4"}
    assert read_config(Outer, tmp_path / "a.yaml") == Outer(1000, 5e-4)


def test_a_mapping_does_for_a_tuple_of_pairs() -> None:
    given = {"a": 1, "b": {"c": "x", "d": None}, "e": [1, 2], "f": True}
    assert pairs(given) == ["a=1", "b.c=x", "b.d=none", "e=[1, 2]", "f=true"]
    assert from_plain(Outer, {"n": 1, "settings": given}).settings == tuple(pairs(given))


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({"n": 1, "lrr": 2}, "lrr: no such field; did you mean 'lr'?"),
        ({"n": 1, "zzzz": 2}, "zzzz: no such field; expected one of n, lr"),
        ({}, "n: expected a value, got none"),
        ({"n": "many"}, "n: expected an integer, got 'many'"),
        ({"n": 1.5}, "n: expected an integer, got 1.5"),
        ({"n": True}, "n: expected an integer, got True"),
        ({"n": 1, "flag": 1}, "flag: expected true or false, got 1"),
        ({"n": 1, "how": "slowly"}, "how: expected one of fast, slow, got 'slowly'"),
        ({"n": 1, "where": 3}, "where: expected a path or nothing, got 3"),
        ({"n": 1, "settings": "x=1"}, "settings: expected a list, got 'x=1'"),
        ({"n": 1, "span": [1]}, "span: expected 2 values, got 1"),
        ({"n": 1, "inner": {"step": 1}}, "inner.step: no such field; did you mean 'steps'?"),
        ({"n": 1, "inner": 3}, "inner: expected values by the names of fields, got 3"),
        ([1], "expected values by the names of fields, got [1]"),
    ],
)
def test_what_is_wrong_is_named(values, says) -> None:
    with pytest.raises(ValueError, match=r"expected|no such field") as error:
        from_plain(Outer, values)
    assert says in str(error.value)


def test_objects_are_no_plain_values() -> None:
    with pytest.raises(TypeError, match="expected plain values, got <object"):
        to_plain({"a": object()})


@pytest.mark.parametrize(
    ("name", "text", "says"),
    [
        ("a.yaml", "n: [1", "expected YAML"),
        ("a.json", "{n: 1}", "expected JSON"),
        ("a.yaml", "- 1", "expected values by the names of fields"),
        ("a.toml", "n = 1", "expected a file that ends with .yaml, .yml or .json"),
        ("a.yaml", "n: !!python/object/apply:os.getcwd []", "expected YAML"),
    ],
)
def test_a_file_that_is_no_config_is_refused_by_name(name, text, says, tmp_path) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(ValueError, match="a\\.") as error:
        read_values(tmp_path / name)
    assert says in str(error.value)
    assert name in str(error.value)


def test_writing_leaves_the_former_file_where_it_fails(tmp_path) -> None:
    write_values({"a": "é"}, tmp_path / "a.yaml")
    with pytest.raises(TypeError):
        write_values({"a": object()}, tmp_path / "a.yaml")
    assert read_values(tmp_path / "a.yaml") == {"a": "é"}
    assert [file.name for file in tmp_path.iterdir()] == ["a.yaml"]
