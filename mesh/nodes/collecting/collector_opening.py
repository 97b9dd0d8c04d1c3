"""How a collector process begins and ends: directory, database, output and sockets, in order.

What it does in between is collector.py's.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import json
import random
import time
from collections.abc import Sequence

from mesh.config import CollectorSettings
from mesh.core.items import LogId, NodeId
from mesh.core.membership import Role
from mesh.core.seqset import SeqSet
from mesh.llm.embedders import EmbedderUnavailable
from mesh.nodes.channel import Channel, ChildFailed, pack
from mesh.nodes.collecting.collector import EMBEDDING, NODES_DIRECTORY, STORAGE, Collector
from mesh.nodes.collecting.facts import restored_metrics
from mesh.nodes.collecting.intake import Intake
from mesh.nodes.collecting.meanings import Meanings
from mesh.nodes.collecting.verdicts import VerdictDesk
from mesh.nodes.peer.identity import (
    members_from_json,
    node_keys,
    open_transport,
    own_member,
)
from mesh.nodes.peer.mesh_node import MeshNode
from mesh.nodes.peer.shelf import CollectorShelf, KeptFrames
from mesh.storage.database import RunDatabase, UnusableDatabase
from mesh.storage.node_directory import DamagedIdentity, NodeDirectory
from mesh.storage.output_file import OutputFile, UnwritableOutput
from mesh.storage.run_directory import DATABASE_FILE
from mesh.transport.zmq_transport import AddressInUse


async def run_collector(settings: CollectorSettings, channel: Channel) -> int:
    """Open directory, database, output and sockets; run; close in order.

    Raises:
        ChildFailed: something only the user can mend.
    """
    path = settings.run_dir / DATABASE_FILE
    try:
        directory = NodeDirectory.open(settings.directory)
        database = RunDatabase.open(path)
        committed = RunDatabase.open_read_only(path)
        output = OutputFile.open(settings.output, database.accepted_texts())
    except (DamagedIdentity, UnusableDatabase, UnwritableOutput) as error:
        raise ChildFailed(str(error)) from error
    try:
        return await _run_opened(settings, channel, directory, database, committed, output)
    finally:
        output.close()
        committed.close()
        database.close()
        directory.close()


async def _run_opened(
    settings: CollectorSettings,
    channel: Channel,
    directory: NodeDirectory,
    database: RunDatabase,
    committed: RunDatabase,
    output: OutputFile,
) -> int:
    own_epochs = database.own_epochs()
    directory.last_epoch = max([directory.last_epoch, *(epoch for epoch, _ in own_epochs)])
    epoch = directory.open_epoch(time.time_ns() // 1_000_000)
    try:
        keys = node_keys(directory, settings.mesh)
    except DamagedIdentity as error:
        raise ChildFailed(str(error)) from error
    with contextlib.ExitStack() as closing:
        kept = KeptFrames.open(directory.path)
        closing.callback(kept.close)
        try:
            transport = open_transport(directory, settings.mesh, keys)
        except AddressInUse as error:
            raise ChildFailed(str(error)) from error
        closing.callback(transport.close, 1.0)
        collector = Collector(settings, directory, database, output, channel)
        nodes_directory = settings.run_dir / NODES_DIRECTORY
        collector.node = MeshNode(
            own=own_member(
                directory,
                transport,
                run_id=settings.run_id,
                keys=keys,
                label="collector",
                role=Role.COLLECTOR,
                epoch=epoch,
                earlier_logs=own_epochs,
            ),
            run_id=settings.run_id,
            owner=collector,
            shelf=CollectorShelf(directory.origin, committed, nodes_directory, kept=kept),
            random=random.Random(f"{settings.seed}/collector/{epoch}"),
            clock=asyncio.get_running_loop(),
            signing=keys.signing if keys else None,
            terms=json.dumps(pack(settings.terms)).encode() if settings.terms else b"",
        )
        _restore(collector, own_epochs)
        closing.callback(collector.intake.close)
        collector.node.attach(transport)
        transport.start(collector.node)
        collector.node.dial_members(members_from_json(directory.members))
        for origin in json.loads(database.meta().get("revoked", "[]")):
            collector.node.revoke(NodeId(bytes.fromhex(origin)))
        return await collector.run()


def _restore(collector: Collector, own_epochs: Sequence[tuple[int, int]]) -> None:
    """Take up where run.sqlite left off: counters, vector, known keys."""
    database, node = collector.database, collector.node
    collector.ledger.restore(database.accepted_keys(), database.beside_keys())
    collector.metrics = restored_metrics(database, collector.run_time_s())
    collector.granting.restore(database)
    taken_in = database.taken_in()
    for log_id, seqs in taken_in.items():
        node.replica.restore(log_id, SeqSet.of_ranges(seqs.ranges()))
    now_s = asyncio.get_running_loop().time()
    for lost in collector.lost:
        lost_log = LogId(NodeId(lost.origin), lost.epoch)
        node.replica.declare_lost(lost_log, lost.first_seq, lost.last_seq, now_s)
    for epoch, last_seq in own_epochs:
        node.replica.offer(LogId(node.own.origin, epoch), 1, last_seq, now_s)
    collector.desk = VerdictDesk(
        node=node,
        ledger=collector.ledger,
        metrics=collector.metrics,
        taken_in=taken_in,
        run_time_s=collector.run_time_s,
        call_finished=collector.call_finished,
        treasury=collector.granting.treasury,
        plan=database.plan(),
        has_judge=collector.settings.judge,
    )
    collector.desk.restore_waiting(database)
    collector.intake = Intake(
        desk=collector.desk,
        database=database,
        output=collector._output,  # noqa: SLF001 built together
        storage_trouble=functools.partial(collector.show_trouble, STORAGE),
        meanings=_meanings(collector),
    )


def _meanings(collector: Collector) -> Meanings | None:
    """The embedding model, where the user wants one.

    Raises:
        ChildFailed: it cannot be used.
    """
    settings = collector.settings
    if not (settings.semantic and settings.names):
        return None
    try:
        return Meanings.open(
            settings.embedder,
            settings.run_dir,
            functools.partial(collector.show_trouble, EMBEDDING),
        )
    except EmbedderUnavailable as error:
        raise ChildFailed(str(error), status=2) from error
