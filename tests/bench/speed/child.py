"""One system, loaded once, that encodes what it is told:
`child.py SYSTEM`, commands and answers as JSON lines.

Systems: "embedlab", "embedlab float32", "embedlab compiled", "embedlab onnx float32", "embedlab
onnx-int8", "embedlab openvino float32", "... bfloat16", "sentence-transformers float32", "...
bfloat16". A command is {"texts": [...], "max_length": n or null}.
"""

import json
import os
import sys
import tempfile
import time

from measuring import peak_memory

MODEL = "all-minilm-l6-v2"


def encode_with_embedlab(system: str):
    from embedlab import models
    from embedlab.encoding.encoder import Encoder
    from embedlab.models.backends import BACKENDS
    from embedlab.options import EncodingOptions
    from embedlab.progress import Reporter

    backend = next((word for word in system.split() if word in BACKENDS), "")
    dtype = "float32" if "float32" in system else "auto" if "int8" in system else "bfloat16"
    loaded = models.load(MODEL + (f"@{backend}" if backend else ""), device="cpu", dtype=dtype)
    plain = loaded.encoder.max_seq_length
    encoder = Encoder(loaded, EncodingOptions(compiled="compiled" in system), reporter=Reporter())

    def encode(texts: list[str], max_length: int | None) -> dict:
        loaded.encoder.max_seq_length = max_length or plain
        with tempfile.TemporaryDirectory() as home:
            # Nothing was encoded before; what is written counts.
            os.environ["EMBEDLAB_HOME"] = home
            vectors, cost = encoder.encode(texts, role="document")
            lengths = vectors[None].tokens().tolist()
        return {
            "lengths": lengths,
            "padding": 1 - cost.encoded_tokens / cost.padded_tokens,
            "dtype": loaded.dtype,
        }

    return encode


def encode_with_sentence_transformers(system: str):
    from embedlab import models

    loaded = models.load(MODEL, device="cpu", dtype=system.split()[-1])
    plain = loaded.encoder.max_seq_length

    def encode(texts: list[str], max_length: int | None) -> dict:
        loaded.encoder.max_seq_length = max_length or plain
        loaded.encoder.encode(texts, batch_size=32, show_progress_bar=False)
        return {"dtype": loaded.dtype}

    return encode


def main(system: str) -> None:
    answers, sys.stdout = sys.stdout, sys.stderr
    os.environ["EMBEDLAB_HOME"] = tempfile.mkdtemp()
    cores = len(os.sched_getaffinity(0))
    encode = (
        encode_with_embedlab if system.startswith("embedlab") else encode_with_sentence_transformers
    )(system)
    encode(["warm up"] * 8, None)
    print(json.dumps({"ready": True}), file=answers, flush=True)
    for line in sys.stdin:
        command = json.loads(line)
        assert len(set(command["texts"])) == len(command["texts"]), "equal texts are encoded once"
        began, worked = time.perf_counter(), time.process_time()
        facts = encode(command["texts"], command.get("max_length"))
        seconds, worked = time.perf_counter() - began, time.process_time() - worked
        answer = {
            "seconds": seconds,
            "busy": worked / seconds / cores,
            "peak": peak_memory(),
            "facts": facts,
        }
        print(json.dumps(answer), file=answers, flush=True)


if __name__ == "__main__":
    main(sys.argv[1])
