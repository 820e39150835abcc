import asyncio

import numpy as np
import pytest

import retrievers
from retrievers import Encoder

DOCUMENTS = {
    "heart": "The heart pumps blood through the body.",
    "liver": "The liver makes bile and cleans the blood.",
    "lung": "The lungs take oxygen from the air.",
}
QUERY = "which organ makes bile"


@pytest.fixture(scope="module")
def index():
    return retrievers.make("lucene").index(list(DOCUMENTS), list(DOCUMENTS.values()))


@pytest.fixture(scope="module")
def scifact_index(scifact):
    ids, documents, queries, qrels = scifact
    return retrievers.make("lucene").index(ids, documents), queries, qrels


@pytest.fixture(scope="module")
def encoder(tiny_folder):
    from sentence_transformers import SentenceTransformer

    return Encoder(SentenceTransformer(str(tiny_folder), device="cpu"), "tiny@1", "tiny")


def test_langchain_retriever(index):
    from retrievers.integrations.langchain import LangChainRetriever

    retriever = LangChainRetriever(index, k=2)
    for found in (retriever.invoke(QUERY), asyncio.run(retriever.ainvoke(QUERY))):
        assert (
            found[0].id == found[0].metadata["id"] == "liver"
            and found[0].page_content == DOCUMENTS["liver"]
        )
        assert found[0].metadata["score"] == pytest.approx(index.search_one(QUERY, 1)[0][1])
    assert {d.id for d in LangChainRetriever(index, only=["heart"]).invoke("blood bile")} == {
        "heart"
    }


def test_langchain_pipeline_answers_from_scifact(scifact_index):
    from langchain_core.language_models import FakeListChatModel
    from langchain_core.output_parsers import StrOutputParser
    from langchain_core.prompts import ChatPromptTemplate
    from langchain_core.runnables import RunnablePassthrough

    from retrievers.integrations.langchain import LangChainRetriever

    index, queries, qrels = scifact_index
    query = next(
        q for q in queries if next(iter(qrels[q])) == index.search_one(queries[q], 1)[0][0]
    )
    wanted, seen = next(iter(qrels[query])), []

    class Reader(FakeListChatModel):
        """Keeps what the pipeline hands to the generator."""

        def _call(self, messages, *args, **kwargs):
            seen.append(messages[-1].content)
            return super()._call(messages, *args, **kwargs)

    def joined(found):
        return "\n".join(f"[{document.id}] {document.page_content}" for document in found)

    prompt = ChatPromptTemplate.from_template("{context}\nQuestion: {question}")
    context = {
        "context": LangChainRetriever(index, k=3) | joined,
        "question": RunnablePassthrough(),
    }
    chain = context | prompt | Reader(responses=["yes"]) | StrOutputParser()
    assert chain.invoke(queries[query]) == "yes"
    assert f"[{wanted}]" in seen[0] and index.text(index.ids.index(wanted)) in seen[0]


def test_langchain_embeddings(encoder):
    from langchain_core.vectorstores import InMemoryVectorStore

    from retrievers.integrations.langchain import LangChainEmbeddings

    store = InMemoryVectorStore(LangChainEmbeddings(encoder))
    store.add_texts(["the cell w1", "gene w2 w3"])
    assert store.similarity_search("gene w2 w3", k=1)[0].page_content == "gene w2 w3"
    vector = asyncio.run(LangChainEmbeddings(encoder).aembed_query("gene"))
    np.testing.assert_allclose(vector, encoder.model.encode_query("gene"), atol=1e-6)


def test_llama_index_retriever(index):
    from llama_index.core.evaluation import RetrieverEvaluator

    from retrievers.integrations.llama_index import LlamaIndexRetriever

    retriever = LlamaIndexRetriever(index, k=2)
    for found in (retriever.retrieve(QUERY), asyncio.run(retriever.aretrieve(QUERY))):
        assert (
            found[0].node.node_id == found[0].node.metadata["id"] == "liver"
            and found[0].text == DOCUMENTS["liver"]
        )
        assert (
            found[0].score
            == found[0].node.metadata["score"]
            == pytest.approx(index.search_one(QUERY, 1)[0][1])
        )
    evaluator = RetrieverEvaluator.from_metric_names(["mrr", "hit_rate"], retriever=retriever)
    assert evaluator.evaluate(QUERY, ["liver"]).metric_vals_dict == {"mrr": 1.0, "hit_rate": 1.0}


def test_llama_index_pipeline_answers_from_scifact(scifact_index):
    from llama_index.core.llms import MockLLM
    from llama_index.core.query_engine import RetrieverQueryEngine
    from llama_index.core.response_synthesizers import get_response_synthesizer

    from retrievers.integrations.llama_index import LlamaIndexRetriever

    index, queries, _ = scifact_index
    query = next(iter(queries.values()))
    engine = RetrieverQueryEngine(
        LlamaIndexRetriever(index, k=2),
        get_response_synthesizer(llm=MockLLM(), response_mode="compact"),
    )
    answer = engine.query(query)
    wanted = [name for name, _ in index.search_one(query, 2)]
    assert [node.node_id for node in answer.source_nodes] == wanted
    assert index.text(index.ids.index(wanted[0]))[:200] in str(answer), (
        "the mock generator repeats its prompt"
    )


def test_llama_index_embedding(encoder):
    from retrievers.integrations.llama_index import LlamaIndexEmbedding

    model = LlamaIndexEmbedding(encoder)
    wanted = encoder.model.encode_document(["cell", "gene w2"])
    np.testing.assert_allclose(
        model.get_text_embedding_batch(["cell", "gene w2"]), wanted, atol=1e-6
    )
    np.testing.assert_allclose(
        asyncio.run(model.aget_query_embedding("gene w2")), wanted[1], atol=1e-6
    )
    np.testing.assert_allclose(asyncio.run(model.aget_text_embedding("cell")), wanted[0], atol=1e-6)


def test_haystack_component(index):
    from retrievers.integrations.haystack import HaystackRetriever

    component = HaystackRetriever(index, top_k=2)
    for found in (component.run(QUERY), asyncio.run(component.run_async(QUERY))):
        best = found["documents"][0]
        assert best.id == best.meta["id"] == "liver" and best.content == DOCUMENTS["liver"]
        assert best.score == best.meta["score"] == pytest.approx(index.search_one(QUERY, 1)[0][1])
    by_id = {"field": "id", "operator": "in", "value": ["heart"]}
    assert [d.id for d in component.run("blood bile", filters=by_id)["documents"]] == ["heart"]
    with pytest.raises(retrievers.RetrieverError, match="No document has a field"):
        component.run(QUERY, filters={"field": "meta.year", "operator": ">", "value": 3})


def test_haystack_pipeline_answers_from_scifact(scifact_index):
    from haystack import Pipeline
    from haystack.components.builders import PromptBuilder

    from retrievers.integrations.haystack import HaystackRetriever

    index, queries, _ = scifact_index
    query = next(iter(queries.values()))
    pipeline = Pipeline()
    pipeline.add_component("retriever", HaystackRetriever(index))
    template = "{% for d in documents %}[{{ d.id }}] {{ d.content }}\n{% endfor %}{{ query }}"
    pipeline.add_component("prompt", PromptBuilder(template, ["documents", "query"]))
    pipeline.connect("retriever.documents", "prompt.documents")
    prompt = pipeline.run({"retriever": {"query": query, "top_k": 2}, "prompt": {"query": query}})[
        "prompt"
    ]["prompt"]
    assert all(
        f"[{name}] " in prompt for name, _ in index.search_one(query, 2)
    ) and prompt.endswith(query)


def test_langchain_takes_k_and_only_for_one_call_and_refuses_the_rest(index):
    from retrievers.integrations.langchain import LangChainRetriever

    retriever = LangChainRetriever(index, k=3)
    assert [d.id for d in retriever.invoke("blood", k=1)] == [index.search_one("blood", 1)[0][0]]
    assert [d.id for d in retriever.invoke("blood", only=["liver"])] == ["liver"]
    assert [d.id for d in asyncio.run(retriever.ainvoke("blood", only=["liver"], k=2))] == ["liver"]
    assert retriever.invoke("blood", only=[]) == []
    with pytest.raises(retrievers.RetrieverError, match="no setting top_k"):
        retriever.invoke("blood", top_k=1)


@pytest.fixture
def library(tmp_path):
    """An index whose documents have titles and further fields, saved and loaded again."""
    documents = [{"title": "Bile", "text": "made by the liver", "year": 1999}, {"text": "air"}]
    retrievers.make("lucene").index(["liver", "lung"], documents).save(tmp_path / "library")
    return tmp_path / "library"


def test_titles_and_further_fields_reach_every_framework(library):
    from retrievers.integrations.haystack import HaystackRetriever
    from retrievers.integrations.langchain import LangChainRetriever
    from retrievers.integrations.llama_index import LlamaIndexRetriever

    index = retrievers.load(library)
    (document,) = LangChainRetriever(index).invoke("bile")
    (node,) = LlamaIndexRetriever(index).retrieve("bile")
    (found,) = HaystackRetriever(index).run("bile")["documents"]
    for metadata in (document.metadata, node.node.metadata, found.meta):
        assert (
            metadata["title"] == "Bile" and metadata["year"] == 1999 and metadata["id"] == "liver"
        )
    assert document.page_content == node.text == found.content == "Bile made by the liver"
    assert index.metadata(1) == {}


def test_a_haystack_pipeline_is_written_and_read(library):
    from haystack import Pipeline

    from retrievers.integrations.haystack import HaystackRetriever

    pipeline = Pipeline()
    pipeline.add_component("retriever", HaystackRetriever(str(library), top_k=1))
    written = pipeline.dumps()
    (found,) = Pipeline.loads(written, allowed_modules=["retrievers.integrations.haystack"]).run(
        {"retriever": {"query": "bile"}}
    )["retriever"]["documents"]
    assert found.id == "liver" and str(library) in written
    in_memory = HaystackRetriever(retrievers.load(library))
    with pytest.raises(retrievers.RetrieverError, match="lies in memory"):
        in_memory.to_dict()


def test_llama_index_reports_to_its_callbacks(index):
    from llama_index.core.callbacks import CallbackManager, CBEventType, LlamaDebugHandler

    from retrievers.integrations.llama_index import LlamaIndexRetriever

    handler = LlamaDebugHandler(print_trace_on_end=False)
    LlamaIndexRetriever(index, callback_manager=CallbackManager([handler])).retrieve(QUERY)
    assert len(handler.get_event_pairs(CBEventType.RETRIEVE)) == 1


def test_no_plugin_switches_telemetry_on(monkeypatch):
    """Importing the plug-ins sets no variable
    that a framework reads before it reports to anybody.
    """
    import os
    import subprocess
    import sys

    program = (
        "import os; before = dict(os.environ)\nfrom retrievers.integrations import haystack,"
        " langchain, llama_index\nnew = {n: v for n, v in os.environ.items() if before.get(n) !="
        " v}\nprint([n for n in new if any(w in n.upper() for w in ('TELEMETRY', 'TRACING',"
        " 'ANALYTICS', 'LANGSMITH'))])"
    )
    ended = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, env=dict(os.environ)
    )
    assert ended.stdout.strip() == "[]", ended.stderr


def test_no_plugin_takes_a_wrong_number_or_filter_for_none(index):
    """0 is no default, and one id is not a list of letters."""
    from retrievers.haystack import HaystackRetriever
    from retrievers.langchain import LangChainRetriever

    chain, component = LangChainRetriever(index), HaystackRetriever(index)
    for call in (lambda: chain.invoke(QUERY, k=0), lambda: component.run(QUERY, top_k=0)):
        with pytest.raises(retrievers.RetrieverError, match="k is 0"):
            call()
    with pytest.raises(retrievers.RetrieverError, match="is one text"):
        chain.invoke(QUERY, only="liver")
    in_words = {"field": "id", "operator": "in"}
    for filters in (
        in_words,
        {**in_words, "value": "liver"},
        "liver",
        ["liver"],
        {**in_words, "operator": "=="},
    ):
        with pytest.raises(
            retrievers.RetrieverError,
            match=r"no filter of Haystack's|no list of values|is malformed",
        ):
            component.run(QUERY, filters=filters)


def test_the_best_chunk_reaches_every_framework():
    from retrievers.integrations.haystack import HaystackRetriever
    from retrievers.integrations.langchain import LangChainRetriever
    from retrievers.integrations.llama_index import LlamaIndexRetriever
    from retrievers.pieces import Pieces
    from retrievers.pipelines.by_chunks import Chunked

    text, end = "The heart pumps blood. The liver makes bile.", len("The heart pumps blood. ")
    spans = [(0, end), (end, len(text)), (0, 4)]

    def halves(texts):
        chunks = [text[start:stop] for start, stop in spans[:2]] + ["Air."]
        return Pieces(chunks, spans, np.array([0, 2, 3]))

    index = Chunked(retrievers.make("lucene"), halves)
    index.index(["organs", "lung"], [{"title": "", "text": text, "year": 1543}, "Air."])
    assert index.search([QUERY], 5).rows[0].tolist() == [0, -1, -1, -1, -1]
    (chain,) = LangChainRetriever(index).invoke(QUERY)
    (node,) = LlamaIndexRetriever(index).retrieve(QUERY)
    (document,) = HaystackRetriever(index).run(QUERY)["documents"]
    for said, facts in (
        (chain.page_content, chain.metadata),
        (node.node.text, node.node.metadata),
        (document.content, document.meta),
    ):
        assert said == "The liver makes bile."
        wanted = {"id": "organs", "start": end, "end": len(text), "year": 1543}
        assert wanted.items() <= facts.items()
    with pytest.raises(retrievers.RetrieverError, match="1 documents were cut into"):
        index.add(["more"], ["More."])
    assert len(index.ids) == 2
