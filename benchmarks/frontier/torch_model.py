"""The language's transformer in PyTorch: rope, rmsnorm, gelu, no biases, head not tied.

Written as one writes it for PyTorch: linear layers, the fused attention, and nothing
that its compiler would stumble over. `loaded` gives it the weights of Diamond's.
"""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from diamond.dsl.vocabulary.training import Transformer

EPS = 1e-6
ROPE_BASE = 10_000.0


class Attention(nn.Module):
    """Causal multi-head attention with rotary positions."""

    def __init__(self, term: Transformer) -> None:
        super().__init__()
        self.heads = term.heads
        self.qkv = nn.Linear(term.width, 3 * term.width, bias=False)
        self.out = nn.Linear(term.width, term.width, bias=False)

    def forward(
        self, x: torch.Tensor, cos: torch.Tensor, sin: torch.Tensor
    ) -> torch.Tensor:
        """Maps `[examples, tokens, width]` to the same shape."""
        n, t, width = x.shape
        qkv = self.qkv(x).view(n, t, 3, self.heads, width // self.heads)
        q, k, v = qkv.permute(2, 0, 3, 1, 4)
        q, k = rotated(q, cos, sin), rotated(k, cos, sin)
        mixed = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        return self.out(mixed.transpose(1, 2).reshape(n, t, width))


def rotated(x: torch.Tensor, cos: torch.Tensor, sin: torch.Tensor) -> torch.Tensor:
    """Rotates the pairs (i, i + head_dim / 2) of `[..., tokens, head_dim]`."""
    a, b = x.chunk(2, dim=-1)
    return torch.cat([a * cos - b * sin, a * sin + b * cos], dim=-1)


class Block(nn.Module):
    """x + attention(norm(x)), then x + feed_forward(norm(x))."""

    def __init__(self, term: Transformer) -> None:
        super().__init__()
        hidden = round(term.width * term.expansion)
        self.attention_norm = nn.RMSNorm(term.width, EPS)
        self.attention = Attention(term)
        self.mlp_norm = nn.RMSNorm(term.width, EPS)
        self.up = nn.Linear(term.width, hidden, bias=False)
        self.down = nn.Linear(hidden, term.width, bias=False)

    def forward(
        self, x: torch.Tensor, cos: torch.Tensor, sin: torch.Tensor
    ) -> torch.Tensor:
        """Maps `[examples, tokens, width]` to the same shape."""
        x = x + self.attention(self.attention_norm(x), cos, sin)
        hidden = F.gelu(self.up(self.mlp_norm(x)), approximate="tanh")
        return x + self.down(hidden)


class Model(nn.Module):
    """Tokens `[examples, tokens]` and targets of the same shape to the mean loss.

    Raises:
        ValueError: If the term asks for anything that is not written out here.
    """

    def __init__(self, term: Transformer, vocabulary: int) -> None:
        super().__init__()
        kinds = (term.positions, term.norm, term.mlp, term.kv_heads)
        if kinds != ("rope", "rmsnorm", "gelu", None):
            raise ValueError(f"this model is not the one of the scheme: {term}")
        self.embed = nn.Embedding(vocabulary, term.width)
        self.blocks = nn.ModuleList(Block(term) for _ in range(term.layers))
        self.norm = nn.RMSNorm(term.width, EPS)
        self.head = nn.Linear(term.width, vocabulary, bias=False)
        size = term.width // term.heads
        rates = ROPE_BASE ** (-np.arange(0, size, 2) / size)
        angles = torch.from_numpy(np.arange(term.context)[:, None] * rates)
        self.register_buffer("cos", angles.cos(), persistent=False)
        self.register_buffer("sin", angles.sin(), persistent=False)

    def forward(self, tokens: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        """Returns the mean cross entropy, in nats."""
        x = self.embed(tokens)
        for block in self.blocks:
            x = block(x, self.cos, self.sin)
        logits = self.head(self.norm(x))
        return F.cross_entropy(logits.flatten(0, 1), targets.flatten())


def loaded(
    term: Transformer, params: Mapping[str, Any], dtype: torch.dtype = torch.float32
) -> Model:
    """Returns the model with the weights of Diamond's.

    Args:
        term: The model of the scheme.
        params: Diamond's parameters, as NumPy arrays.
        dtype: The type to compute in.
    """
    model = Model(term, len(params["embed"])).to(dtype)
    weights = {name: torch.tensor(value) for name, value in _weights(params)}
    model.load_state_dict(weights)
    return model


def _weights(params: Mapping[str, Any]) -> Iterator[tuple[str, np.ndarray]]:
    """Yields names of PyTorch's and values; a kernel is `[outputs, inputs]` here."""
    yield "embed.weight", params["embed"]
    yield "norm.weight", params["norm"]["scale"]
    yield "head.weight", _kernel(params["head"], 1)
    for place, block in params["blocks"].items():
        name = f"blocks.{place}"
        yield f"{name}.attention.qkv.weight", _kernel(block["attention"]["qkv"], 1)
        yield f"{name}.attention.out.weight", _kernel(block["attention"]["out"], 2)
        yield f"{name}.up.weight", _kernel(block["mlp"]["up"], 1)
        yield f"{name}.down.weight", _kernel(block["mlp"]["down"], 1)
        for norm in ("attention_norm", "mlp_norm"):
            yield f"{name}.{norm}.weight", block[norm]["scale"]


def _kernel(layer: Mapping[str, Any], inputs: int) -> np.ndarray:
    kernel = layer["kernel"]
    return kernel.reshape(int(np.prod(kernel.shape[:inputs])), -1).T.copy()
