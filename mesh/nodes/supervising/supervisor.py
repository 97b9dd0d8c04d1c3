"""The process that the user starts: it starts all others, restarts what dies, and ends the run.

It holds no data: a run loses nothing when it is killed. Whether a run is over is the collector's
decision or the user's; this module carries the end out, in order: producers leave first, the
collector last. With no producers of its own it runs a collector for those of other machines.
"""

from __future__ import annotations

import asyncio
import contextlib
import sys
import time
from collections.abc import Mapping

from mesh.config import ApiKey, CollectorSettings, ExploreSettings, RunTerms
from mesh.nodes.channel import Message, pack
from mesh.nodes.run_lines import summary_lines
from mesh.nodes.run_remarks import activity_remark
from mesh.nodes.supervising.children import Child, start_fresh
from mesh.nodes.supervising.crew import PRODUCERS_LEAVE_S, Crew, CrewSettings
from mesh.nodes.supervising.keeping import Keeper, KeptChild
from mesh.nodes.supervising.ticket_file import TICKET_FILE, invitation, write_ticket
from mesh.nodes.terminal import TerminalView, program_name, shown

COLLECTOR_LEAVES_S = 10.0
OTHERS_LEAVE_S = PRODUCERS_LEAVE_S
"""Producers of other machines hand over as long as those of this one may."""


class Supervisor:
    """One run on this machine."""

    def __init__(
        self,
        settings: ExploreSettings,
        run_id: bytes,
        keys: Mapping[str, ApiKey],
        terminal: TerminalView,
    ) -> None:
        self._settings = settings
        self._run_id = run_id
        self._terminal = terminal
        self._started_ms = time.time_ns() // 1_000_000
        self._budget_was_set = False
        """While the run goes on: it may have begun without one."""
        self._keeper = Keeper(terminal, self._heard)
        self._crew = Crew(self._crew_settings(keys), self._keeper)
        self._collector = KeptChild(
            "collector", self._start_collector, greet=self._greet, needed_at_end=True
        )
        self._collector_was_ready = False
        self._producers_left = False
        self._last_metrics: Message = {}
        self._metrics_heard = asyncio.Event()
        self._others_seen = settings.open_to_others
        """Producers of other machines take part, or may."""
        self._producers_here = 0
        """When metrics were last heard."""
        self._page_kept = asyncio.Event()
        self._page_may_close = asyncio.Event()

    async def run(self) -> int:
        """Explore until the run ends or the user ends it; return the exit status."""
        keeper = self._keeper
        keeper.watch_signals(self._interrupted)
        self._crew.start_importing()
        keeper.keep(self._collector)
        self._crew.start()
        try:
            await keeper.ending.wait()
            await self._end()
        finally:
            await keeper.close()
            self._crew.end_fork_servers()
        return self._finish()

    def _crew_settings(self, keys: Mapping[str, ApiKey]) -> CrewSettings:
        settings = self._settings
        return CrewSettings(
            run_dir=settings.run_dir,
            terms=self._terms(),
            models=settings.models if settings.askable is None else settings.askable,
            keys=keys,
            mesh=settings.mesh,
            simulator=settings.simulator,
            count=settings.peers,
            concurrency=settings.concurrency,
            verbosity=settings.verbosity,
        )

    def _terms(self) -> RunTerms:
        settings = self._settings
        return RunTerms(
            run_id=self._run_id,
            topic=settings.topic,
            model_specs=tuple(model.spec for model in settings.models),
            simulator=settings.simulator,
            alone_limit_s=settings.mesh.alone_limit_s,
            seed=settings.seed,
            started_ms=self._started_ms,
            has_budget=settings.budget_usd is not None or self._budget_was_set,
            prices={model.spec: model.prices for model in settings.models if model.prices},
        )

    async def _start_collector(self) -> Child:
        settings = self._settings
        collector = CollectorSettings(
            directory=settings.run_dir / "nodes" / "collector",
            run_dir=settings.run_dir,
            run_id=self._run_id,
            topic=settings.topic,
            models=settings.models,
            output=settings.output,
            exclude=settings.exclude,
            names=settings.names,
            judge=settings.judge,
            semantic=settings.semantic,
            embedder=settings.embedder,
            target=settings.target,
            budget_usd=settings.budget_usd,
            max_cost_per_item_usd=settings.max_cost_per_item_usd,
            time_limit_s=settings.time_limit_s,
            started_ms=self._started_ms,
            mesh=settings.mesh,
            terms=self._terms(),
            # One that starts again keeps the ticket that has been shown.
            new_ticket=settings.new_ticket and not self._collector_was_ready,
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

    def _greet(self, collector: Child) -> None:
        """One that was restored from an old copy knows nobody: it is told who runs."""
        self._crew.name_peers(collector)
        if self._producers_left:
            collector.channel.send({"command": "leave"})

    # What children say

    def _heard(self, kept: KeptChild, message: Message) -> None:
        if kept is not self._collector:
            self._crew.heard(kept, message)
            self._explain_activity(kept, message)
            if message["event"] == "given_up":
                notice = {"about": kept.label, "text": message["text"]}
                self._collector.tell({"command": "notice", **notice})
            return
        event = message["event"]
        if "metrics" in message:
            self._last_metrics = message["metrics"]
            self._look_for_others()
            self._metrics_heard.set()
            self._terminal.update(self._last_metrics)
        if event == "ready":
            self._collector_ready(message)
        elif event == "ticket":
            self._keep_ticket(message["ticket"])
        elif event == "draining":
            self._keeper.status = max(self._keeper.status, message["status"])
            self._keeper.begin_end(message["reason"])
        elif event == "kept":
            self._page_kept.set()
        elif event == "add_producer":
            reason = self._crew.add(message["model"], message["given_up"])
            answer = {"number": message["number"], "reason": reason}
            self._collector.tell({"command": "answer", **answer})
        elif event == "has_budget":
            self._budget_was_set = True
            self._crew.budget_was_set()

    def _look_for_others(self) -> None:
        # One that has just left here may still be counted as alive.
        before, self._producers_here = self._producers_here, self._crew.present_count
        self._others_seen |= self._peers_alive() > max(before, self._producers_here)

    def _explain_activity(self, kept: KeptChild, message: Message) -> None:
        if message["event"] == "status":
            remark = activity_remark(kept.label, message["state"])
            if remark:
                self._terminal.explain(remark.text, remark.once_as)

    def _collector_ready(self, message: Message) -> None:
        if message["moved_aside"]:
            self._terminal.say(
                f"{self._settings.output} was not this run's: moved to {message['moved_aside']}"
            )
        self._keep_ticket(message["ticket"])
        if not self._collector_was_ready:
            self._collector_was_ready = True
            if message["page_url"]:
                self._terminal.show_page(message["page_url"], message["page_url_elsewhere"])
            if self._settings.open_to_others:
                path = self._settings.run_dir / TICKET_FILE
                for line in invitation(message["ticket"], path, program_name(sys.argv[0])):
                    self._terminal.say(line)
        place = {name: message[name] for name in ("address", "curve_key", "ticket")}
        self._crew.collector_is_at(place)

    def _keep_ticket(self, ticket: str) -> None:
        try:
            write_ticket(self._settings.run_dir / TICKET_FILE, ticket)
        except OSError as error:
            self._terminal.say(f"cannot keep the join ticket in a file: {error}")

    # Ending

    def _interrupted(self, number: int) -> None:
        if self._page_kept.is_set():
            self._page_may_close.set()
            return
        self._keeper.interrupted(number)
        if self._keeper.killed:
            self._page_may_close.set()
            self._metrics_heard.set()

    async def _end(self) -> None:
        """Producers leave, then the collector, then the simulator."""
        keeper = self._keeper
        await self._crew.leave()
        await self._others_left()
        self._producers_left = True
        self._collector.tell({"command": "leave"})
        if self._settings.keep_page and not self._settings.headless:
            await self._show_kept_page()
        await keeper.gone([self._collector], COLLECTOR_LEAVES_S)
        if not (self._collector.left or keeper.killed or keeper.failure):
            keeper.fail("the collector could not finish; the same command continues the run", 1)
        await self._crew.close()

    async def _others_left(self) -> None:
        """Let producers of other machines hand over: they heard of the end from the collector."""
        if not self._others_seen:
            return
        # One that was killed here counts as alive for a while, and nobody waits for it.
        dead = sum(not producer.left for producer in self._crew.producers)
        is_said = False
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(OTHERS_LEAVE_S):
                while not (self._keeper.failure or self._keeper.killed):
                    self._metrics_heard.clear()
                    await self._keeper.gone_or(self._collector, self._metrics_heard)
                    waited_for = self._peers_alive() - dead
                    if waited_for <= 0 or not self._metrics_heard.is_set():
                        return
                    if not is_said:
                        is_said = True
                        self._terminal.say(f"{waited_for} producers elsewhere hand over")

    def _peers_alive(self) -> int:
        return int(self._last_metrics.get("mesh", {}).get("peers_alive", 0))

    async def _show_kept_page(self) -> None:
        """Let the collector serve its page until the user has seen enough."""
        if self._keeper.failure or self._keeper.killed:
            return
        await self._keeper.gone_or(self._collector, self._page_kept)
        self._terminal.finish(self._summary())
        self._terminal.say("the page stays open; Ctrl-C closes it")
        await self._keeper.gone_or(self._collector, self._page_may_close)
        self._collector.tell({"command": "leave"})

    def _finish(self) -> int:
        keeper = self._keeper
        if not self._page_kept.is_set():
            self._terminal.finish([] if keeper.failure else self._summary())
        if keeper.failure:
            sys.stderr.write(f"error: {shown(keeper.failure)}\n")
        elif keeper.killed:
            self._terminal.say("ended at once; the same command continues the run")
        losses = self._crew.losses("the same command takes them in")
        for line in losses:
            self._terminal.say(line)
        return keeper.status or int(bool(losses))

    def _summary(self) -> list[str]:
        return summary_lines(self._last_metrics, output=self._settings.output)


def explore(
    settings: ExploreSettings,
    run_id: bytes,
    keys: Mapping[str, ApiKey],
    terminal: TerminalView,
) -> int:
    """Run one exploration on this machine; return the exit status."""
    return asyncio.run(Supervisor(settings, run_id, keys, terminal).run())
