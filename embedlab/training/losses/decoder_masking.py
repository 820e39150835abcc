"""Masked language modelling, each masked token from its own place: the second phase of biphasic
training (first causal, then masked; arXiv:2507.00994), on encoders and on bidirectional decoders.
"""

from typing import Any

import torch
from torch import nn

from embedlab.encoders.modules.decoder import Decoder
from embedlab.errors import UserError
from embedlab.training.losses.language import MaskedToken, output_weight, token_loss
from embedlab.training.losses.masking import mask_id, mask_tokens


class DecoderMasked(nn.Module):
    """Masked language modelling on the first column by a decoder without its causal mask.

    BERT's 80/10/10 rule; the decoder's own head gives the logits. (`MaskedNextToken` predicts from
    the place before, which stays nearer to what a causal model has learned.)

    Args:
        model: its first module is a bidirectional `Decoder`.
        share: of the tokens that are predicted.
        mask_token: what stands for a masked token, where the vocabulary has no mask.

    Raises:
        UserError: the decoder is causal: a masked token would be guessed from its left alone.
    """

    def __init__(self, model: Any, share: float = 0.4, mask_token: str = "_") -> None:
        super().__init__()
        decoder: Decoder = model[0]
        if decoder.attention != "bidirectional":
            raise UserError(
                "masked-token needs a model that sees both sides, and this decoder's attention is"
                f" {decoder.attention}.",
                'Give attention = "bidirectional" in [settings], or another method.',
            )
        self.model = model
        self.share = share
        known = decoder.tokenizer.mask_token_id
        self.mask_id = mask_id(decoder.tokenizer, mask_token) if known is None else known

    def forward(self, sentence_features: Any, labels: torch.Tensor | None = None) -> torch.Tensor:
        features = next(iter(sentence_features))
        decoder: Decoder = self.model[0]
        hidden, targets = mask_tokens(
            features["input_ids"],
            features["attention_mask"],
            self.share,
            self.mask_id,
            decoder.tokenizer,
            keep=0.2,
        )
        states = decoder.states(features["attention_mask"], input_ids=hidden).last_hidden_state
        return token_loss(states, targets, output_weight(decoder.model))


def masked_token(model: Any, **settings: Any) -> nn.Module:
    """Masked language modelling by the kind of model: an encoder with a head, or a decoder."""
    kind = DecoderMasked if isinstance(model[0], Decoder) else MaskedToken
    return kind(model, **settings)
