"""Language modelling on the backbone inside an embedder:
next token, masked token, masked next token.
"""

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from sentence_transformers import SentenceTransformer
from torch import nn
from transformers import BertForMaskedLM, BertModel, PreTrainedModel
from transformers.utils import logging

from embedlab.encoders.modules.decoder import Decoder, decoder_of
from embedlab.encoders.modules.saved import Features
from embedlab.encoders.modules.tokenizers import input_embeddings
from embedlab.errors import UserError
from embedlab.training.losses.masking import IGNORED, mask_id, mask_tokens


class NextToken(nn.Module):
    """Causal language modelling on the first column, under a causal mask whatever attention the
    embedder has: the first phase of biphasic training (arXiv:2507.00994) on a bidirectional one.

    Args:
        model: its first module is a `Decoder`.
    """

    def __init__(self, model: SentenceTransformer):
        super().__init__()
        self.model = model
        decoder_of(model)  # another model is refused now

    def forward(
        self, sentence_features: Sequence[Features], labels: torch.Tensor | None = None
    ) -> torch.Tensor:
        features = sentence_features[0]
        decoder = decoder_of(self.model)
        ids, mask = features["input_ids"], features["attention_mask"]
        if decoder.attention == "causal":
            states = decoder.states(mask, input_ids=ids).last_hidden_state
        else:
            states = causal_states(decoder, ids, mask)
        targets = ids.masked_fill(mask == 0, IGNORED)
        return token_loss(states[:, :-1], targets[:, 1:], output_weight(decoder.model))


def causal_states(decoder: Decoder, ids: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """The states `[B, L, d]` of a decoder under a causal mask, whatever attention it has."""
    length = ids.shape[1]
    causal = torch.ones(length, length, dtype=torch.bool, device=ids.device).tril()
    itself = torch.eye(length, dtype=torch.bool, device=ids.device)  # padding sees itself
    seen = (causal & mask.bool()[:, None, :]) | itself
    states: torch.Tensor = decoder.backbone(
        input_ids=ids,
        attention_mask=seen[:, None],
        position_ids=decoder.positions(mask),
        use_cache=False,
    ).last_hidden_state
    return states


class MaskedNextToken(nn.Module):
    """LLM2Vec's MNTP (arXiv:2404.05961, section 2.2):
    a masked token is predicted from the state before it.

    Args:
        model: its first module is a bidirectional `Decoder`.
        mask_token: what stands for a masked token; the paper takes "_".
        share: of the tokens that are predicted.
        all_masked: put the mask in the place of all of them, as for the authors' Mistral (share
            0.8). Else BERT's 80/10/10 rule holds, as for their Llamas (share 0.2).
    """

    def __init__(
        self,
        model: SentenceTransformer,
        mask_token: str = "_",
        share: float = 0.2,
        all_masked: bool = False,
    ):
        super().__init__()
        self.model = model
        self.mask_id = mask_id(decoder_of(model).tokenizer, mask_token)
        self.share = share
        self.keep = 0.0 if all_masked else 0.2

    def forward(
        self, sentence_features: Sequence[Features], labels: torch.Tensor | None = None
    ) -> torch.Tensor:
        features = sentence_features[0]
        decoder = decoder_of(self.model)
        ids, mask = features["input_ids"], features["attention_mask"]
        hidden, targets = mask_tokens(
            ids, mask, self.share, self.mask_id, decoder.tokenizer, self.keep
        )
        states = decoder.states(mask, input_ids=hidden).last_hidden_state
        return token_loss(states[:, :-1], targets[:, 1:], output_weight(decoder.model))


class MaskedToken(nn.Module):
    """Masked language modelling on the first column, with BERT's 80/10/10 rule (arXiv:1810.04805).

    Args:
        model: its first module is sentence-transformers' `Transformer` around an encoder.
        share: of the tokens that are predicted.
    """

    def __init__(self, model: SentenceTransformer, share: float = 0.3):
        super().__init__()
        self.model = model
        self.share = share
        self.head = MaskedHead(input_embeddings(backbone_of(model)))

    def forward(
        self, sentence_features: Sequence[Features], labels: torch.Tensor | None = None
    ) -> torch.Tensor:
        features = dict(sentence_features[0])
        tokenizer = self.model.tokenizer
        features["input_ids"], targets = mask_tokens(
            features["input_ids"],
            features["attention_mask"],
            self.share,
            tokenizer.mask_token_id,
            tokenizer,
            keep=0.2,
        )
        states = self.model[0](features)["token_embeddings"]
        return token_loss(self.head(states), targets, input_embeddings(backbone_of(self.model)))


def backbone_of(model: SentenceTransformer) -> PreTrainedModel:
    """The transformer in the first module of a model.

    Raises:
        UserError: it has none.
    """
    backbone = getattr(model[0], "model", None)
    if not isinstance(backbone, PreTrainedModel):
        raise UserError(
            f"This objective needs a transformer; the first module is a {type(model[0]).__name__}.",
            "Take a method whose base is a transformer, such as encoder.",
        )
    return backbone


class MaskedHead(nn.Module):
    """BERT's transform in front of the tied output embeddings: dense, GELU, norm.

    Args:
        embeddings: the tied output embeddings `[V, width]`.

    `forward` takes states `[..., width]` of the full width or, for Starbucks, of its first
    dimensions.
    """

    def __init__(self, embeddings: torch.Tensor):
        super().__init__()
        width = embeddings.shape[1]
        self.dense = nn.Linear(width, width)
        self.norm = nn.LayerNorm(width)
        # Logits start with unit variance, whatever the scale of the embeddings.
        nn.init.constant_(
            self.norm.weight, 1 / (embeddings.detach().float().std() * width**0.5).item()
        )
        self.vocabulary_bias: nn.Parameter | None = None
        self.factor = 1.0

    def forward(self, states: torch.Tensor) -> torch.Tensor:
        dense = F.linear(states, self.dense.weight[:, : states.shape[-1]], self.dense.bias)
        states = self.norm(F.gelu(dense))
        return states


def bert_head(encoder: BertModel) -> MaskedHead:
    """The masked-language-modelling head that the folder of a BERT holds,
    or a new one where it holds none.

    What a head gives may be read by a decoder too, beside embeddings. So a new one has a norm of 1,
    and its logits start with unit variance by a constant `factor`.
    """
    head = MaskedHead(input_embeddings(encoder))
    head.vocabulary_bias = nn.Parameter(torch.zeros(encoder.config.vocab_size))
    before = logging.get_verbosity()
    logging.set_verbosity_error()  # a base without a head is no fault here
    # With `output_loading_info` it gives a pair, which its annotations leave out.
    loaded: Any = BertForMaskedLM.from_pretrained(encoder.name_or_path, output_loading_info=True)
    whole, report = loaded
    logging.set_verbosity(before)
    if any(key.startswith("cls.") for key in report["missing_keys"]):
        head.factor = head.norm.weight[0].item()
        nn.init.ones_(head.norm.weight)
    else:
        predictions = whole.cls.predictions
        head.dense, head.norm = predictions.transform.dense, predictions.transform.LayerNorm
        head.vocabulary_bias = predictions.decoder.bias
    return head


def token_loss(
    states: torch.Tensor,
    targets: torch.Tensor,
    weight: torch.Tensor,
    bias: torch.Tensor | None = None,
) -> torch.Tensor:
    """Mean cross-entropy of states `[B, L, d]` against targets `[B, L]` where these are not
    `IGNORED`; 0 if nowhere.

    Only the states that are asked get logits: the vocabulary is the widest thing here.
    """
    asked = targets != IGNORED
    logits = F.linear(states[asked], weight, bias).float()
    return F.cross_entropy(logits, targets[asked], reduction="sum") / asked.sum().clamp(min=1)


def output_weight(model: PreTrainedModel) -> torch.Tensor:
    """The output embeddings `[V, d]`;
    a backbone without a head uses its input embeddings, as tied models do.

    Raises:
        UserError: it has no head, and its configuration says that its output embeddings are others
            than the input's.
    """
    head = model.get_output_embeddings()
    if head is None and not model.config.tie_word_embeddings:
        raise UserError(
            "Language modelling needs the model's head, and this method leaves it out.",
            "Take a base whose output embeddings are tied to its input embeddings.",
        )
    if head is None:
        return input_embeddings(model)
    weight: torch.Tensor = head.weight
    return weight
