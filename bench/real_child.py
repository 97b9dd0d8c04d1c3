"""What the processes of a run under bench are: those of the product, and two kinds of its own.

A producer that differs from the product's in tactics alone is the product's. One that is told the
plain prompt, or tells what it found when a call ends, is the same node with that one step changed.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from bench.real_simulator import run_recording_simulator
from bench.virtual_mesh import Telling
from bench.virtual_modes import MODES, Mode, PlainPromptClient
from mesh.config import ApiKey, ModelSpec, ProducerSettings, SimulatorSettings
from mesh.core import entries as log
from mesh.core.entries import LogEntry
from mesh.llm.interface import LLMClient
from mesh.nodes import child
from mesh.nodes.channel import Channel, Message, pack, unpack
from mesh.nodes.peer.mesh_node import SaidFrame
from mesh.nodes.producing.producer import Producer
from mesh.nodes.producing.producer_opening import run_producer
from mesh.storage.node_directory import NodeDirectory
from mesh.storage.node_log import NodeLog

RECORDING_SIMULATOR = "recording simulator"
MODE_PRODUCER = "producer of a mode"


class ModeProducer(Producer):
    """The real producer, but for whom it asks and when it tells by its mode."""

    def __init__(
        self,
        settings: ProducerSettings,
        directory: NodeDirectory,
        own_log: NodeLog,
        channel: Channel,
        *,
        mode: Mode,
    ) -> None:
        super().__init__(settings, directory, own_log, channel)
        self._mode = mode
        self._untold: list[SaidFrame] = []

    def publish(self, said: SaidFrame, entries: Sequence[LogEntry]) -> None:
        """Told by call, nothing is told before a call has finished: heartbeats do not announce
        it, and so nobody asks for it."""
        self._untold.append(said)
        by_line = self._mode.telling is not Telling.BY_CALL
        if by_line or any(isinstance(entry, log.CallFinished) for entry in entries):
            self.node.tell(self._untold)
            self._untold = []

    def open_client(self, model: ModelSpec, key: ApiKey | None) -> LLMClient:
        client = super().open_client(model, key)
        if not self._mode.plain:
            return client
        return PlainPromptClient(client, self.settings.topic, self.outlook.known)


def simulator_start(settings: SimulatorSettings, directory: Path) -> Message:
    """The first message to a child that is to be the simulator."""
    packed = {"simulator": pack(settings), "directory": str(directory)}
    return {"kind": RECORDING_SIMULATOR, "settings": packed}


def producer_start(mode: str, settings: ProducerSettings) -> Message:
    """The first message to a child that is to be a producer; its tactics are the mode's."""
    if not MODES[mode].plain and MODES[mode].telling is Telling.BY_LINE:
        return {"kind": "producer", "settings": pack(settings)}
    return {"kind": MODE_PRODUCER, "settings": {"mode": mode, "producer": pack(settings)}}


async def run_kind(kind: str, settings: Any, channel: Channel) -> int:
    """See mesh.nodes.child.RunKind."""
    if kind == RECORDING_SIMULATOR:
        child.log_to(Path(settings["directory"]), 0)
        simulator = unpack(settings["simulator"], SimulatorSettings)
        return await run_recording_simulator(simulator, channel)
    if kind == MODE_PRODUCER:
        producer = unpack(settings["producer"], ProducerSettings)
        child.log_to(producer.directory, producer.verbosity)
        make = partial(ModeProducer, mode=MODES[settings["mode"]])
        return await run_producer(producer, channel, make)
    return await child.run_kind(kind, settings, channel)
