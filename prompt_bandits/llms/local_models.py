"""Causal language models from a folder or the hub: found, told apart, loaded, with errors that say what is missing."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from hashlib import sha256
from pathlib import Path
from typing import Any

from prompt_bandits.datasets.files import digest

_CONTENT = (".safetensors", ".json", ".jinja", ".txt", ".model", ".py")  # what decides an answer, of a model's files
_CONTEXT = ("max_position_embeddings", "n_positions", "max_sequence_length", "max_seq_len", "n_ctx", "seq_length")
_COMMIT = re.compile(r"[0-9a-f]{40}")


@dataclass(frozen=True)
class ModelSource:
    """Where a model comes from: a folder, or an id on the hub with a revision.

    Raises:
        FileNotFoundError: a path without a folder, or a folder without a model.
        ValueError: a folder with pickled weights only, or with a revision.
    """

    name: str
    revision: str | None = None
    trust_remote_code: bool = False

    def __post_init__(self) -> None:
        if not self.name:
            raise ValueError("model: expected a folder or an id on the hub, got an empty text")
        if self.is_folder:
            if self.revision is not None:
                raise ValueError(f"revision: expected none beside the folder {self.name}, got {self.revision!r}")
            _check_folder(self.folder)
        elif self.name.startswith((".", "/", "~")) or "\\" in self.name or self.name.count("/") > 1:
            raise FileNotFoundError(f"model: no folder {self.name}")

    @property
    def folder(self) -> Path:
        return Path(self.name).expanduser()

    @property
    def is_folder(self) -> bool:
        return self.folder.is_dir()

    def identity(self) -> dict[str, str]:
        """`model` and `revision`: of a folder the hash of its content, of an id its commit.

        Raises:
            FileNotFoundError: no such id in the local hub cache, and the hub does not answer or does not know it.
        """
        if self.is_folder:
            return {"model": f"sha256:{folder_hash(self.folder)}", "revision": ""}
        return {"model": self.name, "revision": self.commit()}

    def commit(self) -> str:
        """The commit of a model on the hub, so that a branch that moves is another model."""
        if self.revision is not None and _COMMIT.fullmatch(self.revision):
            return self.revision
        from huggingface_hub import hf_hub_download

        with self._told():
            return Path(hf_hub_download(self.name, "config.json", revision=self.revision)).parent.name

    def load(self, dtype: str, device: str | None, device_map: Any) -> LoadedModel:
        """Model and tokenizer, ready to generate on `device`, or spread by `device_map`.

        Raises:
            FileNotFoundError: as `identity`.
            ValueError: files that are damaged, incomplete, or need `trust_remote_code`.
        """
        import torch
        import transformers

        revision = None if self.is_folder else self.commit()
        tokenizer = self._from_pretrained(transformers.AutoTokenizer, revision)
        version = tuple(int(part) for part in transformers.__version__.split(".")[:2])
        model, report = self._from_pretrained(
            transformers.AutoModelForCausalLM,
            revision,
            use_safetensors=True,
            output_loading_info=True,
            device_map=device_map,
            **{"dtype" if version >= (4, 56) else "torch_dtype": dtype},
        )
        if report["missing_keys"]:
            missing = sorted(report["missing_keys"])
            raise ValueError(f"model: {self.name} lacks {len(missing)} weights, {missing[0]} among them")
        if device_map is None:
            model.to(device or ("cuda" if torch.cuda.is_available() else "cpu"))
        # the model's own habits of sampling must not mix with what is asked for
        model.generation_config = transformers.GenerationConfig(  # type: ignore[no-untyped-call]
            eos_token_id=model.generation_config.eos_token_id
        )
        return LoadedModel(model.eval(), tokenizer)

    def _from_pretrained(self, kind: Any, revision: str | None, **options: Any) -> Any:
        where = str(self.folder) if self.is_folder else self.name
        if revision is not None:
            options["revision"] = revision
        with self._told():
            return kind.from_pretrained(where, trust_remote_code=self.trust_remote_code, **options)

    @contextmanager
    def _told(self) -> Iterator[None]:
        """Errors in reading a model, as those of the argument that names it."""
        from safetensors import SafetensorError

        try:
            yield
        except (OSError, ValueError, SafetensorError) as error:
            if isinstance(error, OSError) and not self.is_folder:
                raise FileNotFoundError(
                    f"model: expected a folder, or an id that the hub knows, got {self.name!r}: {error}"
                ) from error
            raise ValueError(f"model: {self.name!r} cannot be loaded: {error}") from error


@dataclass(frozen=True, eq=False)
class LoadedModel:
    """A causal language model with its tokenizer."""

    model: Any
    tokenizer: Any

    @property
    def end_tokens(self) -> frozenset[int]:
        """The tokens that end an answer, the model's own and the tokenizer's."""
        own = self.model.generation_config.eos_token_id
        listed = own if isinstance(own, list) else [own]
        return frozenset(int(token) for token in (*listed, self.tokenizer.eos_token_id) if token is not None)

    @property
    def pad_token(self) -> int:
        """What fills short rows; an end token where the tokenizer has none of its own."""
        own = self.tokenizer.pad_token_id
        return int(own) if own is not None else min(self.end_tokens, default=0)

    @property
    def context(self) -> int | None:
        """Tokens that prompt and answer may have together; None where the model sets no limit."""
        config = getattr(self.model.config, "get_text_config", lambda: self.model.config)()
        return next((value for name in _CONTEXT if isinstance(value := getattr(config, name, None), int)), None)


def folder_hash(folder: Path) -> str:
    """A hash of what a model folder holds: names and contents of configuration, tokenizer and weights, not its path."""
    files = sorted(file for file in folder.iterdir() if file.suffix in _CONTENT and file.is_file())
    stamps = tuple((file.name, file.stat().st_size, file.stat().st_mtime_ns) for file in files)
    return _content_hash(folder.resolve(), stamps)


@lru_cache(maxsize=64)
def _content_hash(folder: Path, stamps: tuple[tuple[str, int, int], ...]) -> str:
    whole = sha256()
    for name, size, _ in stamps:
        whole.update(f"{name}\n{size}\n{digest(folder / name)}\n".encode())
    return whole.hexdigest()


def _check_folder(folder: Path) -> None:
    if not (folder / "config.json").is_file():
        raise FileNotFoundError(f"model: expected a transformers model in {folder}, found no config.json")
    if any(folder.glob("*.safetensors")):
        return
    if any(folder.glob("*.bin")):
        raise ValueError(
            f"model: expected weights as .safetensors in {folder}, found .bin only; load them where you trust them and "
            f"`save_pretrained` writes safetensors"
        )
    raise FileNotFoundError(f"model: expected weights (*.safetensors) in {folder}, found none")
