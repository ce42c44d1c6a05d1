"""Servers for tests: one that answers like OpenAI's, and a proxy before it that fails on a schedule."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import anyio
from anyio.from_thread import BlockingPortal, start_blocking_portal


@dataclass
class Asked:
    """One request that reached the proxy."""

    body: dict[str, Any]
    fault: str
    time: float
    whole: bool = False  # its answer, an HTTP 200, left the proxy in one piece

    @property
    def content(self) -> str:
        """The request's own text and seed, which tell it from others."""
        return json.dumps([self.body.get("messages", self.body.get("prompt")), self.body.get("seed")])


class FailingProxy:
    """Passes requests on, each to a connection of its own, or does what `fault_of` says for the n-th one.

    pass · drop: closed without an answer · reset: the same with RST · lose: answered, but closed before the answer ·
    truncate: half the body of the length that was told · half: half the body and its length · html: a page with 200 ·
    slow: late by `delay_s` · trickle: a byte at a time for `delay_s` · 429: `Retry-After: {retry_after}` ·
    any other number: that status.
    """

    def __init__(self, upstream: str, fault_of: Callable[[int], str]) -> None:
        self.upstream, self.fault_of = upstream, fault_of
        self.delay_s, self.retry_after = 2.0, "0.2"
        self.doomed: str | None = None  # requests with this in them are dropped every time
        self.asked: list[Asked] = []
        self.url = ""

    def again(self) -> int:
        """How many requests repeated one whose answer had left in one piece before."""
        whole: set[str] = set()
        count = 0
        for asked in self.asked:
            count += asked.content in whole
            whole |= {asked.content} if asked.whole else set()
        return count

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            body = await reader.readexactly(int(_header(head, b"content-length") or 0))
            doomed = self.doomed is not None and self.doomed.encode() in body
            asked = Asked(json.loads(body), "drop" if doomed else self.fault_of(len(self.asked)), anyio.current_time())
            self.asked.append(asked)
            await self._answer(asked, head, body, writer)
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            pass  # the client left, or the test is over
        finally:
            writer.close()

    async def _answer(self, asked: Asked, head: bytes, body: bytes, writer: asyncio.StreamWriter) -> None:
        fault = asked.fault
        if fault == "drop":
            return
        if fault == "reset":
            writer.transport.abort()
            return
        if fault.isdigit():
            extra = f"Retry-After: {self.retry_after}\r\n" if fault == "429" else ""
            error = json.dumps({"error": {"message": f"scheduled {fault}", "type": "server_error", "code": None}})
            await _write(writer, fault, error.encode(), extra)
            return
        if fault == "slow":
            await anyio.sleep(self.delay_s)
        status, answer = await self._forward(head, body)
        await self._pass_on(asked, status, answer, writer)

    async def _pass_on(self, asked: Asked, status: str, answer: bytes, writer: asyncio.StreamWriter) -> None:
        half = answer[: len(answer) // 2]
        if asked.fault == "lose":
            return
        if asked.fault == "truncate":
            await _write(writer, status, half, told_length=len(answer))
        elif asked.fault == "half":
            await _write(writer, status, half)
        elif asked.fault == "html":
            await _write(writer, "200", b"<html>502 Bad Gateway</html>", content_type="text/html")
        elif asked.fault == "trickle":
            for i in range(len(answer)):
                await _write(writer, status, answer[i : i + 1], told_length=len(answer), head=i == 0)
                await anyio.sleep(self.delay_s / len(answer))
        else:
            await _write(writer, status, answer)
            asked.whole = status == "200"

    async def _forward(self, head: bytes, body: bytes) -> tuple[str, bytes]:
        host, port = self.upstream.removeprefix("http://").split(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        lines = [line for line in head.split(b"\r\n")[:-2] if not line.lower().startswith(b"connection:")]
        writer.write(b"\r\n".join([*lines, b"Connection: close", b"", b""]) + body)
        try:
            answer_head = await reader.readuntil(b"\r\n\r\n")
            answer = await reader.read()
        finally:
            writer.close()
        return answer_head.split(b" ")[1].decode(), answer


async def _write(
    writer: asyncio.StreamWriter,
    status: str,
    body: bytes,
    extra: str = "",
    content_type: str = "application/json",
    told_length: int | None = None,
    head: bool = True,
) -> None:
    if head:
        length = len(body) if told_length is None else told_length
        text = f"HTTP/1.1 {status} X\r\nContent-Type: {content_type}\r\nContent-Length: {length}\r\n{extra}"
        writer.write(f"{text}Connection: close\r\n\r\n".encode())
    writer.write(body)
    await writer.drain()


def _header(head: bytes, name: bytes) -> bytes | None:
    for line in head.split(b"\r\n")[1:]:
        key, _, value = line.partition(b":")
        if key.strip().lower() == name:
            return value.strip()
    return None


@contextmanager
def failing_proxy(upstream: str, fault_of: Callable[[int], str]) -> Iterator[FailingProxy]:
    """A running proxy before `upstream` (http://host:port); its own base URL is `.url`, without /v1."""
    proxy = FailingProxy(upstream, fault_of)
    with start_blocking_portal() as portal:
        server = portal.call(asyncio.start_server, proxy.serve, "127.0.0.1", 0)
        proxy.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        yield proxy
        portal.call(server.close)


@dataclass
class TinyServer:
    """What the server saw, and how it is to behave.

    A prompt with the word `poison` is refused with 400, `endless` for its length, `rude` by a filter.
    """

    url: str = ""
    delay_s: float = 0.0
    hold_until: int = 0  # answers nothing before so many were in flight at once
    key: str | None = None  # demanded, and echoed when it is not the one
    usage: bool = True
    bodies: list[dict[str, Any]] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    in_flight: int = 0
    in_flight_max: int = 0
    cancelled: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def refusal(self, text: str, body: dict[str, Any], headers: dict[str, str]) -> tuple[int, dict[str, Any]] | None:
        sent = headers.get("authorization", "")
        if self.key is not None and sent != f"Bearer {self.key}":
            return 401, {"message": f"Incorrect API key provided: {sent}", "code": "invalid_api_key"}
        if body["model"] != "tiny":
            return 404, {"message": f"The model {body['model']} does not exist", "code": "model_not_found"}
        if "poison" in text:
            return 400, {"message": "I do not like this prompt", "code": None}
        if "endless" in text:
            return 400, {"message": "This model's maximum context length is 64 tokens.", "code": 400}
        if "unspeakable" in text:
            return 400, {"message": "The response was filtered", "code": "content_filter"}
        return None

    def answer(self, text: str, body: dict[str, Any], chat: bool) -> dict[str, Any]:
        words = f"{text} / {body.get('seed')}"
        finish = "content_filter" if "rude" in text else "length" if "long" in text else "stop"
        said: dict[str, Any] = {"message": {"role": "assistant", "content": words}} if chat else {"text": words}
        usage = {"prompt_tokens": len(text.split()), "completion_tokens": 5, "total_tokens": 5 + len(text.split())}
        choice = {"index": 0, "finish_reason": finish, **said}
        return {"id": "x", "object": "completion", "choices": [choice], **({"usage": usage} if self.usage else {})}


def _application(state: TinyServer) -> Any:
    from starlette.applications import Starlette
    from starlette.requests import Request
    from starlette.responses import JSONResponse
    from starlette.routing import Route

    async def complete(request: Request) -> JSONResponse:
        body = await request.json()
        chat = request.url.path.endswith("/chat/completions")
        text = body["messages"][-1]["content"] if chat else body["prompt"]
        with state.lock:
            state.bodies.append(body)
            state.headers.append(dict(request.headers))
            state.in_flight += 1
            state.in_flight_max = max(state.in_flight_max, state.in_flight)
        try:
            await _wait_or_hang_up(request, state)
        finally:
            with state.lock:
                state.in_flight -= 1
        refusal = state.refusal(text, body, dict(request.headers))
        if refusal:
            return JSONResponse({"error": refusal[1]}, status_code=refusal[0])
        return JSONResponse(state.answer(text, body, chat))

    routes = [Route(path, complete, methods=["POST"]) for path in ("/v1/chat/completions", "/v1/completions")]
    return Starlette(routes=routes)


async def _wait_or_hang_up(request: Any, state: TinyServer) -> None:
    with anyio.move_on_after(60):
        while state.in_flight_max < state.hold_until:
            await anyio.sleep(0.02)
    deadline = anyio.current_time() + state.delay_s
    while anyio.current_time() < deadline:
        if await request.is_disconnected():
            state.cancelled += 1
            return
        await anyio.sleep(min(0.02, max(0.0, deadline - anyio.current_time())))


@contextmanager
def tiny_server() -> Iterator[TinyServer]:
    """A running server that repeats the prompt and the seed; its URL is `.url`, without /v1."""
    import uvicorn

    state = TinyServer()
    config = uvicorn.Config(_application(state), host="127.0.0.1", port=0, log_level="error", lifespan="off")
    server = uvicorn.Server(config)
    with start_blocking_portal() as portal:
        done = portal.start_task_soon(server.serve)
        _wait_for(lambda: server.started, portal)
        state.url = f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
        try:
            yield state
        finally:
            server.should_exit = server.force_exit = True
            done.result(10)


def _wait_for(ready: Callable[[], bool], portal: BlockingPortal) -> None:
    for _ in range(500):
        if ready():
            return
        portal.call(anyio.sleep, 0.01)
    raise TimeoutError("the test's server did not start")
