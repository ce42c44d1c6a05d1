"""The cache of sentences, and the model that reads it."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path

import pytest
from llm_models import SAMPLING, MadeUpModel, answers, asking, some_requests

from prompt_bandits.llms.cache import CachedLM, SentenceCache
from prompt_bandits.llms.failures import BudgetExceeded, RequestsFailed
from prompt_bandits.llms.requests import (
    Completion,
    GenerationError,
    Message,
    Sampling,
    TextRequest,
    request_fingerprint,
)
from prompt_bandits.llms.templates import PromptTemplate


def test_an_answer_is_asked_for_once_in_any_process(tmp_path) -> None:
    requests = some_requests(10)
    first, second = MadeUpModel(), MadeUpModel()
    found = answers(CachedLM(first, SentenceCache(tmp_path / "a.db")), requests)
    again = answers(CachedLM(second, SentenceCache(tmp_path / "a.db")), [*requests[5:], *some_requests(12)])
    assert again[:5] == found[5:]
    assert again[5:15] == found
    assert len(first.asked) == 10
    assert second.asked == some_requests(12)[10:]


def test_equal_requests_are_asked_once(tmp_path) -> None:
    inner = MadeUpModel()
    found = answers(CachedLM(inner, SentenceCache(tmp_path / "a.db")), some_requests(3) * 4)
    assert len(inner.asked) == 3
    assert found == found[:3] * 4


def test_the_answer_that_was_first_stays(tmp_path) -> None:
    cache, request = SentenceCache(tmp_path / "a.db"), some_requests(1)[0]
    identity = {"model": "m"}
    assert cache.put(identity, request, SAMPLING, Completion("one")) == Completion("one")
    assert SentenceCache(tmp_path / "a.db").put(identity, request, SAMPLING, Completion("two")) == Completion("one")
    assert len(cache) == 1


def test_a_fingerprint_depends_on_every_part_of_the_request() -> None:
    identity, request, sampling = {"model": "m", "revision": "1"}, some_requests(1)[0], Sampling()
    changed = [
        (identity | {"revision": "2"}, request, sampling),
        (identity | {"dtype": "float16"}, request, sampling),
        (identity, replace(request, text="other"), sampling),
        (identity, replace(request, key="slot 9"), sampling),
        (identity, replace(request, messages=(Message("system", request.text),)), sampling),
        (identity, replace(request, messages=(Message("user", "other"),)), sampling),
        (identity, replace(request, messages=request.messages * 2), sampling),
        *(
            (identity, request, replace(sampling, **{name: value}))
            for name, value in [
                ("temperature", 0.5),
                ("top_p", 0.9),
                ("top_k", 5),
                ("max_new_tokens", 7),
                ("stop", ("x",)),
            ]
        ),
    ]
    prints = [request_fingerprint(*what) for what in [(identity, request, sampling), *changed]]
    assert len(set(prints)) == len(prints)
    assert request_fingerprint(dict(reversed(identity.items())), request, sampling) == prints[0]


def test_a_model_that_dies_is_asked_only_for_the_rest_after_a_restart(tmp_path) -> None:
    requests = some_requests(12)
    with SentenceCache(tmp_path / "a.db") as cache:
        arrived = []
        with pytest.raises(GenerationError, match="the server is gone"):
            arrived += CachedLM(MadeUpModel(dies_after=5), cache).complete(requests, SAMPLING)
        assert len(cache) == 5
    restarted = MadeUpModel()
    with SentenceCache(tmp_path / "a.db") as cache:
        assert answers(CachedLM(restarted, cache), requests) == answers(MadeUpModel(), requests)
    assert restarted.asked == requests[:7]


_KILLED = """
import sys, time
sys.path.insert(0, {tests!r})
from llm_models import MadeUpModel
from prompt_bandits.llms.cache import CachedLM, SentenceCache
from prompt_bandits.llms.requests import Sampling, TextRequest

requests = [TextRequest(f"prompt {{i}}", (), "slot 0") for i in range(5_000)]
for i, completion in CachedLM(MadeUpModel(), SentenceCache({path!r})).complete(requests, Sampling()):
    print(i, flush=True)
"""


def test_killing_a_process_loses_no_answer_that_had_arrived(tmp_path) -> None:
    path = tmp_path / "a.db"
    script = _KILLED.format(tests=str(Path(__file__).parent), path=str(path))
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True) as process:
        arrived = [int(process.stdout.readline()) for _ in range(50)]
        process.send_signal(signal.SIGKILL)
        arrived += [int(line) for line in process.stdout if line.endswith("\n")]
    assert process.returncode == -signal.SIGKILL
    restarted = MadeUpModel()
    requests = [TextRequest(f"prompt {i}", (), "slot 0") for i in (*arrived, 0, 1)]
    assert answers(CachedLM(restarted, SentenceCache(path)), requests, Sampling()) == (
        answers(MadeUpModel(), requests, Sampling())
    )
    assert restarted.asked == requests[-2:]


_SHARED = """
import sys
sys.path.insert(0, {tests!r})
from llm_models import MadeUpModel
from prompt_bandits.llms.cache import CachedLM, SentenceCache
from prompt_bandits.llms.requests import Sampling, TextRequest

requests = [TextRequest(f"prompt {{i}}", (), "slot 0") for i in range({begin}, {begin} + 60)]
sys.stdin.readline()
for request in requests:
    assert len(dict(CachedLM(MadeUpModel(), SentenceCache({path!r})).complete([request], Sampling()))) == 1
"""


def test_several_processes_share_a_cache(tmp_path) -> None:
    path, tests = tmp_path / "a.db", str(Path(__file__).parent)
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", _SHARED.format(tests=tests, path=str(path), begin=begin)],
            stdin=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for begin in (0, 20, 40)
    ]
    errors = [process.communicate("\n")[1] for process in processes]
    assert errors == ["", "", ""]
    assert len(SentenceCache(path)) == 100


def test_a_forked_process_uses_a_connection_of_its_own(tmp_path) -> None:
    cache = SentenceCache(tmp_path / "a.db")
    answers(CachedLM(MadeUpModel(), cache), some_requests(3))
    connection = cache._file._connection
    child = os.fork()
    if child == 0:
        try:
            answers(CachedLM(MadeUpModel(), cache), some_requests(6))
            os._exit(int(cache._file._connection is connection))
        finally:
            os._exit(2)
    assert os.waitpid(child, 0)[1] == 0
    assert cache._file._connection is connection
    assert len(cache) == 6


def test_replay_never_asks_and_says_what_is_missing(tmp_path) -> None:
    cache, inner = SentenceCache(tmp_path / "a.db"), MadeUpModel()
    known = answers(CachedLM(MadeUpModel(), cache), some_requests(4))
    replay = CachedLM(inner, cache, replay=True)
    assert answers(replay, some_requests(4)) == known
    arrived = []
    with pytest.raises(
        GenerationError, match=r"^replay: 2 answers of .*made up.*a\.db; the first is .*Alien.* 'slot 1'"
    ):
        arrived.extend(replay.complete(some_requests(6), SAMPLING))
    assert len(arrived) == 4
    assert inner.asked == []


class Refusing(MadeUpModel):
    """Fails for some prompts, and tells by position which they were."""

    def __init__(self, *refused: str, kind: type[RequestsFailed] = RequestsFailed) -> None:
        super().__init__()
        self.refused, self.kind = refused, kind

    def complete(self, requests, sampling):
        reasons = {i: f"no {request.text}" for i, request in enumerate(requests) if request.text in self.refused}
        for i, answer in super().complete(requests, sampling):
            if i not in reasons:
                yield i, answer
        raise self.kind("made up", n=len(requests), missing=list(reasons), reasons=reasons, stopped="enough")


def test_a_failure_tells_positions_among_all_requests_not_among_those_the_cache_lacks(tmp_path) -> None:
    cache = SentenceCache(tmp_path / "a.db")
    answers(CachedLM(MadeUpModel(), cache), asking("a", "b"))
    arrived, model = [], CachedLM(Refusing("e", "d", kind=BudgetExceeded), cache)
    with pytest.raises(BudgetExceeded) as caught:
        arrived.extend(model.complete(asking("a", "e", "b", "c", "d", "e"), SAMPLING))
    assert sorted(i for i, _ in arrived) == [0, 2, 3]
    assert caught.value.missing == (1, 4, 5)
    assert caught.value.reasons == {1: "no e", 5: "no e", 4: "no d"}
    assert str(caught.value).splitlines() == [
        "made up: 3 of 6 requests have no answer, 3 have",
        "stopped: enough",
        "3 failed, the first: 1: no e; 5: no e; 4: no d",
        "missing: 1, 4-5",
    ]


def test_replay_tells_the_positions_of_what_is_not_in_the_cache(tmp_path) -> None:
    cache = SentenceCache(tmp_path / "a.db")
    answers(CachedLM(MadeUpModel(), cache), asking("a", "b"))
    with pytest.raises(RequestsFailed, match=r"missing: 0, 2-3$") as caught:
        answers(CachedLM(MadeUpModel(), cache, replay=True), asking("d", "a", "c", "d", "b"))
    assert caught.value.missing == (0, 2, 3)


def test_answers_are_listed_with_what_they_answer(tmp_path) -> None:
    cache = SentenceCache(tmp_path / "a.db")
    sampling = Sampling(0.5, 0.9, 7, 8, ("\n", "x"))
    chat = PromptTemplate(system="sé", user="{query} {prompt}", user_without_prompt="{query}").request("Up", "war", "k")
    requests = [*some_requests(20), *(replace(some_requests(1)[0], key=f"round {i}") for i in range(1100)), chat]
    found = answers(CachedLM(MadeUpModel(), cache), requests, sampling)
    listed = {answer.request: answer for answer in cache}
    assert len(listed) == len(set(requests)) == len(cache)
    for request, completion in zip(requests, found, strict=True):
        assert listed[request].completion == completion
        assert listed[request].sampling == sampling
        assert listed[request].identity == MadeUpModel().identity


def test_a_cache_goes_through_parquet(tmp_path) -> None:
    with SentenceCache(tmp_path / "a.db") as cache, SentenceCache(tmp_path / "b.db") as other:
        answers(CachedLM(MadeUpModel(refuses="space"), cache), some_requests(30))
        answers(CachedLM(MadeUpModel(), other), some_requests(30)[:4])
        assert cache.export_parquet(tmp_path / "a.parquet") == len(cache)
        assert other.import_parquet(tmp_path / "a.parquet") == len(cache) - 4
        assert other.import_parquet(tmp_path / "a.parquet") == 0
        known = {answer.fingerprint: answer for answer in other}
        assert [known[answer.fingerprint].request for answer in cache] == [answer.request for answer in cache]
        inner = MadeUpModel()
        assert answers(CachedLM(inner, other), some_requests(30)[4:]) == answers(
            CachedLM(inner, cache), some_requests(30)[4:]
        )
        assert inner.asked == []
    assert sorted(path.suffix for path in tmp_path.iterdir()) == [".db", ".db", ".parquet"]


def test_a_parquet_file_of_something_else_is_refused(tmp_path) -> None:
    import pyarrow as pa
    from pyarrow import parquet

    cache = SentenceCache(tmp_path / "a.db")
    answers(CachedLM(MadeUpModel(), cache), some_requests(3))
    cache.export_parquet(tmp_path / "good.parquet")
    table = parquet.read_table(tmp_path / "good.parquet")
    parquet.write_table(table.drop_columns(["key"]), tmp_path / "short.parquet")
    swapped = table.set_column(table.schema.get_field_index("key"), "key", pa.array(["other"] * 3))
    parquet.write_table(swapped, tmp_path / "swapped.parquet")
    secret = table.set_column(table.schema.get_field_index("model"), "model", pa.array(['{"api_key": "x"}'] * 3))
    parquet.write_table(secret, tmp_path / "secret.parquet")
    (tmp_path / "text.parquet").write_text("no")
    other = SentenceCache(tmp_path / "b.db")
    with pytest.raises(FileNotFoundError, match=r"none\.parquet: no such file"):
        other.import_parquet(tmp_path / "none.parquet")
    for name, told in (
        ("short", "key missing"),
        ("swapped", "does not belong to its request"),
        ("secret", "expected no key, token or password"),
        ("text", ""),
    ):
        with pytest.raises(ValueError, match=rf"{name}\.parquet: not the answers of a cache: .*{told}"):
            other.import_parquet(tmp_path / f"{name}.parquet")
    assert len(other) == 0


def test_a_file_that_is_no_cache_is_told(tmp_path) -> None:
    (tmp_path / "text.db").write_text("something else " * 500)
    with pytest.raises(ValueError, match=r"text\.db: another kind of file"):
        SentenceCache(tmp_path / "text.db")
    with sqlite3.connect(tmp_path / "other.db") as connection:
        connection.execute("CREATE TABLE answers (x)")
    with pytest.raises(ValueError, match=r"other\.db: another program's SQLite file"):
        SentenceCache(tmp_path / "other.db")
    with SentenceCache(tmp_path / "new.db"), sqlite3.connect(tmp_path / "new.db") as connection:
        connection.execute("PRAGMA user_version=7")
    with pytest.raises(ValueError, match=r"new\.db: expected format version 1, got 7"):
        SentenceCache(tmp_path / "new.db")
    with pytest.raises(OSError, match="expected the path of a file"):
        SentenceCache(tmp_path)
    with pytest.raises(OSError, match="in a folder that exists"):
        SentenceCache(tmp_path / "nowhere" / "a.db")


def test_a_damaged_cache_is_told(tmp_path) -> None:
    path = tmp_path / "a.db"
    with SentenceCache(path) as cache:
        answers(CachedLM(MadeUpModel(), cache), some_requests(200))
        n = len(cache)
    whole = path.read_bytes()
    path.write_bytes(whole.replace(b"A film. No. ", b"A film? No. ", 1))
    with (
        SentenceCache(path) as cache,
        pytest.raises(ValueError, match=r"a\.db: damaged: the answer to '.* is not as it was"),
    ):
        assert len(list(cache)) == n
    path.write_bytes(whole[:4096] + b"\xff" * (len(whole) - 4096))
    with (
        pytest.raises(ValueError, match=r"a\.db: another kind of file, or a damaged one: "),
        SentenceCache(path) as cache,
    ):
        list(cache)


def test_a_cache_waits_for_another_process_that_is_making_it(tmp_path) -> None:
    other = sqlite3.connect(tmp_path / "a.db", check_same_thread=False)
    other.execute("BEGIN IMMEDIATE")
    release = threading.Timer(0.3, other.rollback)
    release.start()
    assert len(SentenceCache(tmp_path / "a.db")) == 0
    release.join()


def test_a_cache_waits_for_another_process_that_is_writing(tmp_path) -> None:
    cache = SentenceCache(tmp_path / "a.db")
    assert (tmp_path / "a.db").read_bytes()[18:20] == b"\2\2"  # SQLite's mark of a write-ahead log
    other = sqlite3.connect(tmp_path / "a.db", check_same_thread=False)
    other.execute("BEGIN IMMEDIATE")
    release = threading.Timer(0.3, other.rollback)
    release.start()
    assert len(answers(CachedLM(MadeUpModel(), cache), some_requests(2))) == 2
    release.join()


def test_a_cache_that_another_process_holds_for_too_long_is_told(tmp_path) -> None:
    cache = SentenceCache(tmp_path / "a.db", timeout=0.1)
    other = sqlite3.connect(tmp_path / "a.db")
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(OSError, match=r"a\.db: cannot be used: database is locked"):
        answers(CachedLM(MadeUpModel(), cache), some_requests(2))
    other.rollback()
    assert len(answers(CachedLM(MadeUpModel(), cache), some_requests(2))) == 2


@pytest.mark.parametrize(
    "identity",
    [
        {"model": "m", "api_key": "secret-1"},
        {"model": "m", "Authorization": "secret-1"},
        {"model": "m", "url": "https://me:secret-1@host/v1"},
        {"model": "m", "url": "https://host/v1?api_key=secret-1"},
    ],
)
def test_keys_and_passwords_do_not_come_into_a_cache(identity, tmp_path) -> None:
    model, cache = MadeUpModel(), SentenceCache(tmp_path / "a.db")
    model.identity = identity
    with pytest.raises(ValueError, match=r"^identity\['\w+'\]: expected no key") as error:
        answers(CachedLM(model, cache), some_requests(1))
    assert "secret-1" not in str(error.value)
    with pytest.raises(ValueError, match="expected no key"):
        cache.put(identity, some_requests(1)[0], SAMPLING, Completion("x"))
    cache.close()
    assert model.asked == []
    assert b"secret-1" not in (tmp_path / "a.db").read_bytes()


def test_an_unknown_outcome_does_not_come_into_a_cache(tmp_path) -> None:
    with pytest.raises(
        ValueError, match=r"^outcome: expected one of stop, length, context_limit, content_filter, got 'lost'"
    ):
        SentenceCache(tmp_path / "a.db").put({"model": "m"}, some_requests(1)[0], SAMPLING, Completion("x", "lost"))
