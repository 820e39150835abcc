"""Masked auto-encoding from a bottleneck:
the encoder's CLS state must let a weak decoder restore the text.

DupMAE, i.e. RetroMAE v2 (arXiv:2211.08769, github.com/staoxiao/RetroMAE), and Starbucks' SMAE
(arXiv:2410.13230, github.com/ielab/Starbucks). Both read one column, mask whole words, and train
sentence-transformers' `Transformer` around a BERT. The head is BERT's own where the base's folder
holds one, as bert-base-uncased does, else a new one.
"""

from collections.abc import Sequence
from copy import deepcopy

import torch
from sentence_transformers import SentenceTransformer
from torch import nn
from transformers import BertModel, PreTrainedModel
from transformers.models.bert.modeling_bert import BertAttention, BertIntermediate, BertOutput

from embedlab.compat.transformers_internals import initialise
from embedlab.encoders.modules.matryoshka import View, views_to_train
from embedlab.encoders.modules.saved import Features
from embedlab.encoders.modules.tokenizers import input_embeddings
from embedlab.errors import UserError
from embedlab.training.losses.language import MaskedHead, backbone_of, bert_head, token_loss
from embedlab.training.losses.masking import (
    IGNORED,
    budget,
    corrupt,
    number_words,
    whole_words,
    word_starts,
)


class DecoderLayer(nn.Module):
    """A new BERT layer whose keys and values are another sequence's: queries, context `[B, L, d]`
    -> `[B, L, d]`.
    """

    def __init__(self, encoder: BertModel):
        super().__init__()
        self.attention = BertAttention(encoder.config, is_cross_attention=True)
        self.intermediate = BertIntermediate(encoder.config)
        self.output = BertOutput(encoder.config)
        initialise(self, encoder)

    def forward(
        self, queries: torch.Tensor, context: torch.Tensor, unseen: torch.Tensor
    ) -> torch.Tensor:
        """`unseen` bool `[B, L, L]`: True where the row's token must not see the column's."""
        states, _ = self.attention(
            queries,
            encoder_hidden_states=context,
            encoder_attention_mask=_additive(unseen, queries.dtype),
        )
        out: torch.Tensor = self.output(self.intermediate(states), states)
        return out


class _AutoEncoding(nn.Module):
    starts: torch.Tensor
    special: torch.Tensor

    def __init__(self, model: SentenceTransformer, encoder_share: float, decoder_share: float):
        super().__init__()
        self.model = model
        encoder = backbone_of(model)
        if not isinstance(encoder, BertModel):
            raise UserError(
                f"This pre-training needs a BERT, and the base is of type {_type_of(encoder)}.",
                "Give a base such as google-bert/bert-base-uncased.",
            )
        self.encoder = encoder
        self.encoder_share = encoder_share
        self.decoder_share = decoder_share
        self.head: MaskedHead = bert_head(self.encoder)
        tokenizer = model.tokenizer
        self.register_buffer("starts", word_starts(tokenizer), persistent=False)
        self.register_buffer(
            "special", torch.tensor(sorted(set(tokenizer.all_special_ids))), persistent=False
        )

    def _restore(self, states: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        weight, head = input_embeddings(self.encoder), self.head
        return token_loss(head.factor * head(states), targets, weight, head.vocabulary_bias)

    def _corrupt(
        self, ids: torch.Tensor, predicted: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        tokenizer = self.model.tokenizer
        predicted = predicted & ~torch.isin(ids, self.special)
        return corrupt(ids, predicted, tokenizer.mask_token_id, len(tokenizer))


class DupMAE(_AutoEncoding):
    """MLM in the encoder, a one-layer enhanced decoder on CLS,
    and a bag of words from the other tokens.

    Args:
        model: its first module is a `Transformer` around a BERT.
        encoder_share: of tokens masked in the encoder.
        decoder_share: of tokens that each position of the decoder cannot see.
        bow_weight: of the bag of words.
    """

    MASKS = 256  # at most so many draws per text; each position of the decoder takes one of them

    def __init__(
        self,
        model: SentenceTransformer,
        encoder_share: float = 0.3,
        decoder_share: float = 0.5,
        bow_weight: float = 0.1,
    ):
        super().__init__(model, encoder_share, decoder_share)
        self.bow_weight = bow_weight
        self.decoder = DecoderLayer(self.encoder)

    def forward(
        self, sentence_features: Sequence[Features], labels: torch.Tensor | None = None
    ) -> dict[str, torch.Tensor]:
        ids, mask = sentence_features[0]["input_ids"], sentence_features[0]["attention_mask"].bool()
        words = number_words(ids, _inner(mask), self.starts)
        (predicted,) = whole_words(words, budget(mask.sum(-1), self.encoder_share))
        hidden_ids, targets = self._corrupt(ids, predicted)
        return self.terms(sentence_features[0], hidden_ids, targets, self._unseen(words, mask))

    def terms(
        self,
        features: Features,
        hidden_ids: torch.Tensor,
        targets: torch.Tensor,
        unseen: torch.Tensor,
    ) -> dict[str, torch.Tensor]:
        """The three terms, given what the draws decided.

        Args:
            features: of the whole texts.
            hidden_ids: `[B, L]`, the encoder's input; targets alike.
            unseen: bool `[B, L, L]`, what each position of the decoder cannot see.
        """
        ids, mask = features["input_ids"], features["attention_mask"].bool()
        states = self.model[0](features | {"input_ids": hidden_ids})["token_embeddings"]
        cls = states[:, :1]
        context = torch.cat([cls, self.encoder.embeddings(input_ids=ids)[:, 1:]], dim=1)
        # With position and type, and normed.
        queries = self.encoder.embeddings(inputs_embeds=cls.expand_as(context))
        decoded = self.decoder(queries, context, unseen)
        return {
            "encoder": self._restore(states, targets),
            "decoder": self._restore(decoded, ids.masked_fill(~_inner(mask), IGNORED)),
            "bag_of_words": self.bow_weight * self._bag_of_words(states, ids, mask),
        }

    def _unseen(self, words: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Each position sees CLS, [SEP] and its own random part of the words;
        never itself or padding.
        """
        batch, length = words.shape
        draws = min(length, self.MASKS)
        budgets = budget(mask.sum(-1), self.decoder_share).repeat_interleave(draws)
        (hidden,) = whole_words(words.repeat_interleave(draws, dim=0), budgets)
        taken = torch.randint(draws, (batch, length, 1), device=words.device).expand(-1, -1, length)
        unseen = hidden.view(batch, draws, length).gather(1, taken)
        unseen |= torch.eye(length, dtype=torch.bool, device=mask.device) | ~mask[:, None, :]
        unseen[:, 0, 0] = False  # so that CLS sees something whatever was drawn; it is no target
        return unseen

    def _bag_of_words(
        self, states: torch.Tensor, ids: torch.Tensor, mask: torch.Tensor
    ) -> torch.Tensor:
        """Cross-entropy of the maximal logits over the tokens,
        CLS aside, to the set of the text's tokens.

        Each token of the set weighs 1 / number of tokens: repeats lower the sum, as in the authors'
            code.
        """
        weight = input_embeddings(self.encoder)
        transformed = self.head.factor * self.head(states[:, 1:])
        logits = nn.functional.linear(transformed, weight, self.head.vocabulary_bias).float()
        scores = logits.masked_fill(~mask[:, 1:, None], -torch.inf).amax(1).log_softmax(-1)
        inner = _inner(mask)
        bag = torch.zeros_like(scores).scatter_add_(1, ids, inner.float()).clamp(max=1)
        return -(scores * bag / inner.sum(-1, keepdim=True).clamp(min=1)).sum(-1).mean()


class SMAE(_AutoEncoding):
    """Starbucks' pre-training: for each size, MLM at its layer
    and width, and a decoder from its CLS.

    The mean over the sizes of (MLM + MAE) / 2. The heads are shared; a narrower state uses the
    first columns of the dense layer, and that transform also widens the narrow CLS for the decoder.
    The decoder is one layer that starts as the base's first. Both masks of a text are nested: what
    the encoder must predict the decoder must too.

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
        self.pairs = views_to_train(model, pairs)
        self.decoder = deepcopy(self.encoder.encoder.layer[0])

    def forward(
        self, sentence_features: Sequence[Features], labels: torch.Tensor | None = None
    ) -> dict[str, torch.Tensor]:
        ids, mask = sentence_features[0]["input_ids"], sentence_features[0]["attention_mask"].bool()
        words = number_words(ids, mask & ~torch.isin(ids, self.special), self.starts)
        lengths = mask.sum(-1)
        masks = whole_words(
            words, budget(lengths, self.encoder_share), budget(lengths, self.decoder_share)
        )
        return self.terms(
            sentence_features[0], *(self._corrupt(ids, predicted) for predicted in masks)
        )

    def terms(
        self,
        features: Features,
        encoder: tuple[torch.Tensor, torch.Tensor],
        decoder: tuple[torch.Tensor, torch.Tensor],
    ) -> dict[str, torch.Tensor]:
        """The two terms, given what the draws decided:
        ids with masks, and targets, of encoder and decoder.
        """
        mask = features["attention_mask"]
        hidden_ids, targets = encoder
        more_hidden, wanted = decoder
        output = self.encoder(input_ids=hidden_ids, attention_mask=mask, output_hidden_states=True)
        embedded = self.encoder.embeddings(input_ids=more_hidden)
        padding = _additive(~mask.bool()[:, None, :].expand(-1, mask.shape[1], -1), embedded.dtype)
        mlm, mae = [], []
        for layer, dim in self.pairs:
            states = output.hidden_states[layer][..., :dim]
            mlm.append(self._restore(states, targets))
            context = torch.cat([self.head(states[:, :1]), embedded[:, 1:]], dim=1)
            mae.append(self._restore(self.decoder(context, attention_mask=padding), wanted))
        return {"mlm": torch.stack(mlm).mean() / 2, "mae": torch.stack(mae).mean() / 2}


def _type_of(model: PreTrainedModel) -> str:
    return str(model.config.model_type)


def _inner(mask: torch.Tensor) -> torch.Tensor:
    """bool `[B, L]`: the text's own tokens, without CLS at its start and [SEP] at its end."""
    inner = mask.clone()
    inner[:, 0] = False
    inner[torch.arange(len(mask)), mask.sum(-1) - 1] = False
    return inner


def _additive(unseen: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    """`[B, L, L]` bool -> `[B, 1, L, L]`:
    what attention adds to its scores, whichever kernel runs it.
    """
    return torch.zeros_like(unseen, dtype=dtype).masked_fill(unseen, torch.finfo(dtype).min)[
        :, None
    ]
