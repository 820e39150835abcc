"""Originals whose backbone is a language model."""

import sys
import types
from importlib import import_module

import numpy as np
import torch
from base import (
    CHECKPOINTS,
    LENGTH,
    MAKERS,
    PROMPT,
    SOURCES,
    TASK,
    TEXTS,
    batches,
    from_file,
    maker,
    stub,
    use,
)

# --- Pooling and Attention


def _pooling_and_attn(variant: int, adapter: str) -> dict:
    use("pa")
    from models.bidirectional_mistral import MistralBiModel
    from peft import PeftModel
    from transformers import AutoModel, AutoTokenizer
    from utils import create_batch_dict

    kind = MistralBiModel if variant in (4, 5) else AutoModel
    tokenizer = AutoTokenizer.from_pretrained(CHECKPOINTS / adapter, padding_side="left")
    # add_eos_token=True of the class of the published tokenizer, as its fast form does it
    from tokenizers.processors import TemplateProcessing

    tokenizer._tokenizer.post_processor = TemplateProcessing(
        single="<s> $A </s>", pair="<s> $A </s> $B </s>", special_tokens=[("<s>", 1), ("</s>", 2)]
    )
    base = kind.from_pretrained(
        CHECKPOINTS / "mistral", output_hidden_states=True, attn_implementation="eager"
    )
    base = PeftModel.from_pretrained(base, CHECKPOINTS / adapter).eval()

    # The loaders ask for bfloat16 and FlashAttention: here they get this model in their place.
    class Loader:
        @staticmethod
        def from_pretrained(*_, **__):
            return base

    if variant == 1:

        def encode(texts):
            batch = create_batch_dict(tokenizer, texts, LENGTH)
            with torch.no_grad():
                states = base(**batch).last_hidden_state[:, -1]
            return torch.nn.functional.normalize(states, dim=-1)

        return batches(encode, "d") | batches(encode, "q", [TASK + text for text in TEXTS])

    loader = import_module(f"model_loaders.model{variant}")
    own = loader.PerceiverResampler
    loader.AutoModel = loader.MistralBiModel = Loader
    loader.PeftModel = Loader
    loader.AutoTokenizer = types.SimpleNamespace(from_pretrained=lambda *_, **__: tokenizer)
    size = {"cross_dim_head": 32, "num_cross_heads": 2, "num_latents_value": 4}
    layers = {} if variant in (2, 4) else {"layers": 3}
    loader.PerceiverResampler = lambda **settings: own(**settings, **size, **layers)
    model = loader.EmbedModel("", str(CHECKPOINTS / adapter), "").eval()

    def encode(texts):
        with torch.no_grad():
            return model(**create_batch_dict(tokenizer, texts, LENGTH))

    keys = {
        "keys": np.array(
            sorted(
                f"{key} {list(value.shape)}" for key, value in model.attn_pool.state_dict().items()
            )
        )
    }
    return batches(encode, "d") | batches(encode, "q", [TASK + text for text in TEXTS]) | keys


for _variant, _adapter in (
    (1, "adapter"),
    (2, "adapter-last"),
    (3, "adapter-layers"),
    (4, "adapter-last"),
    (5, "adapter-layers"),
):
    MAKERS[f"pooling-and-attn-{_variant}"] = lambda v=_variant, a=_adapter: _pooling_and_attn(v, a)


# --- GenC (ULLME)


def _ullme_stubs() -> None:
    stub("mteb", ModelMeta=lambda **_: None)
    stub("lightning")
    # Phi's file imports its neighbour by a name of another time.
    for name in ("src", "src.models", "src.models.bidirectional_modelings"):
        stub(name)
    masks = "ullme/models/bidirectional_modelings/attn_mask_utils.py"
    sys.modules["src.models.bidirectional_modelings.attn_mask_utils"] = from_file(f"ullme/{masks}")


def _genc(backbone: str, checkpoint: str) -> dict:
    use("ullme")
    _ullme_stubs()
    from ullme.models.ullme import WrappedULLME

    model = WrappedULLME(
        str(CHECKPOINTS / checkpoint),
        backbone,
        attn_implementation="eager",
        model_dtype=torch.float32,
    )
    inner = model.model.model.model
    forward = inner.forward
    # `is_caual`, as the caller spells it, is unknown there; bidirectional is the default
    inner.forward = lambda *args, is_caual=False, **kwargs: forward(*args, **kwargs)

    def encode(is_query, instruction):
        return lambda texts: model.encode(
            texts, is_query=is_query, batch_size=21, max_length=LENGTH, instruction=instruction
        )

    return (
        batches(encode(True, TASK), "q")
        | batches(encode(False, TASK), "d")
        | batches(encode(False, ""), "n")
        | batches(encode(True, ""), "e")
    )


MAKERS["genc-mistral"] = lambda: _genc("mistral", "mistral")
MAKERS["genc-llama"] = lambda: _genc("llama", "llama3")
MAKERS["genc-phi"] = lambda: _genc("phi", "phi")


# --- LLM2Vec


def _llm2vec(checkpoint: str, adapter: str, name: str) -> dict:
    use("llm2vec")
    from llm2vec import LLM2Vec

    model = LLM2Vec.from_pretrained(
        str(CHECKPOINTS / checkpoint),
        peft_model_name_or_path=str(CHECKPOINTS / adapter),
        merge_peft=True,
        attn_implementation="eager",
        max_length=LENGTH,
        doc_max_length=48,
    )
    model.model.config._name_or_path = name  # by which it chooses the chat form

    def encode(sentences):
        return model.encode(
            sentences, batch_size=21, show_progress_bar=False, convert_to_numpy=True
        )

    return batches(encode, "d") | batches(encode, "q", [[f"{TASK}:", text] for text in TEXTS])


MAKERS["llm2vec-mistral"] = lambda: _llm2vec(
    "mistral", "adapter", "mistralai/Mistral-7B-Instruct-v0.2"
)
MAKERS["llm2vec-llama-3"] = lambda: _llm2vec(
    "llama3", "adapter-llama3", "meta-llama/Meta-Llama-3-8B-Instruct"
)
MAKERS["llm2vec-plain"] = lambda: _llm2vec("mistral", "adapter", "princeton-nlp/Sheared-LLaMA-1.3B")


@maker
def mntp() -> dict:
    """Masked next-token prediction:
    the loss of LLM2Vec's model class on ids that are masked already.
    """
    use("llm2vec")
    from llm2vec.models import MistralBiForMNTP
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(CHECKPOINTS / "mistral", padding_side="left")
    model = MistralBiForMNTP.from_pretrained(
        CHECKPOINTS / "mistral", attn_implementation="eager"
    ).eval()
    batch = tokenizer(
        [text for text in TEXTS if len(text) > 20],
        padding=True,
        truncation=True,
        max_length=LENGTH,
        return_tensors="pt",
    )
    ids, mask = batch["input_ids"], batch["attention_mask"]
    chosen = (
        torch.from_numpy(np.random.RandomState(0).random_sample(ids.shape) < 0.2)
        & mask.bool()
        & (ids > 2)
    )
    masked = ids.masked_fill(chosen, tokenizer.convert_tokens_to_ids("_"))
    labels = ids.masked_fill(~chosen, -100)
    with torch.no_grad():
        loss = model(input_ids=masked, attention_mask=mask, labels=labels).loss
    return {"ids": ids, "attention": mask, "masked": masked, "labels": labels, "loss": loss}


# --- KaLM, bge-en-icl, GritLM


@maker
def kalm() -> dict:
    """Its repository has pooling and normalisation;
    the bidirectional Qwen2 lies on the hub and is ULLME's here.

    (LLM2Vec's Qwen2BiModel is causal under transformers 4.44: it leaves the mask as it is.)
    """
    use("ullme", "kalm")
    _ullme_stubs()
    from train import modeling
    from transformers import AutoTokenizer
    from ullme.models.bidirectional_modelings.modeling_bidirectional_qwen2 import BidirectionalQwen2

    backbone = BidirectionalQwen2.from_pretrained(
        CHECKPOINTS / "qwen2", attn_implementation="eager"
    ).eval()
    modeling.AutoModel = types.SimpleNamespace(from_pretrained=lambda *_, **__: backbone)
    model = modeling.BiEncoderModel("qwen2", normlized=True, sentence_pooling_method="mean")
    tokenizer = AutoTokenizer.from_pretrained(CHECKPOINTS / "qwen2")

    def encode(texts):
        batch = tokenizer(
            texts, padding=True, truncation=True, max_length=LENGTH, return_tensors="pt"
        )
        with torch.no_grad():
            return model.encode(dict(batch))

    instruction = f"Instruct: {TASK} \n Query: "
    texts = [text for text in TEXTS if text]  # an empty text has no token at all there
    return batches(encode, "d", texts) | batches(
        encode, "q", [instruction + text for text in TEXTS]
    )


@maker
def bge_en_icl() -> dict:
    use("flag")
    # The packages' own __init__ import rerankers too.
    for name in ("FlagEmbedding", "FlagEmbedding.abc"):
        stub(name, __path__=[str(SOURCES / "flag" / name.replace(".", "/"))])
    module = from_file("flag/FlagEmbedding/inference/embedder/decoder_only/icl.py")
    examples = [
        {"instruct": "Find the answer", "query": "what is judo", "response": "a martial art"},
        {"instruct": "Find the answer", "query": "42 cats", "response": "sat on the mat"},
    ]
    found = {}
    for shots, given in (("zero", None), ("two", examples)):
        model = module.ICLLLMEmbedder(
            str(CHECKPOINTS / "icl"),
            use_fp16=False,
            query_instruction_for_retrieval=TASK,
            devices="cpu",
            examples_for_task=given,
            query_max_length=LENGTH,
            passage_max_length=LENGTH,
        )
        for form, encode in (("q", model.encode_queries), ("d", model.encode_corpus)):
            if (shots, form) != ("two", "d"):
                found |= batches(
                    lambda texts, encode=encode: encode(texts, batch_size=21), f"{form}_{shots}"
                )
    return found


@maker
def gritlm() -> dict:
    use("gritlm")
    modeling = from_file("gritlm/scripts/modeling_mistral_gritlm.py", "transformers.models.mistral")
    code = from_file("gritlm/gritlm/gritlm.py")
    code.AutoModel = types.SimpleNamespace(
        from_pretrained=lambda path, **_: modeling.MistralModel.from_pretrained(
            path, attn_implementation="sdpa"
        )
    )
    model = code.GritLM(str(CHECKPOINTS / "mistral"), mode="embedding", attn="bbcc", device="cpu")

    def encode(instruction):
        return lambda texts: model.encode(
            texts, batch_size=21, max_length=LENGTH, instruction=instruction
        )

    texts = [text for text in TEXTS if text]  # an empty text leaves nothing to pool there: NaN
    return batches(encode("<|embed|>\n"), "d", texts) | batches(
        encode(f"<|user|>\n{TASK}\n<|embed|>\n"), "q", texts
    )


# --- NV-Embed, Echo, LENS, Lion


@maker
def nv_embed() -> dict:
    use("nv")
    from nv_embed_v2.configuration_nvembed import NVEmbedConfig
    from nv_embed_v2.modeling_nvembed import NVEmbedModel
    from safetensors.torch import load_file

    config = NVEmbedConfig.from_pretrained(CHECKPOINTS / "nv-embed")
    # Where it takes its tokenizer from.
    config.text_config._name_or_path = str(CHECKPOINTS / "nv-embed")
    config.text_config._attn_implementation = "eager"
    for part in (config, config.latent_attention_config):
        part._attn_implementation_internal = None  # set by a constructor that it does not call
    model = NVEmbedModel(config).eval()
    model.load_state_dict(load_file(CHECKPOINTS / "nv-embed/model.safetensors"))

    def encode(instruction):
        return lambda texts: model.encode(texts, instruction=instruction, max_length=LENGTH)

    return batches(encode(""), "d") | batches(encode(PROMPT), "q")


@maker
def echo() -> dict:
    use("echo")
    from echo_embeddings import EchoEmbeddingsMistral, EchoParser, EchoPooling
    from transformers import AutoTokenizer

    templates = {
        "query": "<s>Instruct:{!%%prompt%%,}\nQuery:{!%%text%%}\nQuery again:{%%text%%}{</s>}",
        "document": "<s>Document:{!%%text%%}\nDocument again:{%%text%%}{</s>}",
    }
    tokenizer = AutoTokenizer.from_pretrained(CHECKPOINTS / "mistral")
    # add_bos_token=False of the published tokenizer's class.
    tokenizer._tokenizer.post_processor = no_marks()
    parser = EchoParser(tokenizer, templates, max_length=LENGTH)
    model = EchoEmbeddingsMistral.from_pretrained(
        CHECKPOINTS / "mistral", attn_implementation="eager"
    ).eval()
    found = {}
    for strategy in ("mean", "last"):
        pool = EchoPooling(strategy)
        for form in ("document", "query"):

            def encode(texts, form=form, pool=pool):
                rows = parser([(form, {"prompt": TASK, "text": text}) for text in texts])
                with torch.no_grad():
                    return pool(model(rows))["sentence_embedding"]

            found |= batches(encode, f"{form[0]}_{strategy}")
    return found


def no_marks():
    from tokenizers.processors import TemplateProcessing

    return TemplateProcessing(single="$A", pair="$A $B", special_tokens=[])


@maker
def lens() -> dict:
    use("lens/finetune", "lens/eval")
    import model as code
    from bidirectional_mistral import MistralBiForCausalLM
    from transformers import AutoTokenizer

    head = torch.load(CHECKPOINTS / "lens/lm_head.pth", weights_only=False)
    backbone = MistralBiForCausalLM.from_pretrained(
        CHECKPOINTS / "lens", attn_implementation="eager"
    ).eval()
    backbone.lm_head = head
    tokenizer = AutoTokenizer.from_pretrained(CHECKPOINTS / "lens", padding_side="left")
    # Its constructor merges the adapters that the released weights have merged.
    model = object.__new__(code.LENSModel)
    vars(model).update(
        model=backbone,
        tokenizer=tokenizer,
        device=torch.device("cpu"),
        suffix="</s>",
        normalize_embeddings=True,
        pooling_method="max-pooling",
        query_instruction_for_retrieval=TASK,
    )

    def encode(function):
        return lambda texts: function(list(texts), batch_size=21, max_length=LENGTH)

    return batches(encode(model.encode_queries), "q") | batches(encode(model.encode_corpus), "d")


@maker
def lion() -> dict:
    """The encode functions of both model classes;
    a sparse one has the head's logits, both all tokens.
    """
    use("lion")
    code = from_file(
        "lion/scaling_retriever/modeling/bidirectional_llama.py", "scaling_retriever.modeling"
    )
    retriever = import_module("scaling_retriever.modeling.llm_encoder")
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(CHECKPOINTS / "llama3", padding_side="left")
    found = {}
    for name, kind, own in (
        ("sparse", code.LlamaBiForMNTP, retriever.LlamaBiSparse),
        ("dense", code.LlamaBiModel, retriever.LlamaBiDense),
    ):
        base = kind.from_pretrained(CHECKPOINTS / "llama3", attn_implementation="eager").eval()
        model = own(base)

        def encode(texts, model=model):
            batch = tokenizer(
                texts, padding=True, truncation=True, max_length=LENGTH, return_tensors="pt"
            )
            with torch.no_grad():
                return model.encode(**batch)

        found |= batches(encode, name)
    return found
