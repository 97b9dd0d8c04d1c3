"""The process that the user starts: it starts all others, restarts what dies, and ends the run.

It holds no data: a run loses nothing when it is killed. Whether a run is over is the collector's
decision or the user's; this module carries the end out, in order: producers leave first, the
collector last.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import logging
import signal
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from mesh.config import (
    Api,
    ApiKey,
    CollectorSettings,
    ExploreSettings,
    ModelSpec,
    ProducerSettings,
    RunTerms,
)
from mesh.core.routing import model_in_turn
from mesh.nodes.channel import Message, pack
from mesh.nodes.children import Child, ForkServer, ForkServerGone, KeptChild, Starter, start_fresh
from mesh.nodes.terminal import TerminalView, program_name, shown, summary_lines

logger = logging.getLogger(__name__)

RESTART_DELAY_FIRST_S = 0.25
RESTART_DELAY_MAX_S = 8.0
STEADY_S = 30.0
"""A child that lived this long starts again without the delay of its earlier deaths."""
PRODUCERS_LEAVE_S = 12.0
COLLECTOR_LEAVES_S = 10.0
STATUS_INTERRUPTED_TWICE = 130
FAILED_STARTS_MAX = 6
"""A child that dies so often in a row before it is ready, 8 s in all, will not mend by itself."""


@dataclass(slots=True)
class Supervisor:
    """One run on this machine."""

    settings: ExploreSettings
    run_id: bytes
    keys: Mapping[str, ApiKey]
    terminal: TerminalView
    started_ms: int = field(default_factory=lambda: time.time_ns() // 1_000_000)
    _fork_servers: dict[Api, ForkServer] = field(default_factory=dict)
    _collector: KeptChild | None = None
    _simulator: KeptChild | None = None
    _producers: list[KeptChild] = field(default_factory=list)
    _collector_place: Message = field(default_factory=dict)
    _simulator_url: str | None = None
    _simulator_ready: asyncio.Event = field(default_factory=asyncio.Event)
    _ending: asyncio.Event = field(default_factory=asyncio.Event)
    _collector_ready: asyncio.Event = field(default_factory=asyncio.Event)
    _stop_reason: str | None = None
    _status: int = 0
    _failure: str | None = None
    _last_metrics: Message = field(default_factory=dict)
    _interrupts: int = 0
    _killed: bool = False
    _producers_left: bool = False
    _page_kept: asyncio.Event = field(default_factory=asyncio.Event)
    _page_may_close: asyncio.Event = field(default_factory=asyncio.Event)

    async def run(self) -> int:
        """Explore until the run ends or the user ends it; return the exit status."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            loop.add_signal_handler(number, self._interrupted, number)
        # The SDKs' imports are the longest part of a start: they begin first.
        for api in dict.fromkeys(model.api for model in self.settings.models):
            self._fork_servers[api] = ForkServer(api)
            self._fork_servers[api].start()
        keeping = self._start_all()
        try:
            await self._ending.wait()
            await self._end(keeping)
        finally:
            for task in keeping.values():
                task.cancel()
            await asyncio.gather(*keeping.values(), return_exceptions=True)
            for server in self._fork_servers.values():
                server.kill() if self._killed else server.stop()
        return self._finish()

    # Starting and keeping

    def _start_all(self) -> dict[str, asyncio.Task[None]]:
        kept = []
        if self.settings.simulator is not None:
            self._simulator = KeptChild("simulator", self._start_simulator)
            kept.append(self._simulator)
        self._collector = KeptChild("collector", self._start_collector)
        kept.append(self._collector)
        for number in range(1, self.settings.peers + 1):
            producer = KeptChild(f"producer-{number}", self._producer_starter(number))
            self._producers.append(producer)
            kept.append(producer)
        keeping = {each.label: asyncio.create_task(self._keep(each)) for each in kept}
        for label, task in keeping.items():
            task.add_done_callback(functools.partial(self._kept_no_more, label))
        return keeping

    def _kept_no_more(self, label: str, task: asyncio.Task[None]) -> None:
        """Nobody starts a child again whose keeping has failed: that ends the run."""
        if not task.cancelled() and (error := task.exception()):
            logger.error("event=keeping_failed label=%s", label, exc_info=error)
            self._fail(f"cannot keep {label} running: {type(error).__name__}: {error}", 1)

    async def _start_simulator(self) -> Child:
        simulator = self.settings.simulator
        assert simulator is not None
        if self._simulator_url:
            # Producers know its address: it must come back there.
            simulator = replace(simulator, port=int(self._simulator_url.rsplit(":", 1)[1]))
        directory = self.settings.run_dir / "simulator"
        packed = {"simulator": pack(simulator), "directory": str(directory)}
        return await start_fresh("simulator", "simulator", packed)

    async def _start_collector(self) -> Child:
        settings = self.settings
        collector = CollectorSettings(
            directory=settings.run_dir / "nodes" / "collector",
            run_dir=settings.run_dir,
            run_id=self.run_id,
            topic=settings.topic,
            models=settings.models,
            output=settings.output,
            exclude=settings.exclude,
            target=settings.target,
            budget_usd=settings.budget_usd,
            time_limit_s=settings.time_limit_s,
            started_ms=self.started_ms,
            mesh=settings.mesh,
            terms=self._terms(),
            new_ticket=settings.new_ticket and not self._collector_ready.is_set(),
            ticket_expires_s=settings.ticket_expires_s,
            page_host=settings.page_host,
            port=settings.port,
            public_url=settings.public_url,
            headless=settings.headless,
            keep_page=settings.keep_page,
            program=program_name(sys.argv[0]),
            seed=settings.seed,
            verbosity=settings.verbosity,
        )
        return await start_fresh("collector", "collector", pack(collector))

    def _producer_starter(self, number: int) -> Starter:
        async def start() -> Child:
            if self.settings.simulator is not None:
                await self._simulator_ready.wait()
            models = tuple(self._with_address(model) for model in self.settings.models)
            first = model_in_turn([model.spec for model in models], number)
            producer = ProducerSettings(
                label=f"producer-{number}",
                directory=self.settings.run_dir / "nodes" / f"producer-{number}",
                run_id=self.run_id,
                topic=self.settings.topic,
                models=models,
                model=first,
                started_ms=self.started_ms,
                keys=dict(self.keys),
                mesh=self.settings.mesh,
                terms=self._terms(),
                seed=self.settings.seed + number,
                verbosity=self.settings.verbosity,
            )
            api = next(model.api for model in models if model.spec == first)
            child = await self._fork_servers[api].fork(producer.label, "producer", pack(producer))
            if self._collector_place:
                child.channel.send({"command": "collector", **self._collector_place})
            return child

        return start

    def _terms(self) -> RunTerms:
        settings = self.settings
        return RunTerms(
            run_id=self.run_id,
            topic=settings.topic,
            model_specs=tuple(model.spec for model in settings.models),
            simulator=settings.simulator,
            alone_limit_s=settings.mesh.alone_limit_s,
            seed=settings.seed,
            started_ms=self.started_ms,
        )

    def _with_address(self, model: ModelSpec) -> ModelSpec:
        if not model.simulated or self._simulator_url is None:
            return model
        suffix = "/v1" if model.api == "openai" else ""
        return replace(model, base_url=self._simulator_url + suffix)

    async def _keep(self, kept: KeptChild) -> None:
        """Run one child, again after each death, until it leaves or the run ends."""
        delay_s = RESTART_DELAY_FIRST_S
        while not kept.left and not self._killed:
            started_s = time.monotonic()
            kept.ready = kept.no_room = False
            with contextlib.suppress(ForkServerGone):
                kept.child = await kept.start()
                await self._attend(kept, kept.child)
            if kept.left or self._killed or self._is_not_needed(kept):
                return
            if time.monotonic() - started_s > STEADY_S:
                delay_s = RESTART_DELAY_FIRST_S
            # A full disk is waited for: there may be room again.
            kept.failed_starts = 0 if kept.ready or kept.no_room else kept.failed_starts + 1
            if kept.failed_starts >= FAILED_STARTS_MAX:
                why = kept.last_words or "it ends without a word"
                self._fail(f"{kept.label} does not start: {why}", 1)
                return
            self.terminal.say(f"{kept.label} died; starting it again")
            await asyncio.sleep(delay_s)
            delay_s = min(RESTART_DELAY_MAX_S, delay_s * 2)

    def _is_not_needed(self, kept: KeptChild) -> bool:
        # While the run ends, only the collector is worth another start: it takes the rest in.
        return self._ending.is_set() and (kept is not self._collector or bool(self._failure))

    async def _attend(self, kept: KeptChild, child: Child) -> None:
        """Listen to a child until it is gone."""
        try:
            if self._ending.is_set():
                self._tell_to_stop(kept)
            if self._producers_left and kept is self._collector:
                child.channel.send({"command": "leave"})
            while (message := await child.channel.receive()) is not None:
                self._heard(kept, message)
        except asyncio.CancelledError:
            child.kill()
            raise
        finally:
            child.reap()
            kept.child = None

    # What children say

    def _heard(self, kept: KeptChild, message: Message) -> None:
        event = message["event"]
        if event == "metrics":
            self._last_metrics = message["metrics"]
            self.terminal.update(self._last_metrics)
        elif event == "ready":
            self._ready(kept, message)
        elif event == "notice":
            self.terminal.say(message["text"])
        elif event == "draining":
            self._status = max(self._status, message["status"])
            self._begin_end(message["reason"])
        elif event == "left":
            kept.left = True
            kept.not_handed_over = message.get("not_handed_over", 0)
            kept.lost = message.get("lost", 0)
            if "metrics" in message:
                self._last_metrics = message["metrics"]
                self.terminal.update(self._last_metrics)
        elif event == "kept":
            self._last_metrics = message["metrics"]
            self._page_kept.set()
        elif event == "failed":
            self._fail(message["message"], message["status"])
        elif event == "crashed":
            kept.last_words, kept.no_room = message["message"], message["no_room"]
            self.terminal.say(f"{kept.label}: {kept.last_words}")

    def _ready(self, kept: KeptChild, message: Message) -> None:
        kept.ready = True
        if kept is self._simulator:
            self._simulator_url = message["url"]
            self._simulator_ready.set()
        elif kept is self._collector:
            self._collector_place = {
                name: message[name] for name in ("address", "curve_key", "ticket")
            }
            if message["moved_aside"]:
                self.terminal.say(
                    f"{self.settings.output} was not this run's: moved to {message['moved_aside']}"
                )
            if message["page_url"] and not self._collector_ready.is_set():
                self.terminal.show_page(message["page_url"])
            self._collector_ready.set()
            for producer in self._producers:
                if producer.child:
                    producer.child.channel.send({"command": "collector", **self._collector_place})

    def _fail(self, message: str, status: int) -> None:
        if self._failure is None:
            self._failure = message
            self._status = status
            self._begin_end(message)

    # Ending

    def _interrupted(self, number: int) -> None:
        self._interrupts += 1
        if self._page_kept.is_set():
            self._page_may_close.set()
        elif self._interrupts == 1:
            name = "Ctrl-C" if number == signal.SIGINT else signal.Signals(number).name
            self._begin_end(f"stopped by {name}")
        elif number == signal.SIGINT:
            # Only a person hurries: `timeout` sends SIGTERM twice at once, to the process and to
            # its group, and a terminal that closes sends SIGHUP from the shell and the kernel.
            self._kill_all()

    def _begin_end(self, reason: str) -> None:
        if self._ending.is_set():
            return
        self._stop_reason = reason
        self._ending.set()
        for kept in [self._collector, *self._producers]:
            if kept is not None:
                self._tell_to_stop(kept)

    def _tell_to_stop(self, kept: KeptChild) -> None:
        if kept.child is not None and kept is not self._simulator:
            kept.child.channel.send(
                {"command": "stop", "reason": self._stop_reason, "status": self._status}
            )

    async def _end(self, keeping: Mapping[str, asyncio.Task[None]]) -> None:
        """Producers leave, then the collector, then the simulator."""
        for producer in self._producers:
            if producer.child is None:
                keeping[producer.label].cancel()
        await self._gone([keeping[each.label] for each in self._producers], PRODUCERS_LEAVE_S)
        collector = keeping["collector"]
        self._producers_left = True
        if self._collector is not None:
            if self._collector.child:
                self._collector.child.channel.send({"command": "leave"})
            if self.settings.keep_page and not self.settings.headless:
                await self._show_kept_page(collector)
            await self._gone([collector], COLLECTOR_LEAVES_S)
            if not (self._collector.left or self._killed or self._failure):
                self._fail("the collector could not finish; the same command continues the run", 1)
        if self._simulator is not None and self._simulator.child:
            self._simulator.child.channel.send({"command": "stop"})
            await self._gone([keeping["simulator"]], 1.0)

    async def _gone(self, tasks: list[asyncio.Task[None]], wait_s: float) -> None:
        pending = [task for task in tasks if not task.done()]
        if pending:
            await asyncio.wait(pending, timeout=wait_s)

    async def _show_kept_page(self, collector: asyncio.Task[None]) -> None:
        """Let the collector serve its page until the user has seen enough."""
        if self._failure or self._killed:
            return
        shown = asyncio.create_task(self._page_kept.wait())
        await asyncio.wait({shown, collector}, return_when=asyncio.FIRST_COMPLETED)
        shown.cancel()
        self.terminal.finish(self._summary())
        self.terminal.say("the page stays open; Ctrl-C closes it")
        closing = asyncio.create_task(self._page_may_close.wait())
        await asyncio.wait({closing, collector}, return_when=asyncio.FIRST_COMPLETED)
        closing.cancel()
        if self._collector is not None and self._collector.child:
            self._collector.child.channel.send({"command": "leave"})

    def _kill_all(self) -> None:
        self._killed = True
        self._status = STATUS_INTERRUPTED_TWICE
        for kept in [self._collector, self._simulator, *self._producers]:
            if kept is not None and kept.child:
                kept.child.kill()
        self._collector_ready.set()
        self._page_may_close.set()

    def _finish(self) -> int:
        if not self._page_kept.is_set():
            self.terminal.finish([] if self._failure else self._summary())
        if self._failure:
            sys.stderr.write(f"error: {shown(self._failure)}\n")
        elif self._killed:
            self.terminal.say("ended at once; the same command continues the run")
        for kept in self._producers:
            if kept.not_handed_over:
                self.terminal.say(
                    f"{kept.label} could not hand over {kept.not_handed_over} log entries: they "
                    f"are in {self.settings.run_dir / 'nodes' / kept.label}; the same command "
                    "takes them in"
                )
            if kept.lost:
                self.terminal.say(f"{kept.label} could not write {kept.lost} log entries: lost")
        return self._status or int(
            any(kept.not_handed_over or kept.lost for kept in self._producers)
        )

    def _summary(self) -> list[str]:
        return summary_lines(self._last_metrics, output=self.settings.output)


def explore(
    settings: ExploreSettings,
    run_id: bytes,
    keys: Mapping[str, ApiKey],
    terminal: TerminalView,
) -> int:
    """Run one exploration on this machine; return the exit status."""
    return asyncio.run(Supervisor(settings, run_id, keys, terminal).run())
