"""The parts of pipelines by name, each loaded once for all pipelines of a run."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from embedlab import corpus_index
from embedlab.documents import Corpus
from embedlab.errors import UserError
from embedlab.models import composition
from embedlab.options import LoadingOptions
from embedlab.progress import Reporter
from embedlab.rag import generators, prompt, sources
from embedlab.rag.generator import Generator
from embedlab.rag.kept_generations import KeptGenerator
from embedlab.rag.pipeline_expressions import PipelineSpec, Stage
from embedlab.rag.rag_pipeline import USUAL_K, Pipeline
from embedlab.rag.refining import Copied, Extracted, Refiner
from embedlab.rag.rewriting import Rewriter
from embedlab.rag.sources import Source
from embedlab.servers.server_names import is_url
from embedlab.spending import Purse

_PASSAGE, _EXTRACT = 128, 256  # the most tokens of what a rewriter or a refiner writes


@dataclass
class Parts:
    """corpus: a folder or file, or documents that are at hand; None: retrievers are saved indexes.
    named: models of a saved index that the user named (`corpus_index.load_all`).
    max_tokens, temperature, options: of the generator of the answers.
    others_compute: whether the run has models beside those of its retrievers.
    where: a filter on the documents' metadata.
    """

    reporter: Reporter
    loading: LoadingOptions
    corpus: Path | Corpus | None = None
    named: tuple[str, ...] = ()
    model: str = ""
    max_tokens: int = 64
    temperature: float = 0.0
    options: dict[str, Any] = field(default_factory=dict)
    in_flight: int = 16
    purse: Purse = field(default_factory=Purse)
    others_compute: bool = False
    where: str = ""
    _known: dict[object, Any] = field(default_factory=dict)

    def pipeline(self, spec: PipelineSpec) -> Pipeline:
        """The pipeline that was asked for.

        Raises:
            UserError, RetrieverError: a part of it cannot be had.
        """
        source = self._once(("source", spec.retriever), lambda: self._source(spec.retriever))
        k = corpus_index.depth(spec.k, source.retriever, USUAL_K, "--k")
        template = prompt.read(spec.prompt)
        usual = template == prompt.read(None)
        return Pipeline(
            source,
            k,
            template,
            self.generator(spec.generator) if spec.generator else None,
            self._rewriter(spec.rewriter) if spec.rewriter else None,
            spec.noise,
            self._refiner(spec.refiner) if spec.refiner else None,
            spec.order.argument if spec.order else "",
            spec.prompt.stem if spec.prompt and not usual else "",
            spec.k,
            self.where,
            self._once(("where", spec.retriever), lambda: self._let_through(source)),
        )

    def _let_through(self, source: Source) -> np.ndarray | None:
        """The rows of the documents that the filter lets through; None without a filter.

        Raises:
            UserError: there are none.
        """
        if not self.where:
            return None
        rows = source.retriever.where(self.where)
        if not len(rows):
            raise UserError(
                f"No document of {source.name} fits --where {self.where!r}.", "Loosen the filter."
            )
        return rows

    def generator(self, stage: Stage) -> Generator:
        """The generator of the answers."""
        most = int(stage.setting("max_tokens", self.max_tokens))
        heat = float(stage.setting("temperature", self.temperature))
        served = is_url(stage.argument)
        return self._language_model(
            stage.argument,
            model=stage.setting("model", self.model if served else ""),
            max_tokens=most,
            temperature=heat,
            options=self.options,
        )

    def writer(self, stage: Stage, most: int, lines: int | None = 1) -> Generator:
        """A language model whose generations are kept."""
        return KeptGenerator(
            self._language_model(
                stage.argument,
                model=stage.setting("model", ""),
                max_tokens=int(stage.setting("max_tokens", most)),
                temperature=float(stage.setting("temperature", 0.0)),
                lines=lines,
            )
        )

    def encoder(self, model: str) -> Any:
        """A model as a `retrievers.Encoder`."""
        return self._once(
            ("encoder", model), lambda: corpus_index.encoder(model, **vars(self.loading))
        )

    def _source(self, retriever: str) -> Source:
        """Where another part of the run computes, BM25 has no use for a device, and needs none."""
        loading = self.loading
        if self.others_compute and self.corpus is not None:
            cards = composition.parts(retriever)
            loading = loading if any(c.kind.has_weights for c in cards) else LoadingOptions()
        return sources.find(
            retriever, self.corpus, named=self.named, **vars(loading), reporter=self.reporter
        )

    def _rewriter(self, stage: Stage) -> Rewriter:
        lines = int(stage.setting("n", 3)) if stage.function == "multi" else 1
        return Rewriter(stage, self.writer(stage, _PASSAGE, lines))

    def _refiner(self, stage: Stage) -> Refiner:
        if stage.function == "refine":
            return Copied(stage, self.writer(stage, _EXTRACT, None))
        encoder = self.encoder(stage.argument)
        return Extracted(stage.argument, encoder, int(stage.setting("n", 3)))

    def _language_model(
        self, name: str, *, max_tokens: int, temperature: float, model: str = "", **more: Any
    ) -> Generator:
        """A language model; one on this machine is loaded once, whatever it is to write."""
        loading: dict[str, Any] = {"device": self.loading.device, "dtype": self.loading.dtype}
        sampling: dict[str, Any] = {"max_tokens": max_tokens, "temperature": temperature}
        if not is_url(name):
            if more.pop("options", None):
                raise UserError("--generator-option is for a server.", "Leave it out.")
            if model:
                raise UserError(
                    f"model={model} is the model's name at a server, and {name} is none.",
                    "Leave it out for a model on this machine.",
                )
            loaded = self._once(
                ("language model", name), lambda: generators.find(name, max_tokens=1, **loading)
            )
            found: Generator = loaded.again(**sampling, **more)
            return found
        how = {"in_flight": self.in_flight, "purse": self.purse, "model": model, **more}
        key = ("server", name, repr((sampling, model, more)))
        found = self._once(key, lambda: generators.find(name, **sampling, **how))
        return found

    def _once(self, key: object, make: Callable[[], Any]) -> Any:
        if key not in self._known:
            self._known[key] = make()
        return self._known[key]
