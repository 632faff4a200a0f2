"""What is measured: each timed case is one load, run for every proxy in every round."""

from dataclasses import dataclass

ANSWER = 700  # bytes of text in an answer of the mock


@dataclass(frozen=True)
class Case:
    name: str
    title: str
    model: str
    connections: int = 64
    body_bytes: int = 1000
    tools: bool = False      # the body is tool schemas, not prose
    stream: bool = False
    half_load: bool = False  # open loop at half of what we can do
    seconds: float = 1.5

    @property
    def figure(self):
        return "per stream" if self.stream else "per request"


PLAIN = f"m;size={ANSWER}"
TIMED = [
    Case("1k", "1 KB bodies, 64 connections, closed loop", PLAIN, body_bytes=1000),
    Case("10k", "10 KB bodies, 64 connections, closed loop", PLAIN, body_bytes=10_000),
    Case("50k", "50 KB bodies, 64 connections, closed loop", PLAIN, body_bytes=50_000),
    Case("tools", "50 KB of tool schemas, 64 connections, closed loop", PLAIN, body_bytes=50_000, tools=True),
    Case("stream10", "streams of 100 events, 10 ms apart, 200 at once", "m;n=100;interval_ms=10", connections=200,
         stream=True, seconds=3),
    Case("stream3", "streams of 100 events, 3 ms apart, 200 at once", "m;n=100;interval_ms=3", connections=200,
         stream=True, seconds=3),
    Case("half", "1 KB bodies, open loop at half of our saturated rate", PLAIN, half_load=True, seconds=2.5),
]

IDLE_CONNECTIONS = 1000
OPEN_STREAMS = 1000


@dataclass(frozen=True)
class Goal:
    """From the table of goals: kind is ratio or difference against a peer, or value alone. of: which of ours it is about."""

    text: str
    case: str
    figure: str
    kind: str
    peer: str
    limit: float
    unit: str = ""
    of: str = "bifrost"


# What a request costs is judged with all that it does: key check, four meters and its record.
LIMITS = "bifrost+limits"
GOALS = [
    Goal("CPU per request, 1 KB", "1k", "cpu_us", "ratio", "nginx", 1.0, of=LIMITS),
    Goal("CPU per request, 10 KB", "10k", "cpu_us", "ratio", "nginx", 1.0, of=LIMITS),
    Goal("CPU per request, 50 KB", "50k", "cpu_us", "ratio", "nginx", 1.1, of=LIMITS),
    Goal("CPU per request, 50 KB of tool schemas", "tools", "cpu_us", "ratio", "nginx", 1.1, of=LIMITS),
    Goal("CPU per stream of 100 events, 10 ms apart", "stream10", "cpu_us", "ratio", "nginx", 1.0),
    Goal("CPU per stream of 100 events, 3 ms apart", "stream3", "cpu_us", "ratio", "nginx", 1.0),
    Goal("added latency P50, half load", "half", "added_p50_us", "difference", "nginx", 15, "us"),
    Goal("added latency P99.9, half load", "half", "added_p999_us", "ratio", "nginx", 1.5),
    Goal("system calls per request, 64 connections", "syscalls64", "per_request", "value", "", 4.2, of=LIMITS),
    Goal("memory of an idle node", "idle_node", "pss_bytes", "value", "", 40e6, "bytes"),
    Goal("memory per idle connection", "idle_connections", "pss_bytes", "value", "", 2048, "bytes"),
    Goal("memory per open stream", "open_streams", "pss_bytes", "value", "", 16384, "bytes"),
]
