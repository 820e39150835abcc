"""GEM's training (arXiv:2506.04344, section 3):
first compress the text into special tokens, then tell texts apart.
"""

import math
from collections.abc import Sequence

import torch
from sentence_transformers import SentenceTransformer
from torch import nn

from embedlab.encoders.gem import training_mask
from embedlab.encoders.modules.decoder import Decoder, decoder_of
from embedlab.encoders.modules.saved import Features
from embedlab.encoders.modules.template import Row, Template, token_ids
from embedlab.errors import UserError
from embedlab.training.losses.contrastive import info_nce
from embedlab.training.losses.language import output_weight, token_loss
from embedlab.training.losses.masking import IGNORED

MAX_SCALE = 100.0


class GEM(nn.Module):
    """(1 - a) L_ntp + a L_cl, with a = 0 in the first steps and 1 after them.

    L_ntp, mixed next-token prediction: in a share of the texts the special tokens are inserted at a
    random place with the mask of `training_mask`, so what follows can only learn of what stands
    before through them. In some of these the suffix repeats the prefix (reconstruction). Special
    tokens are no targets. L_cl: a text and itself with tokens dropped at random are positives,
    InfoNCE on cosine, learned temperature.

    Args:
        model: of `embedlab.encoders.gem.create`.
        ntp_steps: steps with a = 0.
        ramp: steps over which a then rises to 1; the paper only says that it is moved there.
        raw: share of texts without special tokens.
        reconstruction: share of the others in which the suffix repeats the prefix (the paper gives
            none).
        token_dropout: share of tokens dropped (the paper gives none).
    """

    def __init__(
        self,
        model: SentenceTransformer,
        ntp_steps: int = 100,
        ramp: int = 0,
        raw: float = 0.8,
        reconstruction: float = 0.5,
        token_dropout: float = 0.1,
    ):
        super().__init__()
        self.model = model
        self.ntp_steps = ntp_steps
        self.ramp = ramp
        self.raw = raw
        self.reconstruction = reconstruction
        self.token_dropout = token_dropout
        self.log_scale = nn.Parameter(torch.tensor(math.log(20.0)))
        self.alpha = 0.0
        _template(decoder_of(model))  # another model is refused now

    def on_step(self, step: int, steps: int) -> None:
        """Set a for step number `step`, from 0."""
        after = step - self.ntp_steps
        self.alpha = 0.0 if after < 0 else min(1.0, (after + 1) / max(1, self.ramp))

    @property
    def scale(self) -> torch.Tensor:
        """exp of the learned log temperature, which is kept in [0, log 100]."""
        return self.log_scale.clamp(0, math.log(MAX_SCALE)).exp()

    def forward(
        self, sentence_features: Sequence[Features], labels: torch.Tensor | None = None
    ) -> dict[str, torch.Tensor]:
        features = sentence_features[0]
        parts = {}
        if self.alpha < 1:
            parts["ntp"] = (1 - self.alpha) * self.next_token(features)
        if self.alpha > 0:
            parts["contrastive"] = self.alpha * self.contrastive(features)
        return parts

    def next_token(self, features: Features) -> torch.Tensor:
        decoder = decoder_of(self.model)
        special = len(_template(decoder).end)
        rows, masks, targets = [], [], []
        for ids in _texts(features, special):
            tokens = features["input_ids"].new_tensor(self._end_ids(decoder))
            row, mask, target = self._arranged(ids, tokens)
            rows.append(row)
            masks.append(mask)
            targets.append(target)
        length = max(map(len, rows))
        end = decoder.tokenizer.eos_token_id
        fill = decoder.pad_id if end is None else end  # masked all the same
        ids = features["input_ids"].new_full((len(rows), length), fill)
        wanted = torch.full_like(ids, IGNORED)
        # Padding sees itself.
        mask = torch.eye(length, dtype=torch.bool, device=ids.device).repeat(len(rows), 1, 1)
        for i, (row, seen, target) in enumerate(zip(rows, masks, targets, strict=True)):
            ids[i, : len(row)], wanted[i, : len(row)] = row, target
            mask[i, : len(row), : len(row)] = seen
        positions = torch.arange(length, device=ids.device).expand_as(ids)
        states = decoder.backbone(
            input_ids=ids, attention_mask=mask[:, None], position_ids=positions, use_cache=False
        ).last_hidden_state
        return token_loss(states[:, :-1], wanted[:, 1:], output_weight(decoder.model))

    def _arranged(
        self, ids: torch.Tensor, tokens: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """One training sequence, its mask `[L, L]`, and its targets."""
        if len(ids) < 4 or torch.rand(()) < self.raw:
            return ids, training_mask(len(ids), 0, 0).to(ids.device), ids
        if torch.rand(()) < self.reconstruction:
            prefix = suffix = ids[: len(ids) // 2]
        else:
            cut = int(torch.randint(1, len(ids), ()))
            prefix, suffix = ids[:cut], ids[cut:]
        row = torch.cat([prefix, tokens, suffix])
        target = row.clone()
        target[len(prefix) : len(prefix) + len(tokens)] = IGNORED
        return row, training_mask(len(prefix), len(tokens), len(suffix)).to(ids.device), target

    def contrastive(self, features: Features) -> torch.Tensor:
        decoder = decoder_of(self.model)
        end, start = self._end_ids(decoder), len(_template(decoder).start)
        rows = []
        for ids in _texts(features, len(end)):
            keep = torch.rand(len(ids), device=ids.device) >= self.token_dropout
            keep[: start + 1] = True  # a text of one token keeps it
            kept = [*ids[keep].tolist(), *end]
            rows.append(Row(kept, len(kept) - len(end), start))
        dropped = {key: value.to(self.model.device) for key, value in decoder.pad(rows).items()}
        texts, others = (self.model(dict(one))["sentence_embedding"] for one in (features, dropped))
        return info_nce(texts, others, self.scale)

    @staticmethod
    def _end_ids(decoder: Decoder) -> list[int]:
        return token_ids(decoder.tokenizer, _template(decoder).end)


def _template(decoder: Decoder) -> Template:
    """The layout, which ends in special tokens.

    Raises:
        UserError: it does not.
    """
    if not isinstance(decoder.template, Template) or not decoder.template.end:
        raise UserError(
            "GEM compresses a text into the tokens at its end, and this method has none there.",
            "Take the method gem.",
        )
    return decoder.template


def _texts(features: Features, special: int) -> list[torch.Tensor]:
    """The ids of each row without padding and without the special tokens at its end."""
    return [
        ids[mask.bool()][:-special]
        for ids, mask in zip(features["input_ids"], features["attention_mask"], strict=True)
    ]
