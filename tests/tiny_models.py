"""Small random models that tests of several parts write."""

from pathlib import Path

HEADS = {"num_attention_heads": 2}
LLAMA = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, **HEADS}


def write_cross_encoder(folder: Path, tokenizer, labels: int = 1, **changes) -> None:
    """A BERT classifier of one layer, without files of sentence-transformers:
    as most public cross-encoders are laid out.
    """
    import torch
    from transformers import BertConfig, BertForSequenceClassification

    sizes = {"hidden_size": 32, "num_hidden_layers": 1, "intermediate_size": 32, **HEADS}
    config = BertConfig(vocab_size=len(tokenizer), num_labels=labels, **(sizes | changes))
    tokenizer.save_pretrained(folder)
    torch.manual_seed(0)
    BertForSequenceClassification(config).save_pretrained(folder)
