"""Capitals as a collection, and a server that speaks OpenAI's protocol
and reads the answer off the first document.
"""

import json
import re
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

CAPITALS = {
    "France": "Paris",
    "Italy": "Rome",
    "Spain": "Madrid",
    "Austria": "Vienna",
    "Norway": "Oslo",
    "Greece": "Athens",
    "Japan": "Tokyo",
    "Peru": "Lima",
    "Kenya": "Nairobi",
    "Egypt": "Cairo",
    "Cuba": "Havana",
    "Chad": "N'Djamena",
}


def write(path, rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


class Server(ThreadingHTTPServer):
    """Answers with the first word of the first document;
    keeps the requests, and fails or hangs where told to.
    """

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.models, self.requests, self.fail_from, self.hang_from = ["reader"], [], None, None
        self.hanging, self.url = threading.Event(), f"http://127.0.0.1:{self.server_port}/v1"


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        self.answer(
            200,
            {
                "object": "list",
                "data": [{"id": name, "object": "model"} for name in self.server.models],
            },
        )

    def do_POST(self):
        request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        number = len(self.server.requests)
        self.server.requests.append(request)
        if self.server.hang_from is not None and number >= self.server.hang_from:
            self.server.hanging.set()
            threading.Event().wait(20)
            return
        if self.server.fail_from is not None and number >= self.server.fail_from:
            self.answer(400, {"error": {"message": "the context is too long"}})
            return
        words = re.search(r"\[1\] (\S+)", request["messages"][0]["content"])
        message = {"role": "assistant", "content": f" {words[1]}." if words else "unknown"}
        self.answer(
            200,
            {
                "id": "1", "object": "chat.completion", "created": 0, "model": request["model"],
                "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
                "usage": {"prompt_tokens": 30, "completion_tokens": 3, "total_tokens": 33},
            },
        )  # fmt: skip

    def answer(self, code, body):
        content = json.dumps(body).encode()
        self.send_response(code)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_):
        pass
