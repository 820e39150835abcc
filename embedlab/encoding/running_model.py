"""A loaded model as it runs: texts to features,
copies that work side by side, how much goes through at once.
"""

import threading
from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

from embedlab.errors import UserError
from embedlab.hardware import devices
from embedlab.models import LoadedModel
from embedlab.options import EncodingOptions
from embedlab.progress import Reporter

if TYPE_CHECKING:
    from embedlab.encoding.replicas import Workers


class RunningModel:
    """What a pass of texts needs of a model.

    `batch_tokens` is the number of tokens that go through the model at once; it is halved when
    memory runs out.

    Raises:
        UserError: the model's device takes no so many workers.
    """

    def __init__(
        self,
        model: LoadedModel,
        options: EncodingOptions,
        reporter: Reporter,
        *,
        tokens: bool = False,
    ) -> None:
        self._tokens = tokens
        self.model, self.options, self.reporter = model, options, reporter
        if options.workers:
            # Too many are refused before any work.
            devices(model.device, options.workers, compiled=options.compiled)
        # On the CPU the activations of a batch should stay
        # in the cache of the cores that work on it.
        self.batch_tokens = options.batch_tokens or (
            65_536 if model.device.startswith("cuda") else 2_048
        )
        self.first_budget = self.batch_tokens  # before any halving
        self._workers: tuple[int | None, Workers] | None = None  # by the depth that they keep
        self._lock, self._tokenising = threading.Lock(), threading.Lock()

    @property
    def sparse(self) -> bool:
        """Whether its vectors are sparse."""
        return self.model.card.kind.is_sparse

    @property
    def tokens(self) -> bool:
        """Whether its texts have a vector for each token."""
        return self._tokens or self.model.card.kind.gives_tokens

    def workers(self, depth: int | None) -> "Workers":
        """Copies of the model that keep its first `depth` layers
        (None keeps all), made anew where that changes.
        """
        if self._workers is None or self._workers[0] != depth:
            self._workers = depth, self._copies(depth)
        return self._workers[1]

    def _copies(self, depth: int | None) -> "Workers":
        from embedlab.encoding.replicas import Workers

        planned = devices(self.model.device, self.options.workers, compiled=self.options.compiled)
        pool = Workers(self.model.encoder, planned, depth=depth, compiled=self.options.compiled)
        if self.options.workers and len(pool) < len(planned):
            self.reporter.say(f"{self.model.name} cannot be copied: it works alone.")
        return pool

    def workers_for(self, layers: Sequence[int | None]) -> "Workers":
        """Copies of the model that run no further than these layers.

        Raises:
            UserError: the model encodes in a way of its own.
        """
        from embedlab.encoding.forward import refuse_own_encode

        refuse_own_encode(self.model.encoder, self.model.name)
        depths = [layer for layer in layers if layer is not None]
        return self.workers(max(depths) if len(depths) == len(layers) else None)

    @cached_property
    def even(self) -> bool:
        """Whether only texts of one length may share a batch: measured once for a model."""
        from embedlab.encoding.forward import padding_shows

        return self.model.remembered.get("padding shows", lambda: padding_shows(self.model.encoder))

    @cached_property
    def _tokeniser(self) -> Any:
        """What pads a shard's texts; a model that takes texts without padding
        (varlen attention) drops it later.
        """
        from embedlab.encoding import kernels

        encoder = self.model.encoder
        if not kernels.unpadding(encoder):
            return encoder
        padding = kernels.replica(encoder, self.model.device)
        while module := kernels.unpadding(padding):
            module.unpad_inputs = False
        return padding

    def features(self, texts: Sequence[str], prompt: str, role: str) -> dict[str, Any]:
        """What the model's forward pass takes; methods choose lengths and templates by the role."""
        from embedlab.encoders.modules.tokenizers import with_a_column

        task = {"task": role} if role in ("query", "document") else {}

        with self._tokenising:  # a tokenizer changes its own state while it works
            return with_a_column(
                self._tokeniser.preprocess(list(texts), prompt=prompt or None, **task)
            )

    def smaller(self, error: Exception, size: int, budget: int) -> int:
        """Half of a batch's token budget after running out of memory;
        any other error goes on up.
        """
        import torch

        out_of_memory = isinstance(
            error, torch.OutOfMemoryError | MemoryError
        ) or "allocate memory" in str(error)
        if not out_of_memory:
            raise error
        if size == 1:
            raise UserError(
                f"{self.model.name} runs out of memory on a single text.",
                "Use --device cpu, a smaller --dtype, or a model with a shorter maximum length.",
            ) from error
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        with self._lock:  # several batches of the same budget may fail at once: that is one failure
            if budget // 2 < self.batch_tokens:
                self.batch_tokens = budget // 2
                self.reporter.say(
                    f"Out of memory: going on with {self.batch_tokens:,} tokens per batch."
                )
        return budget // 2
