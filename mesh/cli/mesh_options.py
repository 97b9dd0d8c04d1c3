"""Options about the network between machines, and about who may join over it."""

from __future__ import annotations

import argparse

from mesh.cli import option_values as values
from mesh.cli.option_parser import OptionGroup


def add_network(group: OptionGroup) -> None:
    """Where nodes of this machine are found, and how they speak."""
    group.add_argument(
        "--host",
        type=values.mesh_host,
        metavar="H",
        help="address of this machine for the mesh, 0.0.0.0 or :: for all. Default: 127.0.0.1, "
        "where no other machine reaches it; for producer --join the one that leads to the run",
    )
    group.add_argument(
        "--advertise-host",
        type=values.advertise_host,
        metavar="H",
        help="name or address under which other machines reach this one; default: --host",
    )
    group.add_argument(
        "--mesh-ports",
        type=values.mesh_ports,
        metavar="A-B",
        help="ports for the mesh, for firewalls: two for each node; default: any free ones",
    )
    group.add_argument(
        "--alone-limit",
        dest="alone_limit_s",
        type=values.alone_limit_s,
        metavar="SECONDS",
        help="how long producers go on without hearing the collector; default 600",
    )
    group.add_argument(
        "--insecure",
        action=argparse.BooleanOptionalAction,
        help="no encryption on the network: everyone on it can read, forge and join",
    )


def add_ticket(group: OptionGroup) -> None:
    """How long whoever holds a ticket may join."""
    group.add_argument(
        "--new-ticket",
        action=argparse.BooleanOptionalAction,
        help="revoke all join tickets of earlier starts",
    )
    group.add_argument(
        "--ticket-expires",
        dest="ticket_expires_h",
        type=values.ticket_expires_h,
        metavar="HOURS",
        help="how long a new join ticket is good for; default 168, a week",
    )
