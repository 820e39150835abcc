"""Filters as LangChain, LlamaIndex and Haystack write them let through what they let through there,
and a pipeline that was saved and loaded has its filter.
"""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import retrievers
from retrievers import RetrieverError
from retrievers.integrations.framework_filters import (
    from_haystack,
    from_langchain,
    from_llama_index,
)
from retrievers.metadata_columns import Columns
from retrievers.where import rows

DOCUMENTS = {
    "a": {"text": "the gene", "year": 2019, "lang": "en", "tags": ["x"]},
    "b": {"text": "the gene", "year": 2021, "lang": "en", "tags": ["x", "y"]},
    "c": {"text": "the gene", "year": 2022, "lang": "de"},
    "d": {"text": "the gene"},
}
VALUES = {
    "year": st.integers(0, 3),
    "lang": st.sampled_from(["en", "DE_", "d%e", "it's"]),
    "tags": st.lists(st.sampled_from(["x", "y"]), max_size=2),
}
ALL = {"year": 1, "lang": "en", "tags": ["x"]}  # so that no field is unknown
METADATA = st.lists(st.fixed_dictionaries({}, optional=VALUES), max_size=6).map(
    lambda some: [ALL, *some]
)


def passing(clause, documents):
    ids = [f"d{row}" for row in range(len(documents))]
    return rows(clause, Columns.of(documents), ids).tolist()


def one_of_haystack():
    year, lang = ({"field": st.just(f"meta.{name}")} for name in ("year", "lang"))
    less = st.sampled_from(["==", "!=", ">", ">=", "<", "<="])
    same, among = st.sampled_from(["==", "!="]), st.sampled_from(["in", "not in"])
    return st.one_of(
        st.fixed_dictionaries({**year, "operator": less, "value": VALUES["year"]}),
        st.fixed_dictionaries({**lang, "operator": same, "value": st.none() | VALUES["lang"]}),
        st.fixed_dictionaries({**lang, "operator": among, "value": st.lists(VALUES["lang"])}),
    )


HAYSTACK = st.recursive(
    one_of_haystack(),
    lambda inside: st.fixed_dictionaries(
        {
            "operator": st.sampled_from(["AND", "OR", "NOT"]),
            "conditions": st.lists(inside, min_size=1, max_size=3),
        }
    ),
    max_leaves=4,
)


@settings(max_examples=80, deadline=None)
@given(METADATA, HAYSTACK)
def test_filters_of_haystack_as_its_own_stores_read_them(documents, filters):
    haystack = pytest.importorskip("haystack", reason="needs the extra rag")
    from haystack.utils.filters import document_matches_filter

    wanted = [
        row
        for row, metadata in enumerate(documents)
        if document_matches_filter(filters, haystack.Document(content="", meta=metadata))
    ]
    assert passing(from_haystack(filters), documents) == wanted


@settings(max_examples=80, deadline=None)
@given(METADATA, st.data())
def test_filters_of_llama_index_as_its_own_stores_read_them(documents, data):
    pytest.importorskip("llama_index.core", reason="needs the extra rag")
    from llama_index.core.vector_stores import MetadataFilter, MetadataFilters
    from llama_index.core.vector_stores.utils import build_metadata_filter_fn

    kinds = {
        ("year", VALUES["year"]): ["==", "!=", ">", ">=", "<", "<="],
        ("lang", VALUES["lang"]): ["==", "!=", "text_match", "text_match_insensitive", "contains"],
        ("lang", st.lists(VALUES["lang"], min_size=1)): ["in", "nin"],
        ("tags", st.sampled_from(["x", "y", "z"])): ["contains"],
        ("tags", st.lists(st.sampled_from(["x", "y", "z"]), min_size=1)): ["any", "all"],
    }
    chosen = []
    for _ in range(data.draw(st.integers(1, 3))):
        key, values = data.draw(st.sampled_from(list(kinds)))
        how = data.draw(st.sampled_from(kinds[key, values]))
        chosen.append(MetadataFilter(key=key, value=data.draw(values), operator=how))
    filters = MetadataFilters(
        filters=chosen, condition=data.draw(st.sampled_from(["and", "or", "not"]))
    )
    fits = build_metadata_filter_fn(lambda row: documents[int(row)], filters)
    wanted = [row for row in range(len(documents)) if fits(str(row))]
    assert passing(from_llama_index(filters), documents) == wanted
    nested = MetadataFilters(filters=[filters, chosen[0]], condition="or")
    either = {*wanted, *passing(from_llama_index(MetadataFilters(filters=chosen[:1])), documents)}
    assert passing(from_llama_index(nested), documents) == sorted(either)


@pytest.mark.parametrize(
    ("filters", "ids"),
    [
        ({"lang": "en"}, "ab"),
        ({"year": {"$gte": 2020}, "lang": "en"}, "b"),
        ({"year": {"$gt": 2019, "$lt": 2022}}, "b"),
        ({"lang": {"$ne": "en"}}, "cd"),
        ({"lang": {"$nin": ["en", "fr"]}}, "cd"),
        ({"lang": {"$in": []}}, ""),
        ({"lang": None}, "d"),
        ({"lang": {"$exists": True}}, "abc"),
        ({"$or": [{"year": {"$lte": 2019}}, {"lang": "de"}]}, "ac"),
        ({"$and": [{"year": {"$eq": 2021}}, {"tags": {"$contains": "y"}}]}, "b"),
        ({"$not": {"year": {"$gt": 2019}}}, "ad"),
        ({"lang": {"$like": "e%"}, "id": {"$in": ["a", "d"]}}, "a"),
        ("year > 2020", "bc"),
        ({}, "abcd"),
        (None, "abcd"),
    ],
)
def test_filters_of_langchain(filters, ids):
    clause = from_langchain(filters)
    found = rows(clause, Columns.of(DOCUMENTS.values()), list(DOCUMENTS)) if clause else range(4)
    assert "".join("abcd"[row] for row in found) == ids


@pytest.mark.parametrize(
    ("read", "filters", "problem"),
    [
        (from_haystack, {"field": "meta.year", "operator": "~", "value": 1}, "no operator '~'"),
        (from_haystack, {"operator": "AND", "conditions": []}, "no filter of Haystack's"),
        (from_haystack, {"field": "meta.year", "operator": "in", "value": "x"}, "no list of"),
        (from_haystack, {"field": "meta.year", "operator": ">", "value": None}, "not with None"),
        (from_langchain, {"year": {"$near": 1}}, r"no operator '\$near'"),
        (from_langchain, {"$or": {}}, r"\$or: \{\} is no filter"),
        (from_langchain, {"year": {"$gt": [1]}}, "compares with a text, a number"),
    ],
)
def test_what_is_no_filter_is_named(read, filters, problem):
    with pytest.raises(RetrieverError, match=problem):
        read(filters)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("indexes") / "index"
    retrievers.make("lucene").index(list(DOCUMENTS), list(DOCUMENTS.values())).save(path)
    return path


def test_a_langchain_pipeline_saved_and_loaded(folder):
    pytest.importorskip("langchain_core", reason="needs the extra rag")
    from langchain_core.load import dumps, loads
    from langchain_core.prompts import ChatPromptTemplate
    from langchain_core.runnables import RunnableParallel, RunnablePassthrough

    from retrievers.integrations.langchain import LangChainRetriever

    retriever = LangChainRetriever(folder, k=5, filter={"year": {"$gte": 2020}})
    prompt = ChatPromptTemplate.from_template("{context} {question}")
    chain = RunnableParallel(context=retriever, question=RunnablePassthrough()) | prompt
    saved = dumps(chain)
    assert str(folder) in saved and "$gte" in saved
    loaded = loads(saved, allowed_objects=[
        type(chain), RunnableParallel, RunnablePassthrough, ChatPromptTemplate,
        LangChainRetriever, *map(type, prompt.messages), type(prompt.messages[0].prompt),
    ], valid_namespaces=["retrievers"])  # fmt: skip
    said = loaded.invoke("gene").to_string()
    assert said == chain.invoke("gene").to_string()
    assert all(f"id='{id}'" in said for id in "bc") and "id='a'" not in said
    ids = {found.id for found in retriever.invoke("gene", filter="lang = 'en'")}
    assert ids == {"a", "b"}, "that of a call takes the place of its own"
    with pytest.raises(RetrieverError, match="has a field 'yeer'"):
        retriever.invoke("gene", filter={"yeer": 1})
    in_memory = LangChainRetriever(retrievers.load(folder))
    assert json.loads(dumps(in_memory))["type"] == "not_implemented"


def test_a_llama_index_pipeline_saved_and_loaded(folder):
    pytest.importorskip("llama_index.core", reason="needs the extra rag")
    from llama_index.core.llms import MockLLM
    from llama_index.core.query_engine import RetrieverQueryEngine
    from llama_index.core.vector_stores import MetadataFilter, MetadataFilters

    from retrievers.integrations.llama_index import LlamaIndexRetriever

    filters = MetadataFilters(filters=[MetadataFilter(key="year", value=2020, operator=">=")])
    for each, only in ((filters, None), ("year >= 2020", None), (filters, ["a", "b", "c"])):
        saved = json.dumps(LlamaIndexRetriever(folder, k=5, only=only, filters=each).to_dict())
        loaded = LlamaIndexRetriever.from_dict(json.loads(saved))
        assert loaded.filters == each
        engine = RetrieverQueryEngine.from_args(loaded, llm=MockLLM())
        assert {node.node_id for node in engine.query("gene").source_nodes} == {"b", "c"}
    with pytest.raises(RetrieverError, match="lies in memory"):
        LlamaIndexRetriever(retrievers.load(folder)).to_dict()


def test_a_haystack_pipeline_saved_and_loaded(folder):
    haystack = pytest.importorskip("haystack", reason="needs the extra rag")
    from retrievers.integrations.haystack import HaystackRetriever

    filters = {"field": "meta.year", "operator": ">=", "value": 2020}
    for each in (filters, "year >= 2020"):
        pipeline = haystack.Pipeline()
        pipeline.add_component("retriever", HaystackRetriever(folder, top_k=5, filters=each))
        loaded = haystack.Pipeline.loads(
            pipeline.dumps(), allowed_modules=["retrievers.integrations.haystack"]
        )
        asked = {"query": "gene"}
        found = loaded.run({"retriever": asked})["retriever"]["documents"]
        assert {document.id for document in found} == {"b", "c"}
        asked["filters"] = {"field": "meta.lang", "operator": "!=", "value": "en"}
        found = loaded.run({"retriever": asked})["retriever"]["documents"]
        assert {document.id for document in found} == {"c", "d"}


@pytest.mark.parametrize("operator", ["in", "nin", "any", "all"])
def test_a_text_is_no_list_of_its_letters(operator):
    from llama_index.core.vector_stores import FilterOperator, MetadataFilter, MetadataFilters

    one = MetadataFilter(key="tags", value="xy", operator=FilterOperator(operator))
    with pytest.raises(RetrieverError, match="no list of values"):
        from_llama_index(MetadataFilters(filters=[one]))
