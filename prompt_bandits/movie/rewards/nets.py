"""Networks of the reward simulator. Imports PyTorch: to be imported where they are used, not at a file's top."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from prompt_bandits.movie.rewards.head import RewardHead
from prompt_bandits.movie.rewards.token_table import TokenTable, batches_by_length
from prompt_bandits.types import BoolArray, FloatArray, IntArray


class RewardHeadNet(nn.Module):
    """l2(ReLU(l1[E_u; f])) + b_u + b_i: the logit of p."""

    def __init__(self, n_users: int, n_items: int, dim_user: int, dim_features: int, hidden: int) -> None:
        super().__init__()
        self.user_embedding = nn.Embedding(n_users, dim_user)
        self.user_bias = nn.Embedding(n_users, 1)
        self.item_bias = nn.Embedding(n_items, 1)
        self.l1 = nn.Linear(dim_user + dim_features, hidden)
        self.l2 = nn.Linear(hidden, 1)
        nn.init.normal_(self.user_embedding.weight, std=0.1)
        nn.init.zeros_(self.user_bias.weight)
        nn.init.zeros_(self.item_bias.weight)

    def forward(self, user_id: Tensor, query_id: Tensor, features: Tensor) -> Tensor:  # (B,), (B,), (B, d_f) -> (B,)
        hidden = torch.relu(self.l1(torch.cat([self.user_embedding(user_id), features], dim=1)))
        logit: Tensor = self.l2(hidden) + self.user_bias(user_id) + self.item_bias(query_id)
        return logit[:, 0]

    def start_from(self, head: RewardHead, layers: bool) -> None:
        """Takes users' embeddings and biases and films' biases from a fitted head, and its layers if asked."""
        with torch.no_grad():
            self.user_embedding.weight.copy_(torch.from_numpy(head.user_embedding))
            self.user_bias.weight.copy_(torch.from_numpy(head.user_bias)[:, None])
            self.item_bias.weight.copy_(torch.from_numpy(head.item_bias)[:, None])
            if layers:
                self.l1.weight.copy_(torch.from_numpy(head.hidden_weight))
                self.l1.bias.copy_(torch.from_numpy(head.hidden_bias))
                self.l2.weight.copy_(torch.from_numpy(head.out_weight)[None])
                self.l2.bias.fill_(head.out_bias)

    def as_arrays(self) -> RewardHead:
        """The same in NumPy."""
        return RewardHead(
            user_embedding=to_array(self.user_embedding.weight),
            user_bias=to_array(self.user_bias.weight[:, 0]),
            item_bias=to_array(self.item_bias.weight[:, 0]),
            hidden_weight=to_array(self.l1.weight),
            hidden_bias=to_array(self.l1.bias),
            out_weight=to_array(self.l2.weight[0]),
            out_bias=float(self.l2.bias.detach()[0]),
        )


class CollaborativeFilteringNet(nn.Module):
    """σ(l2(ReLU(l1[E_u; E_i])) + b_u + b_i), as a logit."""

    def __init__(self, n_users: int, n_items: int, dim: int, hidden: int) -> None:
        super().__init__()
        self.head = RewardHeadNet(n_users, n_items, dim, dim, hidden)
        self.item_embedding = nn.Embedding(n_items, dim)
        nn.init.normal_(self.item_embedding.weight, std=0.1)

    def forward(self, user_id: Tensor, query_id: Tensor) -> Tensor:  # (B,), (B,) -> (B,)
        logit: Tensor = self.head(user_id, query_id, self.item_embedding(query_id))
        return logit


class TransformerRewardNet(nn.Module):
    """σ(l2(ReLU(l1[E_u; f])) + b_u + b_i), as a logit, with f = ReLU(W·CLS(s) + c).

    CLS(s) is the last hidden state of the first token, in any encoder that transformers' `AutoModel` gives. A frozen
    base has no gradient and no dropout.
    """

    def __init__(
        self, base: nn.Module, n_users: int, n_items: int, dim: int, hidden: int, freeze_base: bool = False
    ) -> None:
        super().__init__()
        self.base, self.freeze_base = base, freeze_base
        self.projection = nn.Linear(int(base.config.hidden_size), dim)  # type: ignore[union-attr, arg-type]
        self.head = RewardHeadNet(n_users, n_items, dim, dim, hidden)
        if freeze_base:
            base.requires_grad_(False)

    def train(self, mode: bool = True) -> TransformerRewardNet:
        super().train(mode)
        self.base.train(mode and not self.freeze_base)
        return self

    def features(self, cls: Tensor) -> Tensor:
        """(B, d_cls) -> (B, d_f)."""
        return torch.relu(self.projection(cls))

    def forward(self, user_id: Tensor, query_id: Tensor, ids: Tensor, mask: Tensor) -> Tensor:
        """(B,), (B,), tokens (B, L) and where they are no padding (B, L) -> (B,)."""
        logit: Tensor = self.head(user_id, query_id, self.features(cls_states(self.base, ids, mask)))
        return logit


class SentenceNet(nn.Module):
    """φ(s): states of a sentence through two layers, or three with the context beside the first one's output."""

    def __init__(self, dim_states: int, dim_context: int | None, hidden: int, dim: int) -> None:
        super().__init__()
        self.first = nn.Linear(dim_states, hidden)
        self.mixing = None if dim_context is None else nn.Linear(dim_context + hidden, hidden)
        self.last = nn.Linear(hidden, dim)

    def forward(self, states: Tensor, context: Tensor) -> Tensor:  # (B, D), (B, d_x + d_q) -> (B, d)
        hidden = torch.relu(self.first(states))
        if self.mixing is not None:
            hidden = torch.relu(self.mixing(torch.cat([context, hidden], dim=1)))
        out: Tensor = self.last(hidden)
        return out


def cls_states(base: nn.Module, ids: Tensor, mask: Tensor) -> Tensor:
    """(B, d_cls) the last hidden states of the first tokens."""
    states: Tensor = base(input_ids=ids, attention_mask=mask.long()).last_hidden_state[:, 0]
    return states


def encode_cls(base: nn.Module, tokens: TokenTable, batch_size: int) -> Tensor:
    """(n, d_cls) of all texts of the table, without gradient and without dropout; on the base's device."""
    device, training = device_of(base), base.training
    base.eval()
    out = torch.empty(len(tokens), int(base.config.hidden_size), device=device)  # type: ignore[union-attr, arg-type]
    with torch.no_grad():
        for rows in batches_by_length(tokens.length, np.arange(len(tokens)), batch_size):
            states = cls_states(base, *to_device(*tokens.padded(rows), device=device))
            out[torch.from_numpy(rows).to(device)] = states.float()
    base.train(training)
    return out


def to_device(ids: IntArray, mask: BoolArray, device: Any) -> tuple[Tensor, Tensor]:
    """Padded tokens as tensors."""
    return torch.from_numpy(ids).to(device), torch.from_numpy(mask).to(device)


def to_array(tensor: Tensor) -> FloatArray:
    """A tensor as float32 in NumPy."""
    return np.asarray(tensor.detach().cpu().float().numpy())


def device_of(module: nn.Module) -> torch.device:
    """Where its parameters are."""
    return next(module.parameters()).device
