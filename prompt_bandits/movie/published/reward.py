"""The published reward simulator's parameters, from a PyTorch file: which tensor is what, by name and by shape."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

from prompt_bandits.movie.published.torch_files import state_dict
from prompt_bandits.movie.rewards.folder import Projection, SentenceFeaturizer, save_reward
from prompt_bandits.movie.rewards.head import RewardHead
from prompt_bandits.types import FloatArray

_WORDS, _POSITIONS = "embeddings.word_embeddings.weight", "embeddings.position_embeddings.weight"

TOKENIZER, MAX_LENGTH = "distilbert-base-uncased", 20
"""How the published simulator reads sentences."""


@dataclass(frozen=True, eq=False)
class PublishedReward:
    """A fitted reward simulator: f = ReLU(W·CLS(s) + c) of a sentence by a DistilBERT, and p(u, i, f) by a head."""

    head: RewardHead
    projection_weight: FloatArray  # W (d_f, d_cls)
    projection_bias: FloatArray  # c (d_f,)
    encoder_state: Mapping[str, Any]  # tensors by their names in a DistilBertModel

    @property
    def projection(self) -> Projection:
        """W and c."""
        return Projection(self.projection_weight, self.projection_bias)

    def encoder_settings(self, n_heads: int | None = None) -> dict[str, int]:
        """What a DistilBertConfig needs, from the tensors' shapes; heads of 64 dimensions each, as published.

        Raises:
            ValueError: the tensors are no DistilBERT's.
        """
        state = self.encoder_state
        first = "transformer.layer.0.ffn.lin1.weight"
        if first not in state or _POSITIONS not in state:
            raise ValueError(
                f"reward simulator: expected a DistilBERT with {first} and {_POSITIONS}, got {_list(state)}"
            )
        vocab_size, dim = state[_WORDS].shape
        layers = {key.split(".")[2] for key in state if key.startswith("transformer.layer.")}
        return {
            "vocab_size": vocab_size,
            "dim": dim,
            "hidden_dim": state[first].shape[0],
            "max_position_embeddings": state[_POSITIONS].shape[0],
            "n_layers": len(layers),
            "n_heads": max(1, dim // 64) if n_heads is None else n_heads,
        }

    def encoder(self, n_heads: int | None = None) -> Any:
        """The DistilBertModel, ready for use.

        Raises:
            ValueError: the tensors are no DistilBERT's.
        """
        from transformers import DistilBertConfig, DistilBertModel

        settings: dict[str, Any] = self.encoder_settings(n_heads)
        model: Any = DistilBertModel(DistilBertConfig(**settings))
        try:
            model.load_state_dict(dict(self.encoder_state))
        except RuntimeError as error:
            raise ValueError(f"reward simulator: expected the tensors of a DistilBERT: {error}") from error
        return model.eval()

    def featurizer(
        self, tokenizer: Any, max_length: int = MAX_LENGTH, n_heads: int | None = None
    ) -> SentenceFeaturizer:
        """f of sentences, read as the encoder's tokenizer splits them (`TOKENIZER` as published)."""
        return SentenceFeaturizer.of(self.encoder(n_heads), tokenizer, self.projection, max_length)

    def save(
        self, folder: str | Path, tokenizer: Any, max_length: int = MAX_LENGTH, n_heads: int | None = None
    ) -> Path:
        """Writes the reward simulator in the form of an asset folder's `reward/`."""
        return save_reward(folder, self.head, self.encoder(n_heads), tokenizer, self.projection, max_length)


def load_published_reward(file: str | Path) -> PublishedReward:
    """The reward simulator in a `.pt` file with a state dict.

    A tensor is known by the end of its name (`user_embedding.weight`, `user_bias.weight`, `item_bias.weight`,
    `item_encoder.*`: the projection, `l1.*`, `l2.*`), else by its shape, where only one fits; the encoder's are those
    with one prefix before `embeddings.word_embeddings.weight`. Numbers of users, films and dimensions are the shapes'.

    Raises:
        FileNotFoundError: no such file.
        ValueError: not a state dict, or a part that no tensor fits; the message lists what is there.
    """
    state = {key: tensor for key, tensor in state_dict(Path(file)).items() if not key.endswith("position_ids")}
    prefix = _encoder_prefix(state, file)
    encoder = {key.removeprefix(prefix): tensor for key, tensor in state.items() if _of_encoder(key, prefix)}
    rest = _Tensors({key: tensor for key, tensor in state.items() if not _of_encoder(key, prefix)}, str(file))
    projection = rest.find("projection", "item_encoder.weight", _like("d_f", encoder[_WORDS].shape[1]))
    dim_features = rest.shape(projection)[0]
    out = rest.find("second layer", "l2.weight", _like(1, "h"))
    n_hidden = rest.shape(out)[1]
    hidden = rest.find("first layer", "l1.weight", _like(n_hidden, "d_u + d_f"))
    users = rest.find("users", "user_embedding.weight", _like("n_users", rest.shape(hidden)[1] - dim_features))
    user_bias = rest.find("users' bias", "user_bias.weight", _like(rest.shape(users)[0], 1))
    item_bias = rest.find("films' bias", "item_bias.weight", _like("n_items", 1))
    head = RewardHead(
        user_embedding=rest.array(users),
        user_bias=rest.array(user_bias).ravel(),
        item_bias=rest.array(item_bias).ravel(),
        hidden_weight=rest.array(hidden),
        hidden_bias=rest.bias(hidden, n_hidden),
        out_weight=rest.array(out).ravel(),
        out_bias=float(rest.bias(out, 1)[0]),
    )
    return PublishedReward(head, rest.array(projection), rest.bias(projection, dim_features), encoder)


_Shape: TypeAlias = "tuple[int | str, ...]"


def _like(*dims: int | str) -> _Shape:
    """A shape some of whose dimensions are only named."""
    return dims


def _fits(shape: tuple[int, ...], like: _Shape) -> bool:
    if len(shape) != len(like):
        return False
    return all(isinstance(wanted, str) or n == wanted for n, wanted in zip(shape, like, strict=True))


class _Tensors:
    """Tensors by name, each of which is one part."""

    def __init__(self, tensors: Mapping[str, Any], file: str) -> None:
        self._tensors, self._file, self._taken = tensors, file, set[str]()

    def find(self, part: str, name: str, like: _Shape) -> str:
        """The name of a part's tensor."""
        free = [key for key in self._tensors if key not in self._taken and _fits(self.shape(key), like)]
        found = [key for key in free if key.endswith(name)] or free
        if len(found) != 1:
            raise ValueError(
                f"{self._file}: {part}: expected one tensor {name} or of shape ({', '.join(map(str, like))}), got "
                f"{', '.join(found) or 'none'}; the file has {_list(self._tensors)}"
            )
        self._taken.add(found[0])
        return found[0]

    def shape(self, key: str) -> tuple[int, ...]:
        return tuple(self._tensors[key].shape)

    def array(self, key: str) -> FloatArray:
        array: FloatArray = self._tensors[key].detach().float().numpy()
        return array

    def bias(self, weight: str, n: int) -> FloatArray:
        """The bias (n,) beside a layer's weight."""
        key = weight.removesuffix("weight") + "bias"
        if key not in self._tensors or self.shape(key) != (n,):
            raise ValueError(f"{self._file}: expected {key} of shape ({n},); the file has {_list(self._tensors)}")
        return self.array(key)


def _encoder_prefix(state: Mapping[str, Any], file: str | Path) -> str:
    found = [key for key in state if key.endswith(_WORDS)]
    if len(found) != 1:
        raise ValueError(
            f"{file}: expected an encoder with one tensor {_WORDS}, got {len(found)}; it has {_list(state)}"
        )
    return found[0].removesuffix(_WORDS)


def _of_encoder(key: str, prefix: str) -> bool:
    """Whether a tensor is the encoder's; without a prefix, by what a DistilBERT's tensors are called."""
    return key.startswith(prefix if prefix else ("embeddings.", "transformer."))


def _list(tensors: Mapping[str, Any]) -> str:
    shown = [f"{key} {tuple(tensor.shape)}" for key, tensor in list(tensors.items())[:24]]
    more = len(tensors) - len(shown)
    return ", ".join(shown) + (f" and {more} more" if more else "")
