"""The same facts for Prometheus. A collector reads them at each scrape, so any web process can answer."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime

from prometheus_client import CollectorRegistry
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.exposition import generate_latest
from prometheus_client.registry import Collector

from oversight.facts import Facts, facts

PREFIX = "access_portal_"


class FactsCollector(Collector):
    """Gauges made of the facts as of one scrape."""

    def __init__(self, found: Facts) -> None:
        self._facts = found

    def collect(self) -> Iterable[Metric]:
        """See prometheus_client."""
        yield from self._grants()
        yield from self._machines()
        yield from self._clouds()

    def _grants(self) -> Iterator[Metric]:
        found = self._facts
        yield _by("grants", "Grants that are not over, by status.", "status", found.grants.items())
        yield _by("stuck", "Owed work that nobody takes, by status.", "status", found.stuck.items())
        yield _one("overdue_grants", "Grants past their target, 10,001 at most.", found.overdue_count)
        yield _one("postponed_grants", "Grants whose next look waits after a failure.", found.waiting)
        oldest = (found.now - found.oldest_owed_at).total_seconds() if found.oldest_owed_at else 0.0
        yield _one("oldest_owed_seconds", "Age of the oldest owed action, business time.", max(0.0, oldest))
        yield _by("drift_findings", "Open findings, by kind.", "kind", found.findings.items())
        yield _one("alerts", "Alerts that stand.", found.alerts)
        quantile = GaugeMetricFamily(
            f"{PREFIX}hop_seconds", "Measured duration of a hop.", labels=["hop", "quantile"]
        )
        for hop in found.hops:
            for name, span in (("0.5", hop.typical), ("0.95", hop.slow)):
                if span is not None:
                    quantile.add_metric([hop.key, name], span.total_seconds())
        yield quantile

    def _machines(self) -> Iterator[Metric]:
        found = self._facts
        ages = ((name, (found.real - at).total_seconds()) for name, at in sorted(found.beats.items()))
        yield _by("heartbeat_age_seconds", "Since a task or worker last ran, real time.", "name", ages)
        yield _one("redis_up", "Whether the broker answers.", int(found.redis_reachable))
        yield _one("seal_lag_seconds", "Age of the oldest unsealed event.", found.seal_lag.total_seconds())
        yield _one("unsealed_events", "Events that wait for their seal, 10,001 at most.", found.unsealed)
        lags = ((each.place, each.lag.total_seconds()) for each in found.anchors)
        yield _by("anchor_lag_seconds", "Age of the oldest seal that a place doesn't cover.", "place", lags)
        yield from self._verification()
        late = ((each.name, each.lag.total_seconds()) for each in found.streams)
        yield _by("stream_lag_seconds", "Age of the oldest event that a receiver lacks.", "stream", late)
        sent = ((each.name, each.sent) for each in found.streams)
        gone = ((each.name, each.missing) for each in found.streams)
        yield _by("stream_missing_events", "Sealed events that were no longer in the trail.", "stream", gone)
        yield _by("stream_events", "Events that a receiver has acknowledged.", "stream", sent)
        read = (
            (age.part, (found.now - age.read_at).total_seconds()) for age in found.catalogue if age.read_at
        )
        yield _by("catalogue_age_seconds", "Since a part was read whole, business time.", "part", read)
        failing = ((age.part, int(bool(age.problem))) for age in found.catalogue)
        yield _by("catalogue_failing", "Whether the newest reading of a part failed.", "part", failing)
        ends = ((each.name, (each.ends_at - found.real).total_seconds()) for each in found.expiries)
        yield _by("credential_ends_in_seconds", "Until a credential ends.", "name", ends)
        run = found.last_drift
        if run is not None:
            yield _one(
                "drift_age_seconds", "Since the last comparison began.", _age(found.now, run.started_at)
            )
            yield _one("drift_groups_not_looked", "Groups it could not compare.", run.not_looked)

    def _verification(self) -> Iterator[Metric]:
        found, state = self._facts, self._facts.verification
        if state.since is not None:
            age = _age(found.real, state.since)
            yield _one("verification_age_seconds", "Since the whole trail was last verified, or owed.", age)
        if state.whole is not None:
            yield _one("verification_findings", "What the last verification found.", state.whole.findings)
            yield _one("verification_events", "Sealed events that it verified.", state.whole.events)

    def _clouds(self) -> Iterator[Metric]:
        found = self._facts
        yield _by(
            "circuit_open",
            "Whether calls are postponed.",
            "cloud",
            ((c.cloud, int(c.open)) for c in found.circuits),
        )
        yield _by("budget_calls", "Calls that may be made at once now.", "bucket", found.budgets.items())
        states = ((found.provisioning.state.value, 1),)
        yield _by("provisioning_state", "The provisioning job: 1 for its state.", "state", states)


def metrics_text() -> bytes:
    """The text format, as of now. The registry lives for one scrape."""
    registry = CollectorRegistry()
    registry.register(FactsCollector(facts()))
    return generate_latest(registry)


def _age(now: datetime, then: datetime) -> float:
    return (now - then).total_seconds()


def _one(name: str, words: str, value: float) -> GaugeMetricFamily:
    return GaugeMetricFamily(PREFIX + name, words, value=value)


def _by(name: str, words: str, label: str, values: Iterable[tuple[str, float]]) -> GaugeMetricFamily:
    family = GaugeMetricFamily(PREFIX + name, words, labels=[label])
    for key, value in values:
        family.add_metric([key], value)
    return family
