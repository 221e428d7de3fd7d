"""What a call costs under ddtrace's decorator, for `llmobs-bench overhead --python PATH`.

The other end of the pipe is benches/src/child.rs: this lists what it can measure, then reads
`<number> <calls>` and answers `ok <nanoseconds>`, the CPU time of the calling thread.
ddtrace holds 1,000 spans at most and drops the rest, so a measurement has fewer and flushes
before and after.
"""

import os
import sys
import time

GROUP, SINK = sys.argv[1:]
ENABLED = GROUP == "ddtrace"

os.environ.update(
    DD_LLMOBS_ENABLED="1" if ENABLED else "0",
    DD_LLMOBS_ML_APP="bench",
    DD_SERVICE="bench",
    DD_TRACE_AGENT_URL="http://" + SINK,
    # Traces of APM beside the LLM spans would make it slower still.
    DD_APM_TRACING_ENABLED="false",
    DD_INSTRUMENTATION_TELEMETRY_ENABLED="0",
    DD_REMOTE_CONFIGURATION_ENABLED="0",
    DD_TRACE_STARTUP_LOGS="0",
)

from ddtrace.llmobs import LLMObs  # noqa: E402
from ddtrace.llmobs.decorators import llm  # noqa: E402

if ENABLED:
    LLMObs.enable(integrations_enabled=False)


def bare():
    pass


@llm(model_name="claude-sonnet-4-5", name="invoke_llm", model_provider="anthropic")
def decorated():
    pass


@llm(model_name="claude-sonnet-4-5", name="invoke_llm", model_provider="anthropic")
def annotated():
    LLMObs.annotate(
        input_data=[{"role": "user", "content": "What is the capital of France?"}],
        output_data=[{"role": "assistant", "content": "Paris"}],
        metadata={"temperature": 0.2},
        metrics={"input_tokens": 12, "output_tokens": 3, "total_tokens": 15},
        tags={"user": "u1"},
    )


VARIANTS = [("bare", bare, 20_000), ("@llm", decorated, 400)]
if ENABLED:
    VARIANTS.append(("@llm with annotate", annotated, 400))


def run(function, calls):
    start = time.thread_time_ns()
    for _ in range(calls):
        function()
    nanoseconds = time.thread_time_ns() - start
    if ENABLED:
        LLMObs.flush()
    return nanoseconds


def main():
    for name, _, calls in VARIANTS:
        print(f"{name}\t{calls}")
    print("ready", flush=True)
    for line in sys.stdin:
        which, calls = map(int, line.split())
        function = VARIANTS[which][1]
        run(function, 20)
        print("ok", run(function, calls), flush=True)


main()
