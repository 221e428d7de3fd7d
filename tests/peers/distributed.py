"""The Python ends of a trace that goes through Rust: ddtrace.llmobs, set up by its variables.

    distributed.py call URL SESSION AGENT   calls URL twice, each time in a trace of its own
    distributed.py serve                    answers POSTs in the trace that their headers tell
"""

import http.server
import sys
import urllib.request

from ddtrace import tracer
from ddtrace.llmobs import LLMObs


def flush():
    # With APM on, what LLMObs records travels with the tracer's spans.
    tracer.flush()
    LLMObs.flush()


def call(url, session, agent):
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    for _ in range(2):
        with LLMObs.workflow("client", session_id=session, ml_app="dist-app"):
            with LLMObs.agent(agent):
                with LLMObs.task("sender"):
                    headers = LLMObs.inject_distributed_headers({})
                    request = urllib.request.Request(url, data=b"{}", headers=headers)
                    opener.open(request, timeout=30).read()
    flush()


class Handler(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        self.rfile.read(int(self.headers["content-length"]))
        LLMObs.activate_distributed_headers(dict(self.headers.items()))
        with LLMObs.task("answer"):
            with LLMObs.llm(name="write", model_name="small", model_provider="python"):
                pass
        flush()
        self.send_response(200)
        self.send_header("content-length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

    def log_message(self, *_):
        pass


def serve():
    # A thread for each request: what is activated in one is unknown to the next.
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    print(server.server_address[1], flush=True)
    server.serve_forever()


if __name__ == "__main__":
    LLMObs.enable(integrations_enabled=False)
    if sys.argv[1] == "serve":
        serve()
    else:
        call(*sys.argv[2:])
