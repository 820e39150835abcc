"""transformers' private API is what embedlab reads it for."""

from pathlib import Path

import torch
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Whitespace
from torch import nn
from transformers import BertConfig, BertModel, PreTrainedTokenizerFast, Trainer, TrainingArguments

from embedlab.compat import transformers_internals


def words(*known: str) -> Tokenizer:
    tokenizer = Tokenizer(
        WordLevel({word: at for at, word in enumerate(("[UNK]", *known))}, unk_token="[UNK]")
    )
    tokenizer.pre_tokenizer = Whitespace()
    return tokenizer


def test_the_backend_of_a_tokenizer_can_be_read_and_replaced():
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=words("a"), unk_token="[UNK]")
    assert tokenizer("a b")["input_ids"] == [1, 0]
    assert transformers_internals.backend_of(tokenizer).get_vocab_size() == 2
    transformers_internals.replace_backend(tokenizer, words("b", "a"))
    assert tokenizer("a b")["input_ids"] == [2, 1]
    assert transformers_internals.backend_of(nn.Identity()) is None


def tiny(attention: str) -> BertModel:
    sizes = {
        "hidden_size": 8,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
        "intermediate_size": 8,
    }
    return BertModel._from_config(BertConfig(vocab_size=11, **sizes), attn_implementation=attention)


def test_the_attention_of_a_configuration_is_known():
    assert transformers_internals.attention_of(tiny("eager").config) == "eager"
    assert transformers_internals.attention_of(tiny("sdpa").config) == "sdpa"
    assert transformers_internals.attention_of(object()) == ""


def test_a_module_gets_the_models_initial_weights():
    model, layer = tiny("eager"), nn.Sequential(nn.Linear(400, 400))
    nn.init.constant_(layer[0].weight, 5.0)
    transformers_internals.initialise(layer, model)
    assert abs(float(layer[0].weight.detach().std()) - model.config.initializer_range) < 0.002
    assert not layer[0].bias.any()


class Kept(transformers_internals.OwnCheckpoints, Trainer):
    """Writes one number in place of the model."""

    whole: int = 0

    def write_state(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        torch.save(self.model.weight.detach(), folder / "own.pt")

    def read_state(self, folder: Path) -> None:
        self.model.weight.data.copy_(torch.load(folder / "own.pt"))

    def checkpoint_written(self) -> None:
        self.whole += 1


class Squared(nn.Module):
    def __init__(self, start: float):
        super().__init__()
        self.weight = nn.Parameter(torch.tensor([start]))

    def forward(self, x):
        return {"loss": ((self.weight - x) ** 2).mean()}


def test_a_trainers_own_checkpoints_are_written_and_read(tmp_path):
    rows = [{"x": torch.tensor([1.0])} for _ in range(4)]
    settings = {
        "save_steps": 1,
        "max_steps": 2,
        "report_to": [],
        "use_cpu": True,
        "disable_tqdm": True,
    }
    arguments = TrainingArguments(output_dir=str(tmp_path), remove_unused_columns=False, **settings)
    trainer = Kept(Squared(0.0), arguments, train_dataset=rows)
    trainer.train()
    assert trainer.whole == 2
    assert [path.name for path in (tmp_path / "checkpoint-2").glob("*.safetensors")] == []
    weight = torch.load(tmp_path / "checkpoint-2" / "own.pt")
    assert weight == trainer.model.weight.detach()
    again = Kept(Squared(9.0), arguments, train_dataset=rows)
    # No step is left: what is read is what is there.
    again.train(resume_from_checkpoint=str(tmp_path / "checkpoint-2"))
    assert again.model.weight.detach() == weight
