"""The cross-attention block that NV-Embed and multi-layer pooling share,
under the names of their checkpoints.

In both `norm` belongs to the backbone's states and `norm_context` to the trained latents; who asks
whom differs. NV-Embed (arXiv:2405.17428, section 3.1): the tokens are the queries, the latents keys
and values. Multi-layer trainable pooling (arXiv:2409.02727): the latents are the queries, the
states keys and values.
"""

import torch
import torch.nn.functional as F
from torch import nn


class CrossAttentionBlocks(nn.ModuleList):
    """Cross-attention and feed-forward, each with a norm in front and a residual.

    Args:
        size: width of states, latents and output.
        heads: number of heads.
        head_size: width of each head.
        latents_ask: the latents are the queries, the states keys and values; else the other way
            round.
    """

    def __init__(self, size: int, heads: int, head_size: int, *, latents_ask: bool = False):
        super().__init__(
            [
                _Attend(CrossAttention(size, heads, head_size), size, latents_ask),
                _Feed(_FeedForward(size), size),
            ]
        )

    def forward(self, states: torch.Tensor, latents: torch.Tensor) -> torch.Tensor:
        """states `[B, S, d]`, latents `[B, L, d]` -> `[B, L, d]`
        where the latents ask, else `[B, S, d]`.
        """
        attend, feed = self
        answer: torch.Tensor = feed(attend(states, latents))
        return answer


class _Attend(nn.Module):
    """Cross-attention with a norm in front of each side, and the asking side as residual."""

    def __init__(self, fn: "CrossAttention", size: int, latents_ask: bool):
        super().__init__()
        self.fn = fn
        self.norm = nn.LayerNorm(size)
        self.norm_context = nn.LayerNorm(size)
        self.latents_ask = latents_ask

    def forward(self, states: torch.Tensor, latents: torch.Tensor) -> torch.Tensor:
        hiddens, asked = self.norm(states), self.norm_context(latents)
        answer: torch.Tensor = (
            latents + self.fn(asked, hiddens)
            if self.latents_ask
            else states + self.fn(hiddens, asked)
        )
        return answer


class _Feed(nn.Module):
    """Feed-forward with a norm in front and a residual."""

    def __init__(self, fn: "_FeedForward", size: int):
        super().__init__()
        self.fn = fn
        self.norm = nn.LayerNorm(size)

    def forward(self, states: torch.Tensor) -> torch.Tensor:
        fed: torch.Tensor = states + self.fn(self.norm(states))
        return fed


class CrossAttention(nn.Module):
    def __init__(self, size: int, heads: int, head_size: int):
        super().__init__()
        self.heads = heads
        self.to_q = nn.Linear(size, heads * head_size, bias=False)
        self.to_kv = nn.Linear(size, 2 * heads * head_size, bias=False)
        self.to_out = nn.Linear(heads * head_size, size, bias=False)

    def forward(self, queries: torch.Tensor, context: torch.Tensor) -> torch.Tensor:
        keys, values = self.to_kv(context).chunk(2, dim=-1)
        queries, keys, values = (
            part.unflatten(-1, (self.heads, -1)).transpose(1, 2)
            for part in (self.to_q(queries), keys, values)
        )
        answers: torch.Tensor = self.to_out(
            F.scaled_dot_product_attention(queries, keys, values).transpose(1, 2).flatten(2)
        )
        return answers


class _FeedForward(nn.Module):
    """GEGLU of width 4: the first half of the projection, times GELU of the second."""

    def __init__(self, size: int):
        super().__init__()
        self.net = nn.ModuleList(
            [nn.Linear(size, 8 * size), nn.Identity(), nn.Linear(4 * size, size)]
        )

    def forward(self, states: torch.Tensor) -> torch.Tensor:
        values, gates = self.net[0](states).chunk(2, dim=-1)
        fed: torch.Tensor = self.net[2](values * F.gelu(gates))
        return fed
