"""A causal language model as a reranker, untrained: how much likelier "yes" is than "no" where it
is asked whether a passage answers a query (pointwise, as in arXiv:2211.09110 on MS MARCO).
"""

from pathlib import Path
from typing import Any

import torch
from sentence_transformers import CrossEncoder
from sentence_transformers.base.modules import Transformer
from sentence_transformers.cross_encoder.modules.logit_score import LogitScore

from embedlab.bases.folders import require_language_model
from embedlab.encoders.modules.weights import local
from embedlab.errors import UserError

_QUESTION = (
    "Passage: {document}\nQuery: {query}\n"
    "Does the passage answer the query? Answer yes or no.\nAnswer:"
)
_LEAST = 32  # tokens of a passage that must have room


class QuestionTransformer(Transformer):
    """A language model that reads pairs of query and document as a question about them.

    Where both do not fit into its length, the passage is cut, and never the question. The question
    is text as it stands, in no chat's form.
    """

    def __init__(self, *args: Any, **settings: Any) -> None:
        super().__init__(*args, **settings)
        self.modality_config.pop("message", None)

    def preprocess(
        self,
        inputs: Any,
        prompt: str | None = None,
        processing_kwargs: Any = None,
        **settings: Any,
    ) -> dict[str, Any]:
        """Features of `[(query, document), ...]`; an instruction precedes the question."""
        texts = [(prompt or "") + self.question(query, document) for query, document in inputs]
        features: dict[str, Any] = super().preprocess(
            texts, processing_kwargs=processing_kwargs, **settings
        )
        return features

    def question(self, query: str, document: str) -> str:
        """The question as the model reads it."""
        length = int(self.max_seq_length or 512)
        query = self._cut(query, length // 2)
        room = length - self._count(_QUESTION.format(query=query, document="")) - 4
        return _QUESTION.format(query=query, document=self._cut(document, max(room, 0)))

    def _count(self, text: str) -> int:
        tokenizer: Any = self.tokenizer
        return len(tokenizer(text)["input_ids"])

    def _cut(self, text: str, tokens: int) -> str:
        """The text up to its last token that fits."""
        tokenizer: Any = self.tokenizer
        spans = tokenizer(text, add_special_tokens=False, return_offsets_mapping=True)[
            "offset_mapping"
        ]
        return text if len(spans) <= tokens else text[: spans[tokens - 1][1] if tokens else 0]


def load(
    source: str | Path,
    *,
    max_length: int = 512,
    revision: str | None = None,
    device: str | None = None,
    dtype: torch.dtype | None = None,
) -> CrossEncoder:
    """A CrossEncoder whose scores are logit("yes") - logit("no").

    Args:
        source: hub id, local folder, or base.
        max_length: tokens of question, query and passage together.
        revision: hub revision; None takes the newest.
        device: torch device; None lets sentence-transformers choose.
        dtype: dtype of the weights; None is float32.

    Raises:
        UserError: no causal language model, one without a token for each answer, or no room.
    """
    folder = local(source, revision)
    require_language_model(folder, str(source))
    if max_length < _LEAST + 48:
        raise UserError(f"max_length={max_length} leaves no room.", f"Give {_LEAST + 48} or more.")
    transformer = QuestionTransformer(
        str(folder),
        transformer_task="text-generation",
        model_kwargs={"dtype": dtype or torch.float32},
        processor_kwargs={"model_max_length": max_length},
    )
    yes, no = (_answer(transformer, word, str(source)) for word in ("yes", "no"))
    modules = [transformer, LogitScore(yes, no)]
    model: CrossEncoder = CrossEncoder(
        modules=modules, device=device, activation_fn=torch.nn.Identity()
    )
    return model


def _answer(transformer: Transformer, word: str, source: str) -> int:
    """The one token that the answer adds behind the question."""
    tokenizer: Any = transformer.tokenizer
    before = tokenizer("Answer:", add_special_tokens=False)["input_ids"]
    after = tokenizer(f"Answer: {word}", add_special_tokens=False)["input_ids"]
    if after[:-1] != before or after[-1] == tokenizer.unk_token_id:
        raise UserError(
            f"{source} has no single token for the answer {word!r}.", "Take another language model."
        )
    return int(after[-1])
