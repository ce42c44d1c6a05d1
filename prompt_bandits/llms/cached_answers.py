"""One answer as a row: of the cache's table, or of a Parquet file."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from typing import Any
from zlib import crc32

from typing_extensions import Self

from prompt_bandits.llms.requests import OUTCOMES, Completion, Message, Sampling, TextRequest, request_fingerprint

COLUMNS = (
    "fingerprint",
    "model",  # identity, JSON
    "prompt",  # the whole prompt as text
    "messages",  # the chat, JSON; empty where it is the prompt as one turn
    "sampling",  # JSON
    "key",
    "text",
    "outcome",
    "prompt_tokens",
    "new_tokens",
    "checksum",
)
_NUMBERS = ("prompt_tokens", "new_tokens", "checksum")
_ROWS = 10_000
_SECRET_NAME = re.compile(r"(^|[_-])(api[_-]?key|key|token|password|secret|authorization)$", re.IGNORECASE)
_SECRET_IN_ADDRESS = re.compile(r"://[^/?#\s]*@|[?&][^=&]*(key|token|password|secret)=", re.IGNORECASE)


@dataclass(frozen=True)
class CachedAnswer:
    """An answer with all that it is an answer to."""

    fingerprint: str
    identity: dict[str, str]
    request: TextRequest
    sampling: Sampling
    completion: Completion

    @classmethod
    def of(cls, identity: dict[str, str], request: TextRequest, sampling: Sampling, completion: Completion) -> Self:
        """An answer that has just come.

        Raises:
            ValueError: an `identity` with a password or key in it, or an unknown outcome.
        """
        check_identity(identity)
        if completion.outcome not in OUTCOMES:
            raise ValueError(f"outcome: expected one of {', '.join(OUTCOMES)}, got {completion.outcome!r}")
        return cls(request_fingerprint(identity, request, sampling), dict(identity), request, sampling, completion)

    def row(self) -> tuple[str | int, ...]:
        """The values of `COLUMNS`."""
        messages = self.request.messages
        as_one_turn = messages == (Message("user", self.request.text),)
        done = self.completion
        return (
            self.fingerprint,
            json.dumps(self.identity, sort_keys=True, ensure_ascii=False),
            self.request.text,
            "" if as_one_turn else json.dumps([asdict(message) for message in messages], ensure_ascii=False),
            json.dumps(asdict(self.sampling), sort_keys=True, ensure_ascii=False),
            self.request.key,
            done.text,
            done.outcome,
            done.prompt_tokens,
            done.new_tokens,
            _checksum(self.fingerprint, done),
        )

    @classmethod
    def from_row(cls, row: Sequence[Any]) -> Self:
        """What `row` gave.

        Raises:
            ValueError: an answer that is not as it was written.
        """
        values = dict(zip(COLUMNS, row, strict=True))
        prompt = values["prompt"]
        try:
            turns = json.loads(values["messages"] or "null")
            messages = (Message("user", prompt),) if turns is None else tuple(Message(**turn) for turn in turns)
            done = Completion(values["text"], values["outcome"], values["prompt_tokens"], values["new_tokens"])
            request = TextRequest(prompt, messages, values["key"])
            sampling = Sampling(**json.loads(values["sampling"]))
            answer = cls(values["fingerprint"], json.loads(values["model"]), request, sampling, done)
            whole = _checksum(answer.fingerprint, done) == values["checksum"]
        except (TypeError, ValueError) as error:
            raise ValueError(f"the answer to {prompt!r} cannot be read: {error}") from error
        if not whole:
            raise ValueError(f"the answer to {prompt!r}, key {request.key!r}, is not as it was written")
        return answer


def check_identity(identity: dict[str, str]) -> None:
    """Refuses what must not come into a file.

    Raises:
        ValueError: a name such as `api_key`, or an address with a password; it is not repeated.
    """
    for name, value in identity.items():
        if _SECRET_NAME.search(name) or _SECRET_IN_ADDRESS.search(value):
            raise ValueError(f"identity[{name!r}]: expected no key, token or password, got what looks like one")


def write_parquet(path: Path, answers: Iterable[CachedAnswer]) -> int:
    """Writes answers to a new file that takes the place of `path` when whole, and says how many."""
    import pyarrow as pa
    from pyarrow import parquet

    schema = pa.schema([(name, pa.int64() if name in _NUMBERS else pa.string()) for name in COLUMNS])
    draft = path.with_name(f".{path.name}.{os.getpid()}.draft")
    n, rows = 0, iter(answers)
    try:
        with parquet.ParquetWriter(draft, schema, compression="zstd") as writer:
            while part := [answer.row() for answer in islice(rows, _ROWS)]:
                writer.write_table(pa.table(dict(zip(COLUMNS, zip(*part, strict=True), strict=True)), schema))
                n += len(part)
        os.replace(draft, path)
    finally:
        draft.unlink(missing_ok=True)
    return n


def read_parquet(path: Path) -> Iterator[list[CachedAnswer]]:
    """The answers of a file of `write_parquet`, some at a time.

    Raises:
        FileNotFoundError: no such file.
        ValueError: a file of something else, or an answer that does not belong to its request.
    """
    import pyarrow as pa
    from pyarrow import parquet

    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such file")
    try:
        with parquet.ParquetFile(path) as file:
            missing = sorted({*COLUMNS} - {*file.schema_arrow.names})
            if missing:
                raise ValueError(f"expected the columns {', '.join(COLUMNS)}; {', '.join(missing)} missing")
            for batch in file.iter_batches(_ROWS, columns=list(COLUMNS)):
                yield [_owned(CachedAnswer.from_row([row[name] for name in COLUMNS])) for row in batch.to_pylist()]
    except (ValueError, OSError, pa.ArrowException) as error:
        raise ValueError(f"{path}: not the answers of a cache: {error}") from error


def _owned(answer: CachedAnswer) -> CachedAnswer:
    """The answer, if it stands under the fingerprint of its request."""
    check_identity(answer.identity)
    if request_fingerprint(answer.identity, answer.request, answer.sampling) != answer.fingerprint:
        raise ValueError(f"the answer to {answer.request.text!r} does not belong to its request")
    return answer


def _checksum(fingerprint: str, done: Completion) -> int:
    return crc32(json.dumps([fingerprint, done.text, done.outcome, done.prompt_tokens, done.new_tokens]).encode())
