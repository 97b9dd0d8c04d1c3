"""Settings: what a run is told, as frozen values, one class for each component.

Built once at the entry (cli) and passed down; nothing below reads the environment. This module
holds values and their meaning, not the rules by which command line, files and keys become
settings (cli, llm.selection, storage.run_directory).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

Api = Literal["openai", "anthropic"]

DEFAULT_TOPIC = "Paris attractions"
DEFAULT_BUDGET_USD = 1.0
TICKET_EXPIRES_S = 7 * 24 * 3600.0
PEERS_MAX = 250
"""Producers on one machine at once."""
TARGET_MAX = 100_000_000
PORTS_A_NODE = 2
"""A feed and a service."""


@dataclass(frozen=True, slots=True)
class TokenPrices:
    """What a model costs by the user's own word: dollars per million tokens, each >= 0."""

    input: float
    output: float
    """Hidden reasoning included."""
    cached_input: float | None = None
    """Input that is read from the provider's cache; None: as other input."""
    cache_write: float | None = None
    """Input that is written to it; None: as other input."""


@dataclass(frozen=True, slots=True)
class ModelSpec:
    """One model that producers may call, as `--model SPEC` names it."""

    spec: str
    """What the user wrote, or its canonical form (`openai:gpt-4o-mini`, `simulated:atlas`,
    `llama@http://127.0.0.1:8000/v1`): the model's name everywhere (log, page, SQL)."""
    api: Api
    """Which wire format it speaks."""
    name: str
    """The name that its server knows it by."""
    base_url: str | None = None
    """Server to ask, None for the SDK's own default (which honours OPENAI_BASE_URL and
    ANTHROPIC_BASE_URL). For simulated models the supervisor fills it in."""
    key_variable: str | None = None
    """Name of the environment variable that holds its key; None: no key is sent."""
    simulated: bool = False
    price_of: str | None = None
    """Simulated models: the real model whose price is charged; "" means unknown."""
    prices: TokenPrices | None = None
    """The user's own, before any price list's; None: whatever the list says."""


@dataclass(frozen=True, slots=True)
class ApiKey:
    """A provider's key. Never shown: not by repr, log, prompt or process list."""

    value: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class SimulatorSettings:
    """The offline LLM server."""

    host: str = "127.0.0.1"
    port: int = 0
    """0: any free one."""
    topic: str | None = None
    """Serve this topic's catalog; None: the catalog is picked by each prompt's text."""
    catalog_files: tuple[Path, ...] = ()
    """Text files with catalogs of the user's own (`--catalog FILE`)."""
    models_file: Path | None = None
    """Behaviour of the models (`--models FILE`); None: the copy inside the package."""
    time_scale: float = 1.0
    """Simulated seconds for each real one, > 0; 10 answers ten times as fast."""
    seed: int = 0


@dataclass(frozen=True, slots=True)
class MeshSettings:
    """Where nodes of this machine are found, and by whom."""

    host: str = "127.0.0.1"
    """Address that feeds and services bind; 0.0.0.0 and :: mean all of this machine's."""
    advertise_host: str | None = None
    """Name or address under which other machines reach this one; None: `host`."""
    ports: tuple[int, int] | None = None
    """First and last port to use, two for each node, for firewalls; None: any free ones."""
    encrypted: bool = False
    """CURVE on every socket and a signature on every frame. Off only where all of the run is on
    one machine, or where the user wants it so (`--insecure`)."""
    alone_limit_s: float = 600.0
    """How long producers go on without hearing the collector; longer risks more that it cannot
    check against target and budget."""


@dataclass(frozen=True, slots=True)
class RunTerms:
    """What a producer's machine is told when it joins, but for secrets."""

    run_id: bytes
    topic: str
    model_specs: tuple[str, ...]
    """As the run names them. The producer's machine looks them up by its own rules: a run must
    not say where another machine sends its keys."""
    simulator: SimulatorSettings | None
    """Topic, speed and seed of the simulated models, which each machine runs for itself."""
    alone_limit_s: float
    seed: int
    started_ms: int
    has_budget: bool = False
    """Producers make no call that they were not granted."""
    prices: dict[str, TokenPrices] = field(default_factory=dict)
    """The user's own, by the spec of a model: all machines count a call's cost alike."""


@dataclass(frozen=True, slots=True)
class ExploreSettings:
    """`run_mesh.py [TOPIC]`: everything about one exploration on this machine."""

    topic: str
    run_dir: Path
    output: Path
    models: tuple[ModelSpec, ...]
    """At least one; producers take them in turn."""
    askable: tuple[ModelSpec, ...] | None = None
    """Those of them that producers of this machine can ask; None: all. A machine that starts as a
    collector alone may lack their keys."""
    peers: int = 5
    """Producers on this machine, 0..250. Each more costs a process of 70 to 95 MB, 30 of them not
    shared, and 2 descriptors in every other node."""
    target: int | None = None
    """Stop at this many accepted entries over the whole run."""
    budget_usd: float | None = None
    """The whole run never costs more; None: no cap."""
    max_cost_per_item_usd: float | None = None
    """Stop when one more new entry is expected to cost more than this."""
    time_limit_s: float | None = None
    """Stop this long after this start."""
    exclude: Path | None = None
    names: bool = True
    """Know an entry by other names too: some 0.5 ms for each new one, and 0.1 ms when a run is
    continued. False: one entry is what has one key, for lists of hundreds of thousands."""
    judge: bool = True
    """Have models say whether names in doubt are one; each costs some 60 tokens."""
    semantic: bool = False
    """Compare names by what they mean, too: needs the extra `semantic`."""
    embedder: str | None = None
    """The model for that: a path or a SPEC of this machine or network; None: the packaged one."""
    concurrency: int = 1
    """Calls of each producer at once, 1..64. More find more in a minute and know less of one
    another; providers' limits hold for all together."""
    mesh: MeshSettings = MeshSettings()
    open_to_others: bool = False
    """Print the join ticket: producers of other machines are wanted."""
    new_ticket: bool = False
    """Revoke all join tickets of earlier starts."""
    ticket_expires_s: float = TICKET_EXPIRES_S
    page_host: str = "127.0.0.1"
    port: int = 8080
    """The page's port; 0: any free one."""
    public_url: str | None = None
    headless: bool = False
    keep_page: bool = False
    new: bool = False
    seed: int = 0
    verbosity: int = 0
    simulator: SimulatorSettings | None = None
    """Set when a model is simulated."""

    @property
    def simulated(self) -> bool:
        return all(model.simulated for model in self.models)


@dataclass(frozen=True, slots=True)
class Tactics:
    """How producers explore. Users have no say in it: benches take the parts away one by one."""

    listing: Literal["none", "whole", "facet", "measured"] = "measured"
    """Which known entries a prompt carries; `measured`: the whole list or the facet's, whichever
    has brought more for its cost lately."""
    sealed_chunks: bool = True
    """Lay the list out so that provider's caches match; False: newest first."""
    facets: bool = True
    ask_count: int | None = None
    """Entries to ask for in one call; None: it adapts."""
    cutting: bool = True
    """End an answer that has turned into repeats."""
    staggered: bool = True
    """Producers do not start in lockstep."""
    structured: bool = True
    """Ask for JSON by a strict schema where that has brought more."""


@dataclass(frozen=True, slots=True)
class ProducerSettings:
    """One producer process. Reaches it over its control channel, never over its arguments."""

    label: str
    """For people and for its directory: "producer-1"."""
    directory: Path
    """Its own: identity, lock, log."""
    run_id: bytes
    topic: str
    models: tuple[ModelSpec, ...]
    """All models of the run: it may be given another one while running."""
    model: str
    """Spec of the one to start with."""
    started_ms: int
    """When this start of the run began, ms since 1970: control said before is history."""
    keys: dict[str, ApiKey]
    """Key of each key variable that a model names."""
    mesh: MeshSettings = MeshSettings()
    ticket: str | None = field(default=None, repr=False)
    """What lets it join a run that is encrypted."""
    terms: RunTerms | None = None
    """Passed on to machines that join through this producer."""
    seed: int = 0
    concurrency: int = 1
    """Calls at once, 1..64."""
    tactics: Tactics = Tactics()
    verbosity: int = 0


@dataclass(frozen=True, slots=True)
class CollectorSettings:
    """The collector process."""

    directory: Path
    """Its own: identity and lock."""
    run_dir: Path
    run_id: bytes
    topic: str
    models: tuple[ModelSpec, ...]
    output: Path
    exclude: Path | None = None
    names: bool = True
    """Know an entry by other names too: some 0.5 ms for each new one, and 0.1 ms when a run is
    continued. False: one entry is what has one key, for lists of hundreds of thousands."""
    judge: bool = True
    """Have models say whether names in doubt are one; each costs some 60 tokens."""
    semantic: bool = False
    """Compare names by what they mean, too: needs the extra `semantic`."""
    embedder: str | None = None
    """The model for that: a path or a SPEC of this machine or network; None: the packaged one."""
    target: int | None = None
    budget_usd: float | None = None
    max_cost_per_item_usd: float | None = None
    time_limit_s: float | None = None
    started_ms: int = 0
    """When this start of the run began, ms since 1970; a restarted collector keeps it."""
    mesh: MeshSettings = MeshSettings()
    terms: RunTerms | None = None
    """What other machines are told when they join."""
    new_ticket: bool = False
    """Revoke the join tickets that were issued before, and issue another."""
    ticket_expires_s: float = TICKET_EXPIRES_S
    """How long a newly issued ticket lets producers in; a longer one can be misused for longer."""
    page_host: str = "127.0.0.1"
    port: int = 8080
    public_url: str | None = None
    headless: bool = False
    keep_page: bool = False
    program: str = "topicmesh"
    """How the user calls this program, for the commands that the page names."""
    seed: int = 0
    verbosity: int = 0

    @property
    def simulated(self) -> bool:
        return all(model.simulated for model in self.models)
