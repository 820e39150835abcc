"""GRL, the training of ULLME's GenC models (arXiv:2408.03402):
embedding and generation teach each other.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from sentence_transformers import SentenceTransformer
from sentence_transformers.util import cos_sim
from torch import nn

from embedlab.encoders.modules.decoder import decoder_of
from embedlab.encoders.modules.layers import dimensions_of
from embedlab.encoders.modules.saved import Features
from embedlab.errors import unknown
from embedlab.training.losses.contrastive import nt_xent
from embedlab.training.losses.language import causal_states, output_weight

MINERS = ("pair-margin", "multi-similarity", "none")


class GRL(nn.Module):
    """Sum of three terms over columns query, positive, and negatives
    (without negatives, the next row's positive):

    * NT-Xent on projected embeddings, the projection being for training only. Every vector of the
      batch that has a positive is an anchor; the logits are minus the Euclidean distances of the
      normalised vectors, temperature 0.05; only hard pairs count;
    * reference-free DPO: given the query, the positive is generated rather than the first negative;
    * KL between how likely each candidate is generated and how similar its embedding is. The
      likelihood is the target and is not moved by this term.

    As in github.com/nlp-uoregon/ullme at e8c9332, the last commit with the released models'
    template. That commit's configurations switch the last two terms off, and its trainer never
    backpropagates them; the paper has all three. Generation runs the same weights with a causal
    mask; the embedding keeps the model's own attention.

    Args:
        model: its first module is a `Decoder` with a language-model head.
        temperature: of the distances and cosines.
        beta: of DPO.
        miner: "pair-margin" (negatives nearer than 0.5, positives not identical),
            "multi-similarity" (as in later versions of the code) or "none".
    """

    def __init__(
        self,
        model: SentenceTransformer,
        temperature: float = 0.05,
        beta: float = 0.1,
        miner: str = "pair-margin",
    ):
        super().__init__()
        if miner not in MINERS:
            raise unknown("miner", miner, MINERS, f"Valid: {', '.join(MINERS)}.")
        self.model = model
        self.temperature = temperature
        self.beta = beta
        self.miner = miner
        width = dimensions_of(model)
        self.projector = nn.Sequential(nn.Linear(width, width), nn.ReLU(), nn.Linear(width, width))

    def forward(
        self, sentence_features: Sequence[Features], labels: torch.Tensor | None = None
    ) -> dict[str, torch.Tensor]:
        query, *documents = sentence_features
        vectors = [
            self.model(dict(features))["sentence_embedding"] for features in sentence_features
        ]
        contrastive = self.contrastive([self.projector(vector) for vector in vectors])
        candidates = list(zip(documents, vectors[1:], strict=True))
        if len(candidates) == 1:
            features, vector = candidates[0]
            rolled = {
                key: value.roll(1, 0) for key, value in features.items() if torch.is_tensor(value)
            }
            candidates.append((rolled, vector.roll(1, 0)))
        likely = [self.log_likelihood(query, features) for features, _ in candidates]
        sums, means = (torch.stack(one, dim=1) for one in zip(*likely, strict=True))
        cosines = torch.stack(
            [cos_sim(vectors[0], vector).diagonal() for _, vector in candidates], dim=1
        )
        return {
            "contrastive": contrastive,
            "preference": self.preference(sums),
            "agreement": self.agreement(cosines, means),
        }

    def contrastive(self, columns: list[torch.Tensor]) -> torch.Tensor:
        """NT-Xent over columns `[B, d]`: queries, positives,
        then negatives that are nobody's positive.
        """
        rows, negatives = len(columns[0]), len(columns) - 2
        vectors = F.normalize(torch.cat(columns).float(), dim=-1)
        texts = torch.arange(rows, device=vectors.device)
        alone = rows + torch.arange(negatives * rows, device=vectors.device)
        labels = torch.cat([texts, texts, alone])
        distances = torch.cdist(vectors, vectors)
        cosines = (vectors @ vectors.T).detach()
        mined = self._mined(cosines, distances.detach(), labels)
        return nt_xent(-distances / self.temperature, labels, mined)

    def _mined(
        self, cosines: torch.Tensor, distances: torch.Tensor, labels: torch.Tensor
    ) -> torch.Tensor | None:
        same = labels[:, None] == labels
        if self.miner == "none":
            return None
        if self.miner == "pair-margin":
            return torch.where(same, distances > 0, distances < 0.5)
        positive = same & ~torch.eye(len(labels), dtype=torch.bool, device=labels.device)
        nearest = cosines.masked_fill(same, -torch.inf).amax(-1, keepdim=True)  # of the negatives
        # Of the positives.
        farthest = cosines.masked_fill(~positive, torch.inf).amin(-1, keepdim=True)
        return torch.where(same, cosines - 0.25 < nearest, cosines + 0.25 > farthest)

    def preference(self, sums: torch.Tensor) -> torch.Tensor:
        """DPO without a reference: the positive before the first negative,
        from log-likelihoods `[B, candidates]`.
        """
        return -F.logsigmoid(self.beta * (sums[:, 0] - sums[:, 1])).mean()

    def agreement(self, cosines: torch.Tensor, means: torch.Tensor) -> torch.Tensor:
        """KL(softmax(means) || softmax(cosines / temperature)),
        both `[B, candidates]`; the means only teach.
        """
        student = (cosines.float() / self.temperature).log_softmax(-1)
        return F.kl_div(student, means.detach().softmax(-1), reduction="batchmean")

    def log_likelihood(
        self, query: Features, document: Features
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """How likely the document is generated after the query; both `[B]`.

        Returns:
            log p(document | query), and the mean log-probability per token of query and document
            (as in the authors' code, whose labels hold the query too), the first token excepted.
        """
        decoder = decoder_of(self.model)
        ids = torch.cat([query["input_ids"], document["input_ids"]], dim=1)
        mask = torch.cat([query["attention_mask"], document["attention_mask"]], dim=1)
        states, length = causal_states(decoder, ids, mask), ids.shape[1]
        # The token before each one, wherever padding put it; -1 before a text's first.
        places = torch.where(mask.bool(), torch.arange(length, device=ids.device), -1)
        before = places.cummax(-1).values.roll(1, -1)
        before[:, 0] = -1
        real = (mask.bool() & (before >= 0)).float()
        states = states.gather(1, before.clamp(min=0)[..., None].expand_as(states))
        logits = F.linear(states, output_weight(decoder.model)).float()
        per_token = -F.cross_entropy(logits.transpose(1, 2), ids, reduction="none") * real
        return per_token[:, query["input_ids"].shape[1] :].sum(-1), per_token.sum(-1) / real.sum(-1)
