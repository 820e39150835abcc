"""Names of metrics: `nDCG@10` as people write it, `ndcg_at_10` as MTEB and the store do."""

# The field's short names (ir_measures, trec_eval) -> the store's.
_SHORT = {"ap": "map", "p": "precision", "r": "recall", "rr": "mrr", "success": "hit_rate"}
_SHOWN = {"ndcg": "nDCG", "map": "MAP", "mrr": "MRR", "recall": "R", "precision": "P", "hit_rate": "Success"}


def stored(name: str) -> str:
    """The store's name of a metric: nDCG@10, ndcg@10 and ndcg_at_10 are one."""
    measure, at, cutoff = name.lower().replace("_at_", "@").partition("@")
    measure = measure.strip()
    return f"{_SHORT.get(measure, measure)}_at_{cutoff.strip()}" if at else measure


def shown(name: str) -> str:
    """A metric's name for a table: nDCG@10 for ndcg_at_10; names without a cutoff stay."""
    measure, at, cutoff = name.partition("_at_")
    return f"{_SHOWN.get(measure, measure)}@{cutoff}" if at else name
