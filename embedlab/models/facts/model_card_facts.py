"""What a loaded model tells of itself for its card."""

from typing import Any

from embedlab.models.cards import Card
from embedlab.models.facts.model_facts import FACTS
from embedlab.models.files.model_files import KINDS


def facts(card: Card, encoder: Any) -> dict[str, Any]:
    """What only the loaded model tells, where the card leaves it open."""
    facts = {
        "dim": getattr(encoder, "get_embedding_dimension", lambda: None)() or 0,
        "max_length": FACTS["max_length"](encoder) or 0,
        "pooling": next(
            (
                str(part.pooling_mode)
                for part in encoder.children()
                if hasattr(part, "pooling_mode")
            ),
            "",
        ),
        "parameters": sum(p.numel() for p in encoder.parameters())
        # Of a backbone that another runtime runs.
        + sum(getattr(part, "parameter_count", 0) for part in encoder.modules()),
    }
    if kinds := [KINDS[base.__name__] for base in type(encoder).__mro__ if base.__name__ in KINDS]:
        facts |= {
            "kind": kinds[0],
            "similarity": encoder.similarity_fn_name if kinds[0].encodes else "dot",
        }
        if kinds[0].is_sparse and not card.dim:
            # Before its first vector it names the width of its last layer.
            facts["dim"] = encoder.encode(["a"]).shape[-1]
    elif not card.similarity:
        facts["similarity"] = encoder.similarity_fn_name if card.kind.is_dense else "dot"
    return {key: value for key, value in facts.items() if not getattr(card, key) or key == "kind"}
