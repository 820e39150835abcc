"""Masked auto-encoding from a bottleneck: the encoder's CLS state must let a weak decoder restore the text.

DupMAE, i.e. RetroMAE v2 (arXiv:2211.08769), and Starbucks' SMAE (arXiv:2410.13230). Both read one column and train
sentence-transformers' `Transformer` around a BERT-like encoder.
"""

import torch
import torch.nn.functional as F
from sentence_transformers import SentenceTransformer
from torch import nn

from embedlab.encoders.matryoshka import View, trained_views
from embedlab.training.losses.language import IGNORED, MaskedHead, mask_tokens, token_loss


class DecoderLayer(nn.Module):
    """One transformer layer that reads the bottleneck: queries `[B, L, d]`, context `[B, L, d]` -> `[B, L, d]`."""

    def __init__(self, width: int, heads: int):
        super().__init__()
        self.attention = nn.MultiheadAttention(width, heads, batch_first=True)
        self.norm = nn.LayerNorm(width)
        self.feed = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))
        self.feed_norm = nn.LayerNorm(width)

    def forward(self, queries: torch.Tensor, context: torch.Tensor, hidden: torch.Tensor) -> torch.Tensor:
        """`hidden` bool `[B, L, L]`: True where the row's token must not see the column's."""
        hidden = hidden.repeat_interleave(self.attention.num_heads, dim=0)
        states = self.norm(queries + self.attention(queries, context, context, attn_mask=hidden, need_weights=False)[0])
        return self.feed_norm(states + self.feed(states))


class _AutoEncoding(nn.Module):
    def __init__(self, model: SentenceTransformer, encoder_share: float, decoder_share: float):
        super().__init__()
        self.model = model
        self.encoder = model[0].model
        self.encoder_share = encoder_share
        self.decoder_share = decoder_share
        config = self.encoder.config
        self.head = MaskedHead(self.vocabulary)
        self.decoder = DecoderLayer(config.hidden_size, config.num_attention_heads)

    @property
    def vocabulary(self) -> torch.Tensor:
        return self.encoder.get_input_embeddings().weight

    def _masked(self, features: dict, share: float) -> tuple[torch.Tensor, torch.Tensor]:
        tokenizer = self.model.tokenizer
        mask_id = tokenizer.mask_token_id
        return mask_tokens(features["input_ids"], features["attention_mask"], share, mask_id, tokenizer, keep=0.2)


class DupMAE(_AutoEncoding):
    """MLM in the encoder, a one-layer enhanced decoder on CLS, and a bag of words from the other tokens.

    Args:
        model: its first module is a `Transformer` around a BERT-like encoder.
        encoder_share: of tokens masked in the encoder.
        decoder_share: of tokens that each position of the decoder cannot see.
        bow_weight: of the bag of words.
    """

    def __init__(
        self,
        model: SentenceTransformer,
        encoder_share: float = 0.3,
        decoder_share: float = 0.5,
        bow_weight: float = 0.1,
    ):
        super().__init__(model, encoder_share, decoder_share)
        self.bow_weight = bow_weight

    def forward(self, sentence_features, labels=None) -> dict[str, torch.Tensor]:
        features = sentence_features[0]
        ids, mask = features["input_ids"], features["attention_mask"].bool()
        hidden_ids, targets = self._masked(features, self.encoder_share)
        states = self.model[0](features | {"input_ids": hidden_ids})["token_embeddings"]
        cls = states[:, :1]

        embedded = self.encoder.embeddings(input_ids=ids)
        positions = self.encoder.embeddings(inputs_embeds=torch.zeros_like(embedded))
        context = torch.cat([cls, embedded[:, 1:]], dim=1)
        decoded = self.decoder(cls + positions, context, self._unseen(mask))
        restored = ids.masked_fill(~mask, IGNORED)
        restored[:, 0] = IGNORED
        return {
            "encoder": token_loss(self.head(states), targets, self.vocabulary),
            "decoder": token_loss(self.head(decoded), restored, self.vocabulary),
            "bag_of_words": self.bow_weight * self._bag_of_words(states, ids, mask),
        }

    def _unseen(self, mask: torch.Tensor) -> torch.Tensor:
        """Each token sees CLS and its own random part of the others, never itself or padding."""
        batch, length = mask.shape
        unseen = torch.rand(batch, length, length, device=mask.device) < self.decoder_share
        unseen |= torch.eye(length, dtype=torch.bool, device=mask.device) | ~mask[:, None, :]
        unseen[:, :, 0] = False
        return unseen

    def _bag_of_words(self, states, ids, mask) -> torch.Tensor:
        """Cross-entropy of the maximal logits over the tokens, CLS aside, to the set of the text's tokens."""
        logits = F.linear(self.head(states[:, 1:]), self.vocabulary).float()
        scores = logits.masked_fill(~mask[:, 1:, None], -torch.inf).amax(1).log_softmax(-1)
        special = torch.tensor(self.model.tokenizer.all_special_ids, device=ids.device)
        real = mask & ~torch.isin(ids, special)
        bag = torch.zeros_like(scores)
        bag.scatter_add_(1, ids, real.float())
        bag = (bag > 0).float()
        return -(scores * bag / bag.sum(-1, keepdim=True).clamp(min=1)).sum(-1).mean()


class SMAE(_AutoEncoding):
    """Starbucks' pre-training: for each size, MLM at its layer and width, and a decoder from its CLS.

    The mean over the sizes of (MLM + MAE) / 2. The heads are shared; a narrower state uses the first columns of the
    dense layer. The decoder reads a narrow CLS filled up with zeros (the paper leaves it open).

    Args:
        model: of `embedlab.encoders.starbucks`.
        pairs: (layer, dimension); None takes the model's own.
        encoder_share: of tokens masked in the encoder.
        decoder_share: of tokens masked in the decoder.
    """

    def __init__(
        self,
        model: SentenceTransformer,
        pairs: list[View] | None = None,
        encoder_share: float = 0.2,
        decoder_share: float = 0.4,
    ):
        super().__init__(model, encoder_share, decoder_share)
        self.pairs = [tuple(pair) for pair in pairs or trained_views(model)]

    def forward(self, sentence_features, labels=None) -> dict[str, torch.Tensor]:
        features = sentence_features[0]
        mask = features["attention_mask"].bool()
        hidden_ids, targets = self._masked(features, self.encoder_share)
        more_hidden, wanted = self._masked(features, self.decoder_share)
        output = self.encoder(
            input_ids=hidden_ids, attention_mask=features["attention_mask"], output_hidden_states=True
        )
        embedded = self.encoder.embeddings(input_ids=more_hidden)
        padding = (~mask)[:, None, :].expand(-1, mask.shape[1], -1)
        mlm, mae = [], []
        for layer, dim in self.pairs:
            states = output.hidden_states[layer][..., :dim]
            mlm.append(token_loss(self.head(states), targets, self.vocabulary))
            cls = F.pad(states[:, :1], (0, embedded.shape[-1] - dim))
            context = torch.cat([cls, embedded[:, 1:]], dim=1)
            mae.append(token_loss(self.head(self.decoder(context, context, padding)), wanted, self.vocabulary))
        return {"mlm": torch.stack(mlm).mean() / 2, "mae": torch.stack(mae).mean() / 2}
