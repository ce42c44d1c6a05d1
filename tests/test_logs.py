"""People's own logs: what is taken in, what is refused and how that is told."""

from __future__ import annotations

import json
import math
import time
from datetime import date, datetime, timezone

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from agents.learners import BehaviourCloning
from prompt_bandits import BanditDataset, Prompts
from prompt_bandits.datasets import StoredDataset
from prompt_bandits.logs import BadLog, LogColumns, check_log, import_log, read_log
from prompt_bandits.logs.sources import CHUNK
from prompt_bandits.logs.values import seconds_of

PROMPTS = Prompts(np.array([5, 7, 9]), np.eye(3, dtype=np.float32), np.array(["brief", "kind", "funny"], object))
ROWS = {
    "age": [30, 41.5, 22],
    "tags": [[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]],
    "question": ["a cat?", "dogs", "a cat?"],
    "shown": ["kind", "brief", "kind"],
    "clicks": [1, 0, 2.5],
    "p": [0.5, 0.25, 1.0],
    "who": ["bob", "al", "bob"],
    "answer": ["yes a", "no", "maybe"],
    "could": [["kind", "brief"], ["brief"], ["kind", "funny"]],
    "when": ["2024-01-01", "2024-01-02T12:00:00", "2024-01-02T12:00:00+02:00"],
    "number": [100, 101, 99],
    "group": ["a", None, "b"],
    "score": [1.5, None, 2],
}
COLUMNS = LogColumns(
    context=["age", "tags"],
    query="question",
    action="shown",
    reward="clicks",
    propensity="p",
    user_id="who",
    sentence="answer",
    candidates="could",
    time="when",
    round_id="number",
    extras=["group", "score"],
)


class Encoder:
    """(length, number of a's); counts the texts that it is asked for."""

    def __init__(self) -> None:
        self.asked = 0

    def encode(self, texts):
        self.asked += len(texts)
        return np.array([[len(text), text.count("a")] for text in texts], float)


def seconds(*date: int) -> float:
    return datetime(*date, tzinfo=timezone.utc).timestamp()


def check_rows(data: BanditDataset) -> None:
    """That they are ROWS."""
    np.testing.assert_allclose(data.obs.context, [[30, 1, 0], [41.5, 0, 1], [22, 1, 1]])
    np.testing.assert_allclose(data.obs.query, [[6, 2], [4, 0], [6, 2]])
    assert data.obs.query_text.tolist() == ROWS["question"]
    assert data.action.tolist() == [1, 0, 1]
    assert data.reward.tolist() == [1, 0, 2.5]
    assert data.propensity.tolist() == [0.5, 0.25, 1.0]
    assert data.obs.user_id.tolist() == [1, 0, 1]
    assert data.extras["user"].tolist() == ["bob", "al", "bob"]
    assert data.output.text.tolist() == ROWS["answer"]
    np.testing.assert_allclose(data.output.embedding, [[5, 1], [2, 0], [5, 1]])
    assert data.obs.action_mask.tolist() == [[True, True, False], [True, False, False], [False, True, True]]
    expected = [seconds(2024, 1, 1), seconds(2024, 1, 2, 12), seconds(2024, 1, 2, 10)]
    assert data.extras["time"].tolist() == expected
    assert data.round_id.tolist() == [100, 101, 99]
    assert data.extras["group"].tolist() == ["a", "", "b"]
    np.testing.assert_array_equal(data.extras["score"], [1.5, np.nan, 2])
    assert data.obs.prompts.same_as(PROMPTS)


def as_csv(rows, file) -> None:
    import csv

    with file.open("w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(rows)
        for row in zip(*rows.values(), strict=True):
            writer.writerow([json.dumps(value) if isinstance(value, list) else value for value in row])


def as_jsonl(rows, file) -> None:
    records = [dict(zip(rows, row, strict=True)) for row in zip(*rows.values(), strict=True)]
    file.write_text("".join(json.dumps(record) + "\n" for record in records))


def as_parquet(rows, file) -> None:
    pq.write_table(pa.table(rows), file)


@pytest.mark.parametrize(("name", "write"), [("log.csv", as_csv), ("log.jsonl", as_jsonl), ("log.parquet", as_parquet)])
def test_files_are_read_into_memory_and_into_folders(tmp_path, name, write) -> None:
    write(ROWS, tmp_path / name)
    check_rows(BanditDataset.from_file(tmp_path / name, COLUMNS, prompts=PROMPTS, encoder=Encoder()))
    stored = import_log(tmp_path / name, tmp_path / "d", COLUMNS, prompts=PROMPTS, encoder=Encoder())
    check_rows(stored.load())
    assert str(check_log(tmp_path / name, COLUMNS, prompts=PROMPTS, encoder=Encoder())) == "3 rows, all fine"


def test_tables_in_memory_are_read(tmp_path) -> None:
    pandas = pytest.importorskip("pandas")
    for table in (ROWS, pa.table(ROWS), pandas.DataFrame(ROWS)):
        check_rows(BanditDataset.from_dataframe(table, COLUMNS, prompts=PROMPTS, encoder=Encoder()))
    frame = pandas.DataFrame(ROWS)
    frame["when"] = pandas.to_datetime(frame["when"], utc=True, format="ISO8601")
    frame["group"] = frame["group"].astype("string")
    frame["who"] = frame["who"].astype("category")
    check_rows(BanditDataset.from_dataframe(frame, COLUMNS, prompts=PROMPTS, encoder=Encoder()))


def small(**changes):
    return {"x": [0.1, 0.2, 0.3], "a": [7, 5, 7], "r": [1, 0, 1]} | changes


SMALL = LogColumns(context="x", action="a", reward="r")


def test_unknown_propensities_are_allowed_and_marked(tmp_path) -> None:
    data = read_log(small(), SMALL)
    assert data.propensity is None
    with pytest.raises(ValueError, match="propensity: unknown in this dataset"):
        data.require_propensity()
    info = json.loads((data.save(tmp_path / "d") / "meta/info.json").read_text())
    assert info["propensity"] == "unknown"
    BehaviourCloning(steps=2).fit(data, seed=0)


def test_actions_are_ids_or_texts_and_prompts_are_made_of_them_if_need_be() -> None:
    by_id = read_log(small(), SMALL)
    assert by_id.obs.prompts.prompt_id.tolist() == [5, 7]
    assert by_id.action.tolist() == [1, 0, 1]
    np.testing.assert_array_equal(by_id.obs.prompts.embedding, np.eye(2))
    assert read_log(small(), SMALL, prompts=PROMPTS).action.tolist() == [1, 0, 1]
    texts = small(a=["kind", "brief", "kind"])
    by_text = read_log(texts, SMALL)
    assert by_text.obs.prompts.text.tolist() == ["brief", "kind"]
    assert by_text.action.tolist() == [1, 0, 1]
    np.testing.assert_array_equal(read_log(texts, SMALL, encoder=Encoder()).obs.prompts.embedding, [[5, 0], [4, 0]])
    with pytest.raises(ValueError, match="a: expected ids of prompts, or prompts with texts to find these among"):
        read_log(texts, SMALL, prompts=Prompts.one_hot(3))


BAD = {
    "age": [30, "old", 22, 1, 1, 1, 1],
    "tags": [[1.0, 0.0], [1.0, 1.0], [0.0], [1, 2], [1, math.inf], [1, 2], None],
    "shown": ["kind", "brief", "kind", "rude", "brief", None, "kind"],
    "clicks": [1, 0, math.nan, 1, 0, 1, True],
    "p": [0.5, 1.5, 0.5, 0, None, 1, 1],
    "could": [["kind"], ["brief"], ["brief"], ["x"], "brief", [], ["kind"]],
    "when": [0, "yesterday", 5, 5, 5, 5, 5],
    "number": [1, 2, 3, 4, 1, -1, 2.5],
}
BAD_COLUMNS = LogColumns(["age", "tags"], "shown", "clicks", "p", candidates="could", time="when", round_id="number")
SAID = """
row 1: age: expected a finite number, got 'old'
row 1: p: expected a number in (0, 1], got 1.5
row 1: when: expected seconds, a date or an ISO text, got 'yesterday'
row 2: clicks: expected a finite number, got nan
row 2: tags: expected 2 finite numbers, got [0.0]
row 2: could: expected the action among the candidates, got ['brief']
row 3: shown: expected the text of a prompt, got 'rude'
row 3: p: expected a number in (0, 1], got 0
row 3: could: expected a list of prompts, got ['x']
row 4: number: expected a round of its own, got '1, as row 0'
row 4: tags: expected 2 finite numbers, got [1, inf]
row 4: p: expected a number in (0, 1], got None
row 4: could: expected a list of prompts, got 'brief'
row 5: number: expected an integer from 0, got -1
row 5: shown: expected the text of a prompt, got None
row 5: could: expected a list of prompts, got []
row 6: number: expected an integer from 0, got 2.5
row 6: tags: expected 2 finite numbers, got None
"""


def test_every_problem_of_every_row_is_told_before_anything_is_written(tmp_path) -> None:
    report = check_log(BAD, BAD_COLUMNS, prompts=PROMPTS)
    assert (report.n_rows, report.bad_rows) == (7, 6)
    assert "\n".join(map(str, report.problems)) == SAID.strip()
    assert "         3  could: expected a list of prompts" in str(report)
    with pytest.raises(BadLog, match="7 rows, 6 of them with problems") as caught:
        import_log(BAD, tmp_path / "d", BAD_COLUMNS, prompts=PROMPTS)
    assert caught.value.report.problems == report.problems
    assert list(tmp_path.iterdir()) == []


def test_bad_rows_are_left_out_on_demand_and_the_others_keep_their_numbers(tmp_path) -> None:
    rows = small(x=[0.1, None, 0.3])
    with pytest.warns(UserWarning, match="bad rows are left out: 3 rows, 1 of them"):
        data = read_log(rows, SMALL, bad_rows="drop")
    assert data.round_id.tolist() == [0, 2]
    with pytest.warns(UserWarning, match="left out"):
        assert len(import_log(rows, tmp_path / "d", SMALL, bad_rows="drop")) == 2
    with pytest.raises(BadLog):
        read_log(small(x=[None, "x", math.inf]), LogColumns("x", "a", "r"), bad_rows="drop", encoder=None)
    with pytest.raises(ValueError, match="bad_rows: expected 'raise' or 'drop', got 'ignore'"):
        read_log(rows, SMALL, bad_rows="ignore")


def test_lines_that_are_no_rows_are_told(tmp_path) -> None:
    (tmp_path / "log.csv").write_text("x,a,r\n0.1,7,1\n0.2,5\n0.3,7,1,9\n\n0.4,7,0\n")
    report = check_log(tmp_path / "log.csv", SMALL)
    assert [str(problem) for problem in report.problems] == [
        "row 1: the row: expected 3 values, got ['0.2', '5']",
        "row 2: the row: expected 3 values, got ['0.3', '7', '1', '9']",
    ]
    (tmp_path / "log.jsonl").write_text('{"x": 1, "a": 7, "r": 1}\nnonsense\n[1]\n\n{"x": 1, "a": 7}\n')
    report = check_log(tmp_path / "log.jsonl", SMALL)
    assert [str(problem) for problem in report.problems] == [
        "row 1: the row: expected a JSON object, got 'nonsense'",
        "row 2: the row: expected a JSON object, got '[1]'",
        "row 3: r: expected a finite number, got None",
    ]


def test_what_cannot_be_a_log_is_told(tmp_path) -> None:
    (tmp_path / "log.txt").write_text("x")
    (tmp_path / "empty.csv").write_text("")
    (tmp_path / "header.csv").write_text("x,a,r\n")
    (tmp_path / "bad.parquet").write_bytes(b"PAR1nothing")
    for log, columns, kind, message in (
        (tmp_path / "none.csv", SMALL, FileNotFoundError, "expected a file with a log"),
        (tmp_path / "log.txt", SMALL, ValueError, "expected a file that ends in .csv"),
        (tmp_path / "empty.csv", SMALL, ValueError, "expected a header"),
        (tmp_path / "header.csv", SMALL, ValueError, "expected at least one row"),
        (tmp_path / "bad.parquet", SMALL, ValueError, "not readable as Parquet"),
        (small(), LogColumns("x", "prompt", "r"), ValueError, "columns: expected prompt in the log, which has x, a, r"),
        (small(x=["a", "b", "c"]), SMALL, ValueError, "x: expected numbers or lists of numbers, or an encoder"),
        (small(x=[1]), SMALL, ValueError, "columns: expected one length"),
        (small(a=[None] * 3), SMALL, ValueError, "expected at least one row with an action"),
    ):
        with pytest.raises(kind, match=message):
            check_log(log, columns)
    as_csv(small(), tmp_path / "log.csv")
    (tmp_path / "taken").write_text("x")
    with pytest.raises(FileExistsError):
        import_log(tmp_path / "log.csv", tmp_path / "taken", SMALL)


def test_logs_longer_than_a_chunk_keep_their_order_and_numbers(tmp_path) -> None:
    n = 2 * CHUNK + 100
    rows = {"x": np.arange(n) / n, "a": np.arange(n) % 3, "r": np.arange(n) * 0.5}
    rows["r"][CHUNK + 5] = np.nan
    as_csv({name: column.tolist() for name, column in rows.items()}, tmp_path / "log.csv")
    with pytest.warns(UserWarning, match=f"row {CHUNK + 5}: r: expected a finite number"):
        stored = import_log(tmp_path / "log.csv", tmp_path / "d", SMALL, bad_rows="drop")
    data = stored.load()
    keep = np.arange(n) != CHUNK + 5
    np.testing.assert_array_equal(data.round_id, np.arange(n)[keep])
    np.testing.assert_array_equal(data.reward, rows["r"][keep])
    np.testing.assert_array_equal(data.action, rows["a"][keep])


def test_large_ids_are_exact_and_each_text_is_embedded_once() -> None:
    big = 2**60 + 1
    data = read_log(small(n=[big, big + 1, 3]), LogColumns("x", "a", "r", round_id="n"))
    assert data.round_id.tolist() == [big, big + 1, 3]
    encoder = Encoder()
    read_log(small(x=["same", "same", "other"]), SMALL, encoder=encoder)
    assert encoder.asked == 2


def test_extras_are_kept_as_they_are(tmp_path) -> None:
    n = CHUNK + 3
    rows = {"x": [0.0] * n, "a": [1] * n, "r": [1.0] * n}
    rows |= {
        "id": [2**60 + i for i in range(n)],
        "zip": ["01234"] * n,
        "late": ["5"] * CHUNK + ["N4L", "6", "7"],
        "number": [1.5] * (n - 1) + [None],
        "count": [3] * (n - 1) + [4.5],
    }
    columns = LogColumns("x", "a", "r", extras=["id", "zip", "late", "number", "count"])
    data = read_log(rows, columns)
    assert data.extras["id"].tolist() == rows["id"]
    assert data.extras["zip"].tolist() == rows["zip"]
    assert data.extras["late"].tolist() == rows["late"]
    assert np.isnan(data.extras["number"][-1])
    assert data.extras["count"][[0, -1]].tolist() == [3.0, 4.5]
    as_csv({name: rows[name][-3:] for name in rows}, tmp_path / "log.csv")
    from_csv = read_log(tmp_path / "log.csv", columns)
    assert from_csv.extras["id"].tolist() == rows["id"][-3:]
    assert from_csv.extras["zip"].tolist() == ["01234"] * 3
    assert from_csv.extras["late"].tolist() == ["N4L", "6", "7"]
    for names, extra in (({"time": "r"}, "time"), ({"user_id": "a"}, "user")):
        with pytest.raises(ValueError, match=f"extras: '{extra}' is what"):
            LogColumns("x", "a", "r", extras=[extra], **names)


def test_odd_values_are_problems_of_their_rows_not_tracebacks() -> None:
    rows = {
        "x": [0.5, 1e39, 0.5, 0.5, 0.5, 0.5],
        "v": [[1.0], [1.0], [-1e39], [1.0], [1.0], [10**400]],
        "a": ["p", "p", "p", ["p"], {"p": 1}, "p"],
        "r": [1, 1, 1, 1, 1, 10**400],
        "u": [1, 2, 3, [4], 5, 2**64],
        "s": ["ok", "ok", "\ud83d", "ok", "ok", "ok"],
    }
    columns = LogColumns(["x", "v"], "a", "r", user_id="u", sentence="s")
    with pytest.warns(UserWarning, match="6 rows, 5 of them"):
        data = read_log(rows, columns, bad_rows="drop")
    assert data.round_id.tolist() == [0]
    said = str(check_log(rows, columns))
    for expected in (
        "row 1: x: expected a finite number, got 1e+39",
        "row 2: v: expected 1 finite numbers, got [-1e+39]",
        "row 2: s: expected a text",
        "row 3: a: expected the text of a prompt, got ['p']",
        "row 5: r: expected a finite number",
    ):
        assert expected in said


def test_users_that_differ_in_writing_are_different_users() -> None:
    data = read_log(small(u=["007", "7", "007"]), LogColumns("x", "a", "r", user_id="u"))
    assert data.obs.user_id.tolist() == [0, 1, 0]


def test_dates_of_numpy_are_dates() -> None:
    times = np.array(["2024-01-01", "2024-01-02", "2024-01-03"], "datetime64[ns]")
    data = read_log(small(t=times), LogColumns("x", "a", "r", time="t"))
    assert data.extras["time"][0] == seconds(2024, 1, 1)


def test_files_that_cannot_be_read_as_text_are_named(tmp_path) -> None:
    (tmp_path / "latin.csv").write_bytes("x,a,r\n0.1,7,1\n0.1,caf\xe9,1\n".encode("latin-1"))
    (tmp_path / "latin.jsonl").write_bytes('{"x": 1, "a": "caf\xe9", "r": 1}\n'.encode("latin-1"))
    (tmp_path / "twice.csv").write_text("x,a,r,r\n1,7,1,0\n")
    for name, message in (
        ("latin.csv", r"latin\.csv: expected UTF-8, got byte 0xe9"),
        ("latin.jsonl", r"latin\.jsonl: expected UTF-8, got byte 0xe9"),
        ("twice.csv", "columns: expected each name once in the log, got r again"),
    ):
        with pytest.raises(ValueError, match=message):
            check_log(tmp_path / name, SMALL)
    with pytest.raises(ValueError, match="columns: expected r in the log, which has x, a, 5"):
        check_log({"x": [1], "a": [1], 5: [1]}, SMALL)
    (tmp_path / "deep.jsonl").write_text("[" * 100_000 + "\n" + '{"x": 1, "a": 7, "r": 1}\n')
    assert check_log(tmp_path / "deep.jsonl", SMALL).bad_rows == 1
    (tmp_path / "bom.jsonl").write_text('\ufeff{"x": 1, "a": 7, "r": 1}\n')
    assert check_log(tmp_path / "bom.jsonl", SMALL).fine
    long = json.dumps([0.123456789] * 20_000)
    as_csv({"x": [long, long], "a": [1, 2], "r": [0, 1]}, tmp_path / "long.csv")
    assert read_log(tmp_path / "long.csv", SMALL).obs.context.shape == (2, 20_000)
    late = ['{"x": 1, "a": 7, "r": 1}'] * (CHUNK + 1) + ['{"x": 1, "a": 7, "r": 1, "late": "here"}']
    (tmp_path / "late.jsonl").write_text("\n".join(late))
    data = read_log(tmp_path / "late.jsonl", LogColumns("x", "a", "r", extras=["late"]))
    assert data.extras["late"][-1] == "here"


def test_an_embedding_column_needs_no_encoder() -> None:
    rows = small(o=[[1, 2], [3, 4], [5, 6]], s=["x", "y", "z"])
    data = read_log(rows, LogColumns("x", "a", "r", output="o", sentence="s"))
    np.testing.assert_array_equal(data.output.embedding, [[1, 2], [3, 4], [5, 6]])
    assert read_log(rows, LogColumns("x", "a", "r", sentence="s")).output.embedding is None
    with pytest.raises(ValueError, match="s: expected numbers or lists of numbers"):
        read_log(rows, LogColumns("x", "a", "r", output="s"), encoder=Encoder())


def test_a_real_sentence_encoder_serves(tmp_path) -> None:
    """A small sentence-transformers model, built here."""
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import BoW

    model = SentenceTransformer(modules=[BoW(["cat", "dogs", "kind", "brief"])])
    log = small(q=["cat", "dogs", "cat dogs"], a=["kind", "brief", "kind"])
    data = read_log(log, LogColumns("x", "a", "r", query="q"), encoder=model)
    np.testing.assert_array_equal(data.obs.query, [[1, 0, 0, 0], [0, 1, 0, 0], [1, 1, 0, 0]])
    np.testing.assert_array_equal(data.obs.prompts.embedding, [[0, 0, 0, 1], [0, 0, 1, 0]])


def test_a_time_without_a_zone_is_utc_wherever_it_is_read(monkeypatch) -> None:
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    time.tzset()
    try:
        assert seconds_of("2024-02-01") == seconds_of(date(2024, 2, 1)) == seconds(2024, 2, 1)
        assert seconds_of("2024-02-01T09:00:00+09:00") == seconds(2024, 2, 1)
    finally:
        monkeypatch.undo()
        time.tzset()


def test_the_past_is_split_from_what_came_after() -> None:
    data = read_log(small(t=["2024-03-01", "2024-01-01", "2024-02-01"]), LogColumns("x", "a", "r", time="t"))
    before, after = data.split_by_time(0.67)
    assert (before.round_id.tolist(), after.round_id.tolist()) == ([1, 2], [0])
    before, after = data.split_by_time(at=seconds(2024, 2, 1))
    assert len(data.split_by_time(at="2024-02-01")[0]) == len(data.split_by_time(at=date(2024, 2, 1))[0]) == len(before)
    assert (before.round_id.tolist(), after.round_id.tolist()) == ([1], [0, 2])
    ties = read_log(small(t=[5, 5, 9]), LogColumns("x", "a", "r", time="t"))
    assert [len(part) for part in ties.split_by_time(0.67)] == [2, 1]
    for call, message in (
        (lambda: ties.split_by_time(0.4), "expected rounds before 5.0 and from then on, got 0 before"),
        (lambda: ties.split_by_time(), "expected one of fraction and at"),
        (lambda: ties.split_by_time(at="yesterday"), "at: expected seconds, a date or an ISO text, got 'yesterday'"),
        (lambda: ties.split_by_time(1.0), r"fraction: expected in \(0, 1\)"),
        (lambda: ties.split_by_time(0.5, column="when"), r"column: expected numbers among the extras \['time'\]"),
    ):
        with pytest.raises(ValueError, match=message):
            call()


def test_a_report_keeps_its_size(tmp_path) -> None:
    n = 30_000
    log = {"x": [None] * n, "a": [1] * n, "r": [1.0] * n, "y": [0.0] * n}
    report = check_log(log, LogColumns(["y", "x"], "a", "r"), encoder=Encoder())
    assert (report.bad_rows, len(report.problems)) == (n, 10_000)
    assert "… and 29,980 more" in str(report)
    assert len(str(report).splitlines()) < 30


def test_an_imported_folder_is_a_dataset_like_any_other(tmp_path) -> None:
    import_log(small(), tmp_path / "d", SMALL)
    stored = StoredDataset.open(tmp_path / "d")
    assert stored.spec is None
    assert stored.summary().n == 3
    import_log(small(r=[5, 5, 5]), tmp_path / "d", SMALL, overwrite=True)
    assert BanditDataset.load(tmp_path / "d").reward.tolist() == [5, 5, 5]
