"""Originals whose backbone is a BERT."""

import torch
from base import CHECKPOINTS, LENGTH, TEXTS, batches, maker, stub, use


@maker
def trans_encoder() -> dict:
    """The lines of src/eval.py that load, through the sentence-transformers of their time;
    what encodes is that.
    """
    from sentence_transformers import SentenceTransformer, models
    from sentence_transformers.cross_encoder import CrossEncoder

    words = models.Transformer(str(CHECKPOINTS / "bert"), max_seq_length=32)
    pooling = models.Pooling(words.get_word_embedding_dimension(), pooling_mode="cls")
    bi = SentenceTransformer(modules=[words, pooling], device="cpu")
    cross = CrossEncoder(str(CHECKPOINTS / "bert-pairs"), device="cpu", max_length=512)
    pairs = [[text, TEXTS[-1 - i]] for i, text in enumerate(TEXTS)]
    return batches(lambda texts: bi.encode(texts, batch_size=21), "d") | batches(
        lambda part: cross.predict(part, batch_size=21), "pairs", pairs
    )


@maker
def retromae() -> dict:
    """Its bi-encoder, which is also all that the repository has for DupMAE's inference."""
    use("retromae/src")
    from bi_encoder.modeling import BiEncoderModel
    from transformers import AutoModel, BertTokenizerFast

    encoder = AutoModel.from_pretrained(CHECKPOINTS / "bert").eval()
    tokenizer = BertTokenizerFast.from_pretrained(CHECKPOINTS / "bert", do_lower_case=True)
    found = {}
    for pooling in ("cls", "mean"):
        model = BiEncoderModel(encoder, encoder, sentence_pooling_method=pooling)
        for form, length, encode in (
            ("q", 32, model.encode_query),
            ("d", 144, model.encode_passage),
        ):

            def run(texts, length=length, encode=encode):
                # The data sets there hold ids;
                # encode_plus of a slow tokenizer is this on a list of ids.
                rows = [
                    tokenizer.prepare_for_model(
                        tokenizer(text, add_special_tokens=False)["input_ids"],
                        truncation="only_first",
                        max_length=length,
                        return_attention_mask=False,
                        return_token_type_ids=False,
                    )
                    for text in texts
                ]
                with torch.no_grad():
                    return encode(dict(tokenizer.pad(rows, padding=True, return_tensors="pt")))

            found |= batches(run, f"{form}_{pooling}")
    return found


@maker
def splade() -> dict:
    use("splade")
    from splade.models.transformer_rep import Splade

    found = {}
    for agg in ("max", "sum"):
        model = Splade(str(CHECKPOINTS / "bert-words"), agg=agg, fp16=False)
        model.eval()  # gives nothing back there

        def encode(texts, model=model):
            batch = model.transformer_rep.tokenizer(
                texts,
                add_special_tokens=True,
                padding="longest",
                truncation="longest_first",
                max_length=LENGTH,
                return_attention_mask=True,
                return_tensors="pt",
            )
            with torch.no_grad():
                return model(d_kwargs=dict(batch))["d_rep"]

        found |= batches(encode, agg)
    return found


@maker
def starbucks() -> dict:
    """Retrieval: SrlDenseModel over Tevatron's collator.
    STS: the lines of sts/inference_2d_sts.py that cut.
    """
    use("tevatron/src", "starbucks/retrieval")
    from modeling import SrlDenseModel
    from sentence_transformers import SentenceTransformer, models
    from tevatron.retriever.arguments import DataArguments
    from tevatron.retriever.collator import EncodeCollator
    from transformers import AutoModel, AutoTokenizer

    encoder = AutoModel.from_pretrained(CHECKPOINTS / "bert").eval()
    tokenizer = AutoTokenizer.from_pretrained(CHECKPOINTS / "bert")
    model = SrlDenseModel(encoder=encoder, pooling="cls", normalize=False)
    found = {}
    for form, is_query in (("q", True), ("d", False)):
        collate = EncodeCollator(
            DataArguments(query_max_len=32, passage_max_len=196, encode_is_query=is_query),
            tokenizer=tokenizer,
        )

        def run(texts, layer, is_query=is_query, collate=collate):
            # EncodeDataset: a passage is stripped, a query is not
            batch = collate([(0, text if is_query else text.strip(), None) for text in texts])[1]
            with torch.no_grad():
                return model.encode_query(qry=batch)[layer]

        for layer in (1, 2, 3):
            found |= batches(
                lambda texts, layer=layer, run=run: run(texts, layer), f"{form}_layer{layer}"
            )
    for layer in (1, 2, 3):
        words = models.Transformer(str(CHECKPOINTS / "bert"))
        sts = SentenceTransformer(modules=[words, models.Pooling(64, "mean")], device="cpu")
        sts[0].auto_model.encoder.layer = sts[0].auto_model.encoder.layer[:layer]
        found |= batches(
            lambda texts, sts=sts: sts.encode(texts, batch_size=21), f"sts_layer{layer}"
        )
    return found


@maker
def ese() -> dict:
    """Espresso of AnglE: layers cut by `truncate_layer`, vectors by `embedding_size`."""
    use("angle")
    from angle_emb.angle import AnglE

    found = {}
    for pooling in ("cls", "mean"):
        for layer, size in ((1, 16), (2, 32), (3, 64)):
            model = AnglE(str(CHECKPOINTS / "bert"), max_length=LENGTH, pooling_strategy=pooling)
            model.truncate_layer(layer)
            found |= batches(
                lambda texts, m=model, s=size: m.encode(texts, embedding_size=s),
                f"{pooling}_{layer}_{size}",
            )
    return found


@maker
def mirror() -> dict:
    use("mirror")
    stub("pytorch_metric_learning", miners=None, losses=None, distances=None)
    from src.mirror_bert import MirrorBERT

    model = MirrorBERT()
    model.load_model(str(CHECKPOINTS / "bert"), max_length=50, use_cuda=False)
    torch.Tensor.cuda = lambda tensor: tensor  # it asks for a GPU at every batch
    model.encoder.eval()
    return {
        key: value
        for mode in ("cls", "mean")
        for key, value in batches(
            lambda texts, m=mode: model.get_embeddings(texts, agg_mode=m), mode
        ).items()
    }
