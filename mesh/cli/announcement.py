"""What is said before the first call: what will be done, with which models, at what cost.

Pure: values in, lines out. All prices and directories have been looked up.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from mesh.config import ExploreSettings, ModelSpec
from mesh.core.stopping import dollars
from mesh.llm.endpoints import base_url_of, is_official, is_private_host, server_name
from mesh.nodes.supervising.crew import CrewSettings
from mesh.nodes.supervising.own_address import is_loopback

MODELS_SHOWN_MAX = 20
LOCAL_PAGE_HOSTS = frozenset({"127.0.0.1", "::1", "localhost"})


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a run that is continued has come."""

    unique_total: int
    cost_usd: float


@dataclass(frozen=True, slots=True)
class Start:
    """How this start of the run came about."""

    without_keys: bool = False
    """Models are simulated because no key was found, not because the user asked for it."""
    budget_by_default: bool = False
    progress: Progress | None = None
    """Set when a run is continued."""
    moved_aside: Path | None = None
    """Where `--new` has put an earlier run."""
    notices: Sequence[str] = ()
    estimate: str | None = None
    """What entries will cost."""


def announcement(
    settings: ExploreSettings, start: Start, price_of: Callable[[ModelSpec], str]
) -> list[str]:
    """The lines to show before anything is started."""
    lines = [f"topic: {settings.topic}", *_models(settings, start, price_of)]
    lines += [start.estimate] if start.estimate else []
    lines += start.notices
    lines.append(_ends(settings, start))
    lines += _directory(settings, start)
    if settings.verbosity:
        lines.append(log_files_line(settings.run_dir, settings.verbosity))
    if (
        not settings.peers
        and settings.mesh.advertise_host is None
        and is_loopback(settings.mesh.host)
    ):
        lines.append(
            f"only this machine reaches {settings.mesh.host}: for producers of others give --host"
        )
    if start.moved_aside is not None:
        lines.append(f"the earlier run is kept in {start.moved_aside}")
    if start.progress is not None:
        lines += _met_already(settings, start.progress)
    if not settings.headless and settings.page_host not in LOCAL_PAGE_HOSTS:
        lines.append(
            f"the page on {settings.page_host} opens to whoever has the address printed below, "
            "which carries its key; what the page shows travels unencrypted"
        )
    return lines


def guest_announcement(
    crew: CrewSettings, notices: Sequence[str], price_of: Callable[[ModelSpec], str]
) -> list[str]:
    """The lines to show before producers of this machine join a run."""
    lines = [f"joining the run on: {crew.terms.topic}", _producers(crew.count)]
    lines += _rows(crew.models, price_of)
    lines += notices
    if any(map(_is_billed, crew.models)):
        lines.append("this machine's keys pay for its calls, up to the budget of the whole run")
    lines.append(f"logs: {crew.run_dir}; ends when the run ends; Ctrl-C hands over and leaves")
    if crew.verbosity:
        lines.append(log_files_line(crew.run_dir, crew.verbosity))
    return lines


def log_files_line(run_dir: Path, verbosity: int) -> str:
    """Where to read what processes log, for who wants more than the terminal says."""
    more = "; -vv logs more" if verbosity == 1 else ""
    return f"log files: {run_dir}/nodes/*/messages.log, {run_dir}/supervisor.log{more}"


def _models(
    settings: ExploreSettings, start: Start, price_of: Callable[[ModelSpec], str]
) -> list[str]:
    headings = [_producers(settings.peers)]
    if settings.simulated:
        why = (
            "no key found: set OPENAI_API_KEY or ANTHROPIC_API_KEY for real ones"
            if start.without_keys
            else "no real LLM is asked"
        )
        headings.insert(0, f"SIMULATED models ({why})")
    return [*headings, *_rows(settings.models, price_of)]


def _producers(count: int) -> str:
    if not count:
        return "no producers here: those of other machines ask, with their own keys:"
    return f"{count} producer{'s' if count > 1 else ''}, models in turn:"


def _rows(models: Sequence[ModelSpec], price_of: Callable[[ModelSpec], str]) -> list[str]:
    rows = [f"  {model.spec}  {_price(model, price_of)}{_where(model)}" for model in models]
    if len(rows) > MODELS_SHOWN_MAX:
        rows = [*rows[:MODELS_SHOWN_MAX], f"  and {len(rows) - MODELS_SHOWN_MAX} more"]
    return rows


def _price(model: ModelSpec, price_of: Callable[[ModelSpec], str]) -> str:
    if _is_billed(model) or model.prices is not None:
        return price_of(model)
    if not model.simulated:
        return "a server of your own, no price"
    return f"{price_of(model)} (play money, as {model.price_of})" if model.price_of else "no price"


def _where(model: ModelSpec) -> str:
    """Where prompts and the key go, for servers that are neither the provider's nor the user's."""
    url = base_url_of(model)
    if not _is_billed(model) or is_official(model.api, url):
        return ""
    unencrypted = " UNENCRYPTED" if url.startswith("http:") else ""
    return f"; prompts and key go{unencrypted} to {server_name(model)}"


def _is_billed(model: ModelSpec) -> bool:
    """Whether somebody may send a bill for it."""
    return not model.simulated and not is_private_host(base_url_of(model))


def _ends(settings: ExploreSettings, start: Start) -> str:
    """Example: `stops at 300 entries, or at $1.00 (--budget-usd changes it); Ctrl-C stops`."""
    ends = []
    if settings.target is not None:
        ends.append(f"at {settings.target:,} entries")
    if settings.budget_usd is not None:
        hint = " (--budget-usd changes it)" if start.budget_by_default else ""
        play = " of play money" if settings.simulated else ""
        ends.append(f"at {dollars(settings.budget_usd)}{play}{hint}")
    if settings.max_cost_per_item_usd is not None:
        ends.append(f"when a new entry costs more than {dollars(settings.max_cost_per_item_usd)}")
    if settings.time_limit_s is not None:
        ends.append(f"after {settings.time_limit_s:g} s")
    ends.append("when nothing new is found")
    is_uncapped = settings.budget_usd is None and any(map(_is_billed, settings.models))
    return f"{'no cap on cost; ' if is_uncapped else ''}stops {', or '.join(ends)}; Ctrl-C stops"


def _directory(settings: ExploreSettings, start: Start) -> list[str]:
    line = f"entries: {settings.output}, all else: {settings.run_dir}"
    if start.progress is None:
        return [f"{line} (new run)"]
    found, cost = start.progress.unique_total, start.progress.cost_usd
    return [line, f"continuing: {found:,} entries, ${cost:.2f} so far; --new starts afresh"]


def _met_already(settings: ExploreSettings, progress: Progress) -> list[str]:
    lines = []
    if settings.target is not None and progress.unique_total >= settings.target:
        lines.append(
            f"the target of {settings.target:,} is met already: raise it, "
            f"for example --target {2 * progress.unique_total}"
        )
    if settings.budget_usd is not None and progress.cost_usd >= settings.budget_usd:
        lines.append(
            f"the budget of {dollars(settings.budget_usd)} is spent already: raise it, "
            f"for example --budget-usd {progress.cost_usd + 1:.2f}"
        )
    return lines
