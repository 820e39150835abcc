"""What encoding costs, and what a single layer of a pass through several would have cost alone."""

from dataclasses import dataclass, field, replace
from typing import NamedTuple

_SETTINGS = ("kernels", "workers", "batch_tokens", "has_price", "cuts_unseen")


@dataclass
class LayerTimes:
    """Seconds of the batches of a pass: in the backbone,
    and after it for the vectors of each of its layers.

    A pass that keeps several layers runs the backbone once. A layer's vectors alone would have
    taken the part of the backbone up to that layer (its layers are alike), and their own pooling:
    `share` derives that from the pass.
    """

    backbone: float = 0.0
    heads: float = 0.0
    depth: int = 0  # layers that ran
    layers: int = 1  # whose vectors were kept

    def add(self, other: "LayerTimes") -> None:
        """Another batch of the same pass."""
        self.backbone += other.backbone
        self.heads += other.heads
        self.depth, self.layers = max(self.depth, other.depth), max(self.layers, other.layers)

    def share(self, layer: int | None) -> float:
        """The part of the pass that `layer` alone needs; None is the model's own output."""
        if self.layers == 1:
            return 1.0
        up_to = (layer or self.depth) / max(self.depth, 1)
        return (self.backbone * up_to + self.heads / self.layers) / max(
            self.backbone + self.heads, 1e-12
        )


class LayerCost(NamedTuple):
    """Seconds of one layer's vectors: for all texts, whenever they were encoded; the part of these
    that was derived from a pass through several layers; and now.
    """

    measured: float = 0.0
    derived: float = 0.0
    now: float = 0.0

    def plus(self, other: "LayerCost") -> "LayerCost":
        return LayerCost(*(one + more for one, more in zip(self, other, strict=True)))


@dataclass
class Cost:
    """What encoding took: all texts asked for when they were encoded, and what had to be done now.

    Of a pass through several layers the seconds are those of the whole; `of` has those of one
    layer.
    """

    texts: int = 0
    tokens: int = 0
    truncated: int = 0  # texts that fill the model's maximum length
    measured_seconds: float = 0.0  # for all texts, whenever they were encoded
    derived_seconds: float = 0.0  # of these, what was derived from a pass through several layers
    seconds: float = 0.0  # now
    encoded_texts: int = 0
    encoded_tokens: int = 0
    padded_tokens: int = 0  # went through the model now, padding included
    kernels: str = ""  # how linear layers ran: packed, compiled or plain
    workers: int = 0  # copies of the model at work now; 0 where every vector was there
    batch_tokens: int = 0  # tokens of a batch now, after any halving; 0 as above
    requests: int = 0  # to a server, now
    requests_again: int = 0  # ... of these, tries after one that brought no answer
    has_price: bool = False
    price: float = 0.0  # US dollars of all texts, whenever they were paid for
    price_now: float = 0.0  # ... and now
    cuts_unseen: bool = False  # a server does not say which texts it cut
    first_inputs: list[str] = field(default_factory=list)
    first_tokens: list[list[str]] = field(default_factory=list)
    by_layer: dict[int | None, LayerCost] = field(default_factory=dict)

    def add(self, other: "Cost") -> None:
        for name, value in vars(other).items():
            mine = getattr(self, name)
            if name == "by_layer":
                mine |= {
                    layer: mine.get(layer, LayerCost()).plus(cost) for layer, cost in value.items()
                }
                continue
            # As they were when something was encoded last.
            is_setting = name in _SETTINGS
            setattr(self, name, (value or mine) if is_setting else mine + value)

    def of(self, layer: int | None) -> "Cost":
        """What the vectors of this layer alone cost."""
        alone = self.by_layer.get(
            layer, LayerCost(self.measured_seconds, self.derived_seconds, self.seconds)
        )
        return replace(
            self, measured_seconds=alone.measured, derived_seconds=alone.derived, seconds=alone.now
        )

    def named(self) -> dict[str, float]:
        """The costs under the names that the leaderboard knows; `encoded_now_*` is what this run
        still had to do.

        `encode_derived_share` is there where not all of `encode_seconds` was measured (see
        `LayerTimes`).
        """
        seconds, texts = max(self.measured_seconds, 1e-9), max(self.texts, 1)
        derived = self.derived_seconds / seconds
        counted = {
            "tokens_per_second": self.tokens / seconds,
            "tokens_per_text": self.tokens / texts,
            **({} if self.cuts_unseen else {"truncated_share": self.truncated / texts}),
        }
        return {
            "encode_seconds": self.measured_seconds,
            "texts_per_second": self.texts / seconds,
            **(
                counted if self.tokens else {}
            ),  # of a model that is a function of texts, nobody knows them
            "encoded_now_seconds": self.seconds,
            "encoded_now_texts": self.encoded_texts,
            **(
                {"padding_share": 1 - self.encoded_tokens / self.padded_tokens}
                if self.padded_tokens
                else {}
            ),
            **({"encode_derived_share": derived} if derived else {}),
            **(
                {"price_usd": self.price, "price_now_usd": self.price_now} if self.has_price else {}
            ),
            **(
                {"requests": float(self.requests), "requests_again": float(self.requests_again)}
                if self.requests
                else {}
            ),
        }
