"""The options of `embedlab rag`, declared once."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from embedlab.errors import UserError
from embedlab.option_fields import OptionGroup, option

if TYPE_CHECKING:
    from embedlab.rag.pipeline_expressions import PipelineSpec


@dataclass(frozen=True)
class PipelineOptions(OptionGroup):
    """Which pipelines answer. Several values of several options are a grid.

    Raises:
        UserError: there is no retriever, or a value is malformed.
    """

    retrievers: Sequence[str] = option(
        (),
        'A saved index\'s folder; or a model, or "rrf(bm25, MODEL) >> RERANKER", over --corpus or'
        " the questions' own documents. Repeatable.",
        flag="--retriever",
        form="repeatable",
    )
    pipelines: Sequence[str] = option(
        (),
        'A whole pipeline: "hyde(LLM) | bm25 | extract(MODEL, n=3) | order(reverse) |'
        ' generate(LLM)"; rewrite(LLM), multi(LLM, n=3), noise(random, n=2) and refine(LLM) are'
        " further steps. Repeatable.",
        flag="--pipeline",
        form="repeatable",
    )
    generators: Sequence[str] = option(
        (),
        "A causal language model (smollm2-135m, a hub id, a folder), a trained GEM, or the URL of"
        " an OpenAI-compatible server, such as http://localhost:8000/v1. Without one, the contexts"
        " alone are measured. Repeatable.",
        flag="--generator",
        form="repeatable",
    )
    ks: Sequence[int] = option(
        (),
        "Documents per question, 5 by default; 1,3,5 is a grid.",
        flag="--k",
        short="-k",
        form="numbers",
    )
    prompts: Sequence[str] = option(
        (),
        "A template with {context} and {question}. Repeatable.",
        flag="--prompt",
        form="repeatable",
    )
    orders: Sequence[str] = option(
        (),
        "In which order the contexts are read: best-first (the default), reverse, sides (the best"
        " at both ends); a list is a grid.",
        flag="--order",
        form="words",
    )
    noises: Sequence[str] = option(
        (),
        "Documents that do not help, put among the contexts: none, random:2, adversarial:2 (the"
        " best-ranked that hold no answer); a list is a grid.",
        flag="--noise",
        form="words",
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if not (self.retrievers or self.pipelines):
            raise UserError(
                "There is no retriever.",
                "Type for example: --retriever bm25 --questions stdlib-qa",
            )

    def specs(self) -> list["PipelineSpec"]:
        """Every pipeline of the grid.

        Raises:
            UserError: a pipeline is malformed, or an option asks for what it says already.
        """
        from embedlab.rag.pipeline_expressions import PipelineSpec, Stage, grid, parse

        written = [*(PipelineSpec(one) for one in self.retrievers), *map(parse, self.pipelines)]
        return grid(
            written,
            k=self.ks,
            noise=self.noises,
            order=self.orders,
            generator=[Stage("generate", one) for one in self.generators],
            prompt=[Path(one) for one in self.prompts],
        )


@dataclass(frozen=True)
class GenerationOptions(OptionGroup):
    """How language models are asked."""

    generator_model: str = option("", "The model's name at the server of --generator.")
    max_tokens: int | None = option(None, "The most tokens of an answer; 64 by default.", least=1)
    temperature: float | None = option(
        None, "0, the default, takes the likeliest token each time.", least=0
    )
    generator_option: Sequence[str] = option(
        (),
        "A further field of the requests to a server, NAME=VALUE: reasoning_effort=low."
        " Repeatable.",
        form="repeatable",
    )
    in_flight: int = option(16, "Requests to a server at once.", least=1)
    budget: float | None = option(
        None,
        "US dollars that this command may spend on servers with a known price: the request that"
        " would cost more is not sent.",
        least=0,
    )


@dataclass(frozen=True)
class QuestionOptions(OptionGroup):
    """Which questions are asked, and what is measured beside their own answers."""

    questions: str = option(
        "",
        "stdlib-qa (built in); a file of JSON lines {id, question, answers, relevant}; or one of"
        " SQuAD, NQ-open, HotpotQA, KILT or BERGEN; or a BEIR folder.",
    )
    questions_form: str = option(
        "",
        "embedlab, squad, nq-open, hotpotqa, kilt, bergen or beir, where the file's form is not"
        " recognised.",
    )
    split: str = option("", "Of a BEIR folder; test by default.")
    sample: int | None = option(
        None, "So many of the questions, always the same ones of a set.", least=1
    )
    similarity: str = option(
        "", "An embedder: how near an answer is to the nearest right one (cosine)."
    )
    judge: str = option(
        "",
        "An LLM, or nli(MODEL): whether the documents support each claim of an answer, and whether"
        " its citations, such as [2], do.",
    )
    judge_labels: Path | None = option(
        None,
        'Claims with labels, {"claim": "...", "context": "...", "supported": true} a line: how far'
        " the judge agrees with them is shown and recorded.",
    )
