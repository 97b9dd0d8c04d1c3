"""How much of a provider's limit five producers use together, and how often they are refused.

Each provider allows 60 requests a minute, one refills every second (bucket), one all at once at the
end of each full minute (window), and tells so in headers: OpenAI's for the first, Anthropic's for
the second, and the other way round. Measured over three minutes in virtual time, with lines that
take unevenly long; then through the real SDKs, over HTTP to the offline server, with its minutes
passing faster. The producers do nothing but call: no prompts are built, no entries taken.

For comparison a provider that sends no headers but Retry-After, so that refusals are all there is
to learn from; and producers 30 ms apart (far), who hear of one another's calls that much later.

The share used is of what the provider would have given to a client that asked all the time: a
bucket's first filling and three minutes' refill; three whole windows.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import math
import random
import sys
import tempfile
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

from aiohttp import web

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from bench import virtual_loop
from bench.limited_producers import HEARD_AFTER_S, Attempts, LimitedModel, call_together
from bench.reporting import Report, parse_options
from mesh.config import Api, ModelSpec, SimulatorSettings
from mesh.llm.clients import open_client
from mesh.llm.interface import Prompt
from mesh.simulation.clock import SimulatedClock
from mesh.simulation.http_calls import SERVING
from mesh.simulation.models import LimitKind, load_models
from mesh.simulation.rate_limiting import ModelLimits
from mesh.simulation.server import build_app

PRODUCERS = 5
REQUESTS_PER_MINUTE = 60
MEASURED_MINUTES = 3
KINDS: tuple[LimitKind, ...] = ("bucket", "window")
APIS: tuple[Api, ...] = ("openai", "anthropic")
FAR_S = 0.03
TIME_SCALE = 6.0
MINUTE_S = 60.0
START_MARGIN_S = 1.0
"""A measurement of windows begins at one's start; a bucket's a little after the server's."""

_MODELS = """
[models.limited-{kind}-{api}]
api = "{api}"
knows = 0.9
taste = 1.0
suppress = 0.97
obey = 0.9
ttft_s = 0.6
tokens_per_s = 300
format = "plain"
requests_per_minute = {requests_per_minute}
limit_kind = "{kind}"
"""
_PROMPT = Prompt(
    instructions="Topic: Paris attractions\n\nWrite one entry a line.",
    known_chunks=(),
    known_fresh="",
    task="Write up to 10 further entries.",
)


def shares(
    attempts: Attempts,
    kind: LimitKind,
    start_s: float,
    minute_s: float,
    minutes: int,
    *,
    provider_began_s: float = 0.0,
) -> tuple[float, float]:
    """(used of what was to be had, refused of all attempts) over the measured minutes.

    Calls count by when they were made: one that is under way when a window ends may have been
    admitted by the next, so the first can be above 1.

    Args:
        start_s: when the producers began, on the clock of `attempts`.
        provider_began_s: when the provider's first minute began, on the same clock.
    """
    if kind == "bucket":
        from_s, allowed = start_s, (minutes + 1) * REQUESTS_PER_MINUTE
    else:
        windows = math.ceil((start_s - provider_began_s) / minute_s)
        from_s = provider_began_s + windows * minute_s
        allowed = minutes * REQUESTS_PER_MINUTE
    answered, refused = attempts.within(from_s, from_s + minutes * minute_s)
    return answered / allowed, refused / max(1, answered + refused)


def in_virtual_time(
    kind: LimitKind,
    api: Api,
    seed: str,
    *,
    tells: bool = True,
    heard_after_s: float = HEARD_AFTER_S,
) -> tuple[float, float, int]:
    """(used, refused, entries told), the last one a minute.

    Args:
        tells: False: the provider sends no headers but Retry-After.
        heard_after_s: how long what a producer says is on its way to the others.
    """
    chance = random.Random(f"{seed}/{kind}/{api}")
    model = replace(
        load_models()["atlas"], requests_per_minute=REQUESTS_PER_MINUTE, limit_kind=kind
    )
    provider = LimitedModel(api, ModelLimits.of(model), chance, tells=tells)
    start_s = chance.uniform(0.0, MINUTE_S)
    duration_s = (MEASURED_MINUTES + 1) * MINUTE_S + START_MARGIN_S

    async def run() -> Attempts:
        await asyncio.sleep(start_s)
        return await call_together(
            lambda _: provider,
            producers=PRODUCERS,
            until_s=start_s + duration_s,
            seed=seed,
            heard_after_s=heard_after_s,
        )

    attempts = virtual_loop.run(run())
    used, refused = shares(attempts, kind, start_s, MINUTE_S, MEASURED_MINUTES)
    return used, refused, round(attempts.told_count * MINUTE_S / duration_s)


async def over_http(
    kind: LimitKind, api: Api, seed: str, *, time_scale: float, minutes: int
) -> tuple[float, float]:
    """(used, refused), with the SDK of `api`."""
    loop, minute_s = asyncio.get_running_loop(), MINUTE_S / time_scale
    name = f"limited-{kind}-{api}"
    async with serving(time_scale) as (url, clock):
        base_url = f"{url}/v1" if api == "openai" else url
        model = ModelSpec(f"simulated:{name}", api, name, base_url, simulated=True)
        clients = [open_client(model, None) for _ in range(PRODUCERS)]
        try:
            # What an SDK does once, and its connection, are no part of a minute of ten seconds.
            await asyncio.gather(*(client.model_names() for client in clients))
            start_s = loop.time()
            attempts = await call_together(
                lambda number: clients[number - 1],
                producers=PRODUCERS,
                until_s=start_s + (minutes + 1) * minute_s,
                seed=seed,
                prompt=_PROMPT,
            )
        finally:
            for client in clients:
                await client.close()
    return shares(attempts, kind, start_s, minute_s, minutes, provider_began_s=clock.began_s)


async def both_over_http(
    seed: int, minutes: int
) -> list[tuple[tuple[LimitKind, Api], tuple[float, float]]]:
    """Both kinds at once, each with its own server and SDK: (used, refused) of each."""
    pairs = list(zip(KINDS, APIS, strict=True))
    runs = (
        over_http(kind, api, str(seed), time_scale=TIME_SCALE, minutes=minutes)
        for kind, api in pairs
    )
    return list(zip(pairs, await asyncio.gather(*runs), strict=True))


@contextlib.asynccontextmanager
async def serving(time_scale: float) -> AsyncIterator[tuple[str, SimulatedClock]]:
    """The offline server with the limited models, in this loop; yields its URL and its clock."""
    with tempfile.TemporaryDirectory() as directory:
        models = Path(directory) / "models.toml"
        models.write_text(
            "".join(
                _MODELS.format(kind=kind, api=api, requests_per_minute=REQUESTS_PER_MINUTE)
                for kind, api in itertools.product(KINDS, APIS)
            )
        )
        app = build_app(SimulatorSettings(models_file=models, time_scale=time_scale))
        runner = web.AppRunner(app, access_log=None, handler_cancellation=True)
        await runner.setup()
        try:
            await web.TCPSite(runner, "127.0.0.1", 0).start()
            yield f"http://127.0.0.1:{runner.addresses[0][1]}", app[SERVING].clock
        finally:
            await runner.cleanup()


def main() -> None:
    options = parse_options(__doc__ or "")
    rounds, http_minutes = (2, 1) if options.quick else (10, MEASURED_MINUTES)
    report = Report(
        "rate_limits",
        {
            "producers": PRODUCERS,
            "requests_per_minute": REQUESTS_PER_MINUTE,
            "measured_minutes": MEASURED_MINUTES,
            "rounds": rounds,
            "http_minutes": http_minutes,
            "http_time_scale": TIME_SCALE,
            "seed": options.seed,
        },
    )
    for kind, api in itertools.product(KINDS, APIS):
        for number in range(rounds):
            used, refused, told = in_virtual_time(kind, api, f"{options.seed}/{number}")
            report.add(f"{kind}_{api}_used_ratio", used, target=">= 0.9")
            report.add(f"{kind}_{api}_refused_ratio", refused, target="< 0.05")
            report.add(f"{kind}_{api}_told_a_minute_count", told)
    for kind, number in itertools.product(KINDS, range(rounds)):
        used, refused, _ = in_virtual_time(kind, "openai", f"{options.seed}/{number}", tells=False)
        report.add(f"{kind}_untold_used_ratio", used)
        report.add(f"{kind}_untold_refused_ratio", refused)
    for kind, number in itertools.product(KINDS, range(rounds)):
        seed = f"{options.seed}/{number}"
        used, refused, _ = in_virtual_time(kind, "openai", seed, heard_after_s=FAR_S)
        report.add(f"{kind}_far_used_ratio", used)
        report.add(f"{kind}_far_refused_ratio", refused)
    for (kind, api), (used, refused) in asyncio.run(both_over_http(options.seed, http_minutes)):
        report.add(f"http_{kind}_{api}_used_ratio", used, target=">= 0.9")
        report.add(f"http_{kind}_{api}_refused_ratio", refused, target="< 0.05")
    report.print(as_json=options.as_json)


if __name__ == "__main__":
    main()
