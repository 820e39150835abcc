"""GRL, the training of ULLME's GenC models (arXiv:2408.03402): embedding and generation teach each other."""

import torch
import torch.nn.functional as F
from sentence_transformers import SentenceTransformer
from sentence_transformers.util import cos_sim
from torch import nn

from embedlab.encoders.decoder import Decoder
from embedlab.training.losses.contrastive import info_nce
from embedlab.training.losses.language import output_weight


class GRL(nn.Module):
    """Sum of three terms over columns query, positive, and negatives (without negatives, the next row's positive):

    * InfoNCE on projected embeddings, temperature 0.05; the projection is for training only;
    * reference-free DPO: given the query, the positive is generated rather than a negative;
    * KL between how likely each candidate is generated and how similar its embedding is.

    Generation runs the same weights with a causal mask; the embedding keeps the model's own attention. The published
    code also mines within the batch (MultiSimilarityMiner); here every other row counts.

    Args:
        model: its first module is a `Decoder` with a language-model head.
        temperature: of the cosines.
        beta: of DPO.
    """

    def __init__(self, model: SentenceTransformer, temperature: float = 0.05, beta: float = 0.1):
        super().__init__()
        self.model = model
        self.temperature = temperature
        self.beta = beta
        width = model.get_embedding_dimension()
        self.projector = nn.Sequential(nn.Linear(width, width), nn.ReLU(), nn.Linear(width, width))

    def forward(self, sentence_features, labels=None) -> dict[str, torch.Tensor]:
        query, *documents = sentence_features
        vectors = [self.model(dict(features))["sentence_embedding"] for features in sentence_features]
        projected = [self.projector(vector) for vector in vectors]
        contrastive = info_nce(projected[0], torch.cat(projected[1:]), 1 / self.temperature)

        candidates = [(features, vector) for features, vector in zip(documents, vectors[1:], strict=True)]
        if len(candidates) == 1:
            features, vector = candidates[0]
            rolled = {key: value.roll(1, 0) for key, value in features.items() if torch.is_tensor(value)}
            candidates.append((rolled, vector.roll(1, 0)))
        likely = [self.log_likelihood(query, features) for features, _ in candidates]
        sums = torch.stack([total for total, _ in likely], dim=1)
        means = torch.stack([mean for _, mean in likely], dim=1)
        preference = -F.logsigmoid(self.beta * (sums[:, :1] - sums[:, 1:])).mean()

        cosines = torch.stack([cos_sim(vectors[0], vector).diagonal() for _, vector in candidates], dim=1)
        agreement = F.kl_div(
            (cosines.float() / self.temperature).log_softmax(-1), means.softmax(-1), reduction="batchmean"
        )
        return {"contrastive": contrastive, "preference": preference, "agreement": agreement}

    def log_likelihood(self, query: dict, document: dict) -> tuple[torch.Tensor, torch.Tensor]:
        """log p(document | query), the sum and the mean over the document's tokens; both `[B]`."""
        decoder: Decoder = self.model[0]
        ids = torch.cat([query["input_ids"], document["input_ids"]], dim=1)
        mask = torch.cat([query["attention_mask"], document["attention_mask"]], dim=1)
        length = ids.shape[1]
        causal = torch.ones(length, length, dtype=torch.bool, device=ids.device).tril()
        itself = torch.eye(length, dtype=torch.bool, device=ids.device)
        seen = (causal & mask.bool()[:, None, :]) | itself
        states = decoder.backbone(
            input_ids=ids,
            attention_mask=seen[:, None],
            position_ids=(mask.cumsum(-1) - 1).clamp(min=0),
            use_cache=False,
        ).last_hidden_state
        begin = query["input_ids"].shape[1]
        # The first token of the document follows the query's last one, wherever padding put it.
        last = (query["attention_mask"] * torch.arange(1, begin + 1, device=ids.device)).argmax(-1)
        before = torch.cat([states[torch.arange(len(ids)), last][:, None], states[:, begin:-1]], dim=1)
        logits = F.linear(before, output_weight(decoder.model)).float()
        targets, real = document["input_ids"], document["attention_mask"].float()
        per_token = -F.cross_entropy(logits.transpose(1, 2), targets, reduction="none") * real
        return per_token.sum(-1), per_token.sum(-1) / real.sum(-1)
