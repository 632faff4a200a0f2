"""The rounds: fresh proxies and a fresh mock per round, every case for every proxy, the order reversed each time."""

import json
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

from . import cases, memory, processes, proxies, steps, syscalls
from .load import Load, Mock
from .processes import LOAD_CPU, PROXY_CPU, Failed, Machine

# Foreign CPU above which a run is disturbed.
FOREIGN_PROXY_CPU, FOREIGN_LOAD_CPU = 0.04, 0.06
SETTLE_S = 10
# Requests of the two runs whose difference is counted.
SHORT, LONG = 1000, 5000


@dataclass
class Programs:
    """mock, load, steps: paths of programs."""

    build: Path

    def __post_init__(self):
        self.mock = self.build / "tests/support/mockllm/mockllm"
        self.load = self.build / "tests/support/loadgen/loadgen"
        self.steps = self.build / "bench/count-steps"
        for program in (self.mock, self.load, self.steps):
            if not program.exists():
                raise Failed(f"no {program}; run ./dev bench")


@dataclass
class Results:
    """figures[case][proxy][figure] = {round: value}"""

    figures: dict = field(default_factory=dict)
    details: dict = field(default_factory=dict)
    notes: list = field(default_factory=list)

    def add(self, case, proxy, figure, round_number, value):
        self.figures.setdefault(case, {}).setdefault(proxy, {}).setdefault(figure, {})[round_number] = value

    def of(self, case, proxy, figure):
        return self.figures.get(case, {}).get(proxy, {}).get(figure, {})

    def note(self, text):
        self.notes.append(text)
        say(text)


def say(text):
    print(text, file=sys.stderr, flush=True)


def tools_body(model, size):
    """A request that is nearly all tool schemas."""

    def tool(i):
        return {"type": "function", "function": {
            "name": f"lookup_{i}", "description": "Looks up an order by its number and says where it is.", "strict": True,
            "parameters": {"type": "object", "additionalProperties": False, "properties": {
                "order_id": {"type": "string", "description": "number of the order"},
                "limit": {"type": "integer", "minimum": 1, "maximum": 100},
                "region": {"type": "string", "enum": ["eu", "us", "apac"]}}, "required": ["order_id", "limit", "region"]}}}

    body = {"model": model, "messages": [{"role": "user", "content": "Where is my order?"}], "tools": []}
    while len(json.dumps(body, separators=(",", ":"))) < size:
        body["tools"].append(tool(len(body["tools"])))
    return json.dumps(body, separators=(",", ":"))


class Runner:
    def __init__(self, programs, kinds, options):
        self.programs, self.kinds, self.options = programs, kinds, options
        self.results = Results()
        self.rate = None
        self.number = 0  # of the round under way
        self.folder = Path(tempfile.mkdtemp(prefix="bifrost-bench-"))
        self.live = []
        self.mock = None

    # ---- life

    def start(self, kinds):
        self.mock = Mock(self.programs.mock, self.folder)
        for kind in kinds:
            proxy = kind(self.folder / kind.name, self.mock.port)
            self.live.append(proxy)
            proxy.start()
        return {type(proxy): proxy for proxy in self.live}

    def stop(self):
        for proxy in self.live:
            proxy.stop()
        self.live = []
        if self.mock:
            self.mock.stop()
        self.mock = None

    def load_of(self, case, proxy, **changed):
        options = {"connections": case.connections, "duration": self.options.seconds or case.seconds,
                   "body_bytes": case.body_bytes, "stream": case.stream}
        if case.tools:
            options["body_file"] = self.folder / f"tools-{proxy.name}.json"
            options["body_file"].write_text(tools_body(proxy.model_prefix + case.model, case.body_bytes))
        if case.half_load:
            options |= {"rate": self.rate, "warmup": 0.5}
        return Load(case.model, **(options | changed))

    # ---- one run

    def settle(self, proxy):
        """Until it works no more: what it does after the answers belongs to the run before."""
        end, last = time.monotonic() + SETTLE_S, None
        while time.monotonic() < end:
            now = processes.cpu_ns(proxy.pids())
            if last is not None and now - last < 1_000_000:
                return
            last = now
            time.sleep(0.1)

    def side_ns(self):
        """Of everything else that is ours: the mock, the load generators that ended, this program."""
        return processes.cpu_ns([self.mock.process.pid]) + processes.own_cpu_ns()

    def once(self, case, proxy):
        """(figures of one run, the largest foreign share of what is allowed)"""
        hot, everything = proxy.hot_pids(), proxy.pids()
        self.settle(proxy)
        load = self.load_of(case, proxy)
        began = time.monotonic()
        busy, hot_ns, all_ns, side_ns = Machine.busy_ns(), processes.cpu_ns(hot), processes.cpu_ns(everything), self.side_ns()
        found = load.start(self.programs.load, proxy, self.folder).wait()
        wall = time.monotonic() - began
        ours = {PROXY_CPU: processes.cpu_ns(everything) - all_ns, LOAD_CPU: self.side_ns() - side_ns}
        after = Machine.busy_ns()
        foreign = [(after[cpu] - busy[cpu] - ns) / 1e9 / wall for cpu, ns in ours.items()]
        hot_ns = processes.cpu_ns(hot) - hot_ns
        # What it does after the last answer, as writing rows, is part of the price.
        self.settle(proxy)
        all_ns = processes.cpu_ns(everything) - all_ns
        figures = {"cpu_us": hot_ns / 1e3 / found.completed, "cpu_all_us": all_ns / 1e3 / found.completed,
                   "rate": found.completed / wall, "errors": found.errors,
                   **{f"{quantile}_us": us for quantile, us in found.latency_us.items()},
                   "foreign_proxy_cpu": foreign[0], "foreign_load_cpu": foreign[1], "rate_kept": int(found.rate_kept)}
        late = 0 if found.rate_kept else 2
        return figures, max(foreign[0] / FOREIGN_PROXY_CPU, foreign[1] / FOREIGN_LOAD_CPU, late)

    def measure(self, case, proxy, round_number):
        """Tries again while something else took CPU; keeps the least disturbed."""
        best = None
        for _ in range(self.options.tries):
            figures, disturbed = self.once(case, proxy)
            if best is None or disturbed < best[1]:
                best = figures, disturbed
            if disturbed <= 1:
                break
        best[0]["disturbed"] = int(best[1] > 1)
        for figure, value in best[0].items():
            self.results.add(case.name, proxy.name, figure, round_number, value)
        return best[0]

    # ---- rounds

    def warm(self, proxy):
        """Connections, caches and, for Node, compiled code."""
        if proxy.pids():
            Load(cases.PLAIN, 64, 2 if isinstance(proxy, proxies.Portkey) else 0.3,
                 1000).start(self.programs.load, proxy, self.folder).wait()

    def calibrate(self):
        """Half of what we can do at 1 KB, as a round number; the same for everyone."""
        live = self.start([proxies.Bifrost])
        try:
            proxy = live[proxies.Bifrost]
            self.warm(proxy)
            self.rate = max(int(self.once(cases.TIMED[0], proxy)[0]["rate"] / 2 / 500) * 500, 500)
        finally:
            self.stop()
        self.results.note(f"half load: {self.rate} requests/s")

    def takes_part(self, case, kind):
        if kind is proxies.Direct:
            return case.half_load
        if kind is proxies.Portkey:
            # It cannot take the rate of the others, and does not stream.
            return not case.half_load and not case.stream
        return True

    def round(self, number, wanted):
        kinds = [proxies.Direct, *self.kinds]
        live = self.start(kinds)
        order = kinds if number % 2 else kinds[::-1]
        try:
            for kind in order:
                self.warm(live[kind])
            for case in wanted:
                for kind in order:
                    if self.takes_part(case, kind):
                        self.measure(case, live[kind], number)
                if case.half_load:
                    self.add_latency(case, number)
        finally:
            self.stop()

    def add_latency(self, case, number):
        """What each proxy adds to the latency without one, in the same round."""
        for quantile in ("p50", "p99", "p999"):
            direct = self.results.of(case.name, "direct", f"{quantile}_us").get(number)
            for kind in self.kinds:
                through = self.results.of(case.name, kind.name, f"{quantile}_us").get(number)
                if direct is not None and through is not None:
                    self.results.add(case.name, kind.name, f"added_{quantile}_us", number, through - direct)

    def rounds(self):
        wanted = [c for c in cases.TIMED if not self.options.only or c.name in self.options.only]
        if any(c.half_load for c in wanted):
            self.calibrate()
        for number in range(1, self.options.rounds + 1):
            self.number, began = number, time.monotonic()
            self.round(number, wanted)
            say(f"round {number} of {self.options.rounds}: {time.monotonic() - began:.0f} s")

    # ---- runs of their own

    def alone(self, kinds, what):
        """what(proxy) for each of these proxies, started anew and alone."""
        for kind in kinds:
            try:
                what(self.start([kind])[kind])
            except Failed as failure:
                self.results.note(f"{kind.name}: {failure}")
            finally:
                self.stop()

    def memory(self):
        streaming = [k for k in self.kinds if k.streams]
        for number in range(1, self.options.memory_rounds + 1):
            for case, kinds, figure in (
                    ("idle_node", self.kinds, memory.idle_node),
                    ("idle_connections", self.kinds, memory.per_idle_connection),
                    ("open_streams", streaming, lambda p: memory.per_open_stream(p, self.programs.load, self.folder))):
                self.alone(kinds, lambda p, c=case, f=figure, n=number: self.results.add(c, p.name, "pss_bytes", n, f(p)))

    def bare(self):
        """Those whose work per request is counted: no Node, and content logging only copies more."""
        return [k for k in self.kinds if k is not proxies.Portkey and k is not proxies.BifrostContent]

    def count_syscalls(self):
        for connections in (64, 1):
            for number in range(1, self.options.memory_rounds + 1):
                self.alone(self.bare(), lambda p, c=connections, n=number: self.trace(c, p, n))

    def trace(self, connections, proxy, number):
        """The difference of a long and a short run: what connections cost at their start and end is in both."""
        self.warm(proxy)
        found = []
        for requests in (SHORT, LONG):
            counter = syscalls.Counter(proxy.hot_pids()[-1:], self.folder)
            done = Load(cases.PLAIN, connections, 60, 1000, requests=requests).start(
                self.programs.load, proxy, self.folder).wait().completed
            found.append((counter.stop(), done))
        (few, short), (many, long) = found
        counts = {call: many[call] - few.get(call, 0) for call in many}
        case = f"syscalls{connections}"
        self.results.add(case, proxy.name, "per_request", number, sum(counts.values()) / (long - short))
        self.results.details[f"{case} {proxy.name}"] = syscalls.per_request(counts, long - short)

    def count_steps(self):
        for size in (1000, 50_000):
            self.alone(self.bare(), lambda p, s=size: self.step(p, s))

    def step(self, proxy, size):
        text = "The gateway checks the key, reserves from the budget and relays the answer; nothing else is done. "
        body = json.dumps({"model": proxy.model_prefix + cases.PLAIN,
                           "messages": [{"role": "user", "content": (text * (size // len(text) + 1))[:size - 90]}]})
        total, functions = steps.measure(self.programs.steps, proxy, proxies.PATH, body)
        case = f"steps{size // 1000}k"
        self.results.add(case, proxy.name, "per_request", 1, total)
        self.results.details[f"{case} {proxy.name}"] = dict(list(functions.items())[:60])
