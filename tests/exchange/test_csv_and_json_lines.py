"""CSV and JSONL: what is written comes back, and what was edited badly is told row by row."""

from __future__ import annotations

import csv
import json
from dataclasses import replace

import numpy as np
import pytest

from prompt_bandits import BanditDataset, Prompts
from prompt_bandits.exchange import export_dataset, import_dataset
from prompt_bandits.logs import BadLog, LogColumns

from .full_rounds import FULL, check_same

ORACLE = ("oracle['expected_reward']",)
PLAIN = BanditDataset.from_arrays(
    np.array([[1.5], [2.5]]), np.array([1, 0]), np.array([0.5, 1.0]), prompts=Prompts.one_hot(2)
)
FILES = pytest.mark.parametrize("name", ["csv", "jsonl"])


@FILES
def test_rounds_come_back(name, tmp_path) -> None:
    export_dataset(FULL, name, tmp_path / f"log.{name}")
    check_same(import_dataset(name, tmp_path / f"log.{name}"), FULL, without=ORACLE)


@FILES
def test_oracle_columns_come_back_where_they_are_asked_for(name, tmp_path) -> None:
    export_dataset(FULL, name, tmp_path / f"log.{name}", oracle=True)
    check_same(import_dataset(name, tmp_path / f"log.{name}"), FULL)


@FILES
def test_rounds_without_propensities_or_texts_come_back(name, tmp_path) -> None:
    export_dataset(PLAIN, name, tmp_path / f"log.{name}")
    check_same(import_dataset(name, tmp_path / f"log.{name}"), PLAIN)


@FILES
def test_a_folder_gives_the_file_of_its_rows(name, logged, tmp_path) -> None:
    many = BanditDataset.concat([logged] * 14)  # more than are in memory at a time
    many = replace(many, round_id=np.arange(len(many)))
    many.save(tmp_path / "data")
    export_dataset(many, name, tmp_path / f"a.{name}")
    export_dataset(BanditDataset.open(tmp_path / "data"), name, tmp_path / f"b.{name}")
    assert (tmp_path / f"a.{name}").read_text() == (tmp_path / f"b.{name}").read_text()
    assert (tmp_path / f"a.prompts.{name}").read_text() == (tmp_path / f"b.prompts.{name}").read_text()


@FILES
def test_without_the_file_of_prompts_they_are_those_that_were_chosen(name, tmp_path) -> None:
    export_dataset(FULL, name, tmp_path / f"log.{name}")
    (tmp_path / f"log.prompts.{name}").unlink()
    found = import_dataset(name, tmp_path / f"log.{name}")
    np.testing.assert_array_equal(found.prompts.embedding, np.eye(4))  # candidates name the last one
    assert found.prompts.text is None  # which nobody saw
    np.testing.assert_array_equal(found.action, FULL.action)
    seen = BanditDataset.from_arrays(
        np.zeros((2, 1)), np.array([1, 0]), np.zeros(2), prompts=Prompts.from_embedding(np.ones((2, 1)), ["a", "b"])
    )
    export_dataset(seen, name, tmp_path / f"seen.{name}")
    (tmp_path / f"seen.prompts.{name}").unlink()
    assert import_dataset(name, tmp_path / f"seen.{name}").prompts.text.tolist() == ["a", "b"]


def test_a_row_of_csv_is_readable_by_people(tmp_path) -> None:
    export_dataset(FULL, "csv", tmp_path / "log.csv")
    with (tmp_path / "log.csv").open(newline="") as stream:
        row = list(csv.DictReader(stream))[1]
    assert row["prompt"] == "Sei höflich: ¿sí?"
    assert row["context"] == "[1e-07,2.0]"
    assert row["candidates"] == "[1,2,3]"
    assert (row["propensity"], row["extras.time"], row["extras.new"]) == ("0.25", "", "false")
    assert row["sentence"] == 'one,"two"\r\nthree'


def test_a_line_of_json_is_valid_json(tmp_path) -> None:
    export_dataset(FULL, "jsonl", tmp_path / "log.jsonl")
    lines = (tmp_path / "log.jsonl").read_text(encoding="utf-8").split("\n")
    assert len(lines) == 5
    record = json.loads(lines[1], parse_constant=pytest.fail)
    assert record["extras.time"] is None
    assert record["context"] == [1e-07, 2.0]


def test_texts_in_json_that_write_numbers_stay_texts(tmp_path) -> None:
    data = BanditDataset.from_arrays(
        np.zeros((2, 1)), np.array([1, 0]), np.zeros(2), prompts=2, extras={"zip": np.array(["10115", "20095"], object)}
    )
    export_dataset(data, "jsonl", tmp_path / "log.jsonl")
    assert import_dataset("jsonl", tmp_path / "log.jsonl").extras["zip"].tolist() == ["10115", "20095"]


def test_digits_that_are_no_usual_integer_stay_texts_in_csv(tmp_path) -> None:
    data = BanditDataset.from_arrays(
        np.zeros((2, 1)), np.array([1, 0]), np.zeros(2), prompts=2, extras={"zip": np.array(["007", "10115"], object)}
    )
    export_dataset(data, "csv", tmp_path / "log.csv")
    assert import_dataset("csv", tmp_path / "log.csv").extras["zip"].tolist() == ["007", "10115"]


def test_columns_of_other_names_become_extras(tmp_path) -> None:
    (tmp_path / "log.jsonl").write_text('{"context": 1.5, "action": 0, "reward": 1, "note": "x"}\n')
    found = import_dataset("jsonl", tmp_path / "log.jsonl")
    assert found.extras["note"].tolist() == ["x"]
    assert found.obs.context.tolist() == [[1.5]]


def test_what_was_edited_badly_is_told_row_by_row(tmp_path) -> None:
    (tmp_path / "log.csv").write_text(
        'context,action,reward,propensity\n"[1,2]",0,1,0.5\n"[1]",0,1,0.5\n"[1,2]",x,1,0.5\n"[1,2]",0,1,0\n'
    )
    with pytest.raises(BadLog) as told:
        import_dataset("csv", tmp_path / "log.csv")
    assert [str(problem) for problem in told.value.report.problems] == [
        "row 1: context: expected 2 finite numbers, got [1]",
        "row 2: action: expected an integer, got 'x'",
        "row 3: propensity: expected a number in (0, 1], got '0'",
    ]
    with pytest.warns(UserWarning, match="bad rows are left out"):
        assert import_dataset("csv", tmp_path / "log.csv", bad_rows="drop").round_id.tolist() == [0]


def test_a_missing_column_is_told(tmp_path) -> None:
    (tmp_path / "log.csv").write_text("age,action,reward\n1,0,1\n")
    with pytest.raises(ValueError, match="columns: expected context, found age, action, reward; of a log"):
        import_dataset("csv", tmp_path / "log.csv")


@pytest.mark.parametrize("wrap", [dict, lambda names: LogColumns(**names)])
def test_a_log_with_other_names_is_read_with_a_table_of_prompts(wrap, tmp_path) -> None:
    (tmp_path / "log.csv").write_text("age,shown,clicked\n31,kind,1\n47,brief,0\n")
    (tmp_path / "mine.csv").write_text("prompt_id,text\n5,brief\n6,kind\n7,new\n")
    columns = wrap({"context": "age", "action": "shown", "reward": "clicked"})
    found = import_dataset("csv", tmp_path / "log.csv", columns=columns, prompts=tmp_path / "mine.csv")
    assert found.action.tolist() == [1, 0]
    assert found.prompts.prompt_id.tolist() == [5, 6, 7]
    assert found.prompts.text.tolist() == ["brief", "kind", "new"]
