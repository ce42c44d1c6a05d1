"""A stand-in for the Hugging Face Hub: the few requests that pushing and pulling a dataset takes."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from hashlib import sha1
from typing import Any

import anyio
from anyio.from_thread import start_blocking_portal


@dataclass
class Repository:
    private: bool
    branches: dict[str, str] = field(default_factory=dict)  # name: commit
    commits: dict[str, dict[str, bytes]] = field(default_factory=dict)  # commit: path: content

    def commit(self, branch: str, files: dict[str, bytes]) -> str:
        listed = "".join(f"{name}{sha1(files[name]).hexdigest()}" for name in sorted(files))
        oid = sha1(f"{len(self.commits)}{listed}".encode()).hexdigest()
        self.commits[oid], self.branches[branch] = files, oid
        return oid

    def at(self, revision: str) -> tuple[str, dict[str, bytes]] | None:
        oid = self.branches.get(revision, revision)
        return (oid, self.commits[oid]) if oid in self.commits else None


@dataclass
class Hub:
    url: str = ""
    repositories: dict[str, Repository] = field(default_factory=dict)
    uploaded: list[str] = field(default_factory=list)  # paths, in order


def _application(hub: Hub) -> Any:
    from starlette.applications import Starlette
    from starlette.responses import JSONResponse, Response
    from starlette.routing import Route

    missing = {"X-Error-Code": "RepoNotFound"}

    async def create(request: Any) -> JSONResponse:
        body = await request.json()
        repo_id = f"{body['organization']}/{body['name']}"
        answer = {"url": f"{hub.url}/datasets/{repo_id}"}
        if repo_id in hub.repositories:
            return JSONResponse(answer, 409)
        made = hub.repositories[repo_id] = Repository(body.get("private", False) or body.get("visibility") == "private")
        made.commit("main", {".gitattributes": b"*.parquet filter=lfs\n"})
        return JSONResponse(answer)

    async def branch(request: Any) -> JSONResponse:
        repository = _of(request)
        name = request.path_params["revision"]
        if name in repository.branches:
            return JSONResponse({"error": "exists"}, 409)
        repository.branches[name] = repository.branches["main"]
        return JSONResponse({})

    async def check_yaml(request: Any) -> JSONResponse:
        return JSONResponse({"errors": [], "warnings": []})

    async def preupload(request: Any) -> JSONResponse:
        files = (await request.json())["files"]
        return JSONResponse(
            {"files": [{"path": f["path"], "uploadMode": "regular", "shouldIgnore": False} for f in files]}
        )

    async def commit(request: Any) -> JSONResponse:
        repository, name = _of(request), request.path_params["revision"]
        files = dict(repository.commits[repository.branches[name]])
        for line in (await request.body()).splitlines():
            operation = json.loads(line)
            value = operation["value"]
            if operation["key"] == "file":
                files[value["path"]] = base64.b64decode(value["content"])
                hub.uploaded.append(value["path"])
            elif operation["key"] == "deletedFile":
                del files[value["path"]]
        oid = repository.commit(name, files)
        url = f"{hub.url}/datasets/{request.path_params['repo']}/commit/{oid}"
        return JSONResponse({"commitUrl": url, "commitOid": oid, "success": True})

    async def info(request: Any) -> JSONResponse:
        found = _found(request)
        if found is None:
            return JSONResponse({"error": "Repository not found"}, 404, missing)
        oid, files = found
        siblings = [{"rfilename": name} for name in files]
        return JSONResponse({"id": request.path_params["repo"], "sha": oid, "siblings": siblings, "tags": []})

    async def tree(request: Any) -> JSONResponse:
        found = _found(request)
        if found is None:
            return JSONResponse({"error": "Repository not found"}, 404, missing)
        listed = found[1].items()
        return JSONResponse(
            [{"type": "file", "path": k, "size": len(v), "oid": sha1(v).hexdigest()} for k, v in listed]
        )

    async def resolve(request: Any) -> Response:
        found = _found(request)
        if found is None:
            return JSONResponse({"error": "Repository not found"}, 404, missing)
        oid, files = found
        content = files[request.path_params["path"]]
        return Response(content, headers={"ETag": f'"{sha1(content).hexdigest()}"', "X-Repo-Commit": oid})

    def _of(request: Any) -> Repository:
        return hub.repositories[request.path_params["repo"]]

    def _found(request: Any) -> tuple[str, dict[str, bytes]] | None:
        repository = hub.repositories.get(request.path_params["repo"])
        return None if repository is None else repository.at(request.path_params.get("revision", "main"))

    api = "/api/datasets/{repo:path}"
    routes = [
        Route("/api/repos/create", create, methods=["POST"]),
        Route("/api/validate-yaml", check_yaml, methods=["POST"]),
        Route(f"{api}/branch/{{revision}}", branch, methods=["POST"]),
        Route(f"{api}/preupload/{{revision}}", preupload, methods=["POST"]),
        Route(f"{api}/commit/{{revision}}", commit, methods=["POST"]),
        Route(f"{api}/revision/{{revision}}", info),
        Route(f"{api}/tree/{{revision}}", tree),
        Route(api, info),
        Route("/datasets/{repo:path}/resolve/{revision}/{path:path}", resolve, methods=["GET", "HEAD"]),
    ]
    return Starlette(routes=routes)


@contextmanager
def hub_server() -> Iterator[Hub]:
    """A running server; `huggingface_hub.HfApi(endpoint=server.url)` talks to it."""
    import uvicorn

    hub = Hub()
    config = uvicorn.Config(_application(hub), host="127.0.0.1", port=0, log_level="error", lifespan="off")
    server = uvicorn.Server(config)
    with start_blocking_portal() as portal:
        done = portal.start_task_soon(server.serve)
        for _ in range(500):
            if server.started:
                break
            portal.call(anyio.sleep, 0.01)
        hub.url = f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
        try:
            yield hub
        finally:
            server.should_exit = server.force_exit = True
            done.result(10)
