"""The health page: every hop between a request and the end of access, judged from the facts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from audit.ledger.models import Verification
from audit.ledger.scheduled import VerificationState
from audit.ledger.waiting import MOST_WAITING
from base.clock import business_clock
from base.words import count_words, duration_words
from catalog.freshness import HealthState, real_age
from oversight.expiries import LABELS, WARN_BEFORE
from oversight.facts import (
    DECISION,
    FAST_REMOVAL,
    SEVERING,
    WAIVER,
    WORKER_GONE_AFTER,
    Facts,
    facts,
)
from oversight.models import DriftRun, Expiry
from oversight.reaching import BEAT as REACH
from requests_app.lifecycle import GrantStatus
from requests_app.overdue import MOST_COUNTED

SWEEP, WATCH = "task:requests_app.tasks.sweep", "task:oversight.tasks.watch"
# What besides grants may be stuck, in words.
NOBODY = (
    (DECISION, "Decisions that nobody checks"),
    (WAIVER, "Asks without an approval that nobody settles"),
    (FAST_REMOVAL, "Fast removals that nobody does"),
    (SEVERING, "Places of denials that nobody writes"),
)
MOST_RULES = 5  # named
LATE_BEAT = timedelta(minutes=1)
LATE_SEAL = timedelta(minutes=2)
LATE_ANCHOR = timedelta(minutes=10)
LATE_STREAM = timedelta(minutes=10)
LATE_DRIFT = timedelta(minutes=25)  # business time: two comparisons were missed


@dataclass(frozen=True, slots=True)
class Hop:
    """One part of the way. `tone` is a badge's; `succeeded_at` is business time, as pages show it."""

    name: str
    tone: str
    state: str
    succeeded_at: datetime | None
    sentence: str = ""


@dataclass(frozen=True, slots=True)
class End:
    """When a credential ends."""

    label: str
    expiry: Expiry | None
    tone: str
    words: str


@dataclass(frozen=True, slots=True)
class Health:
    """Everything on the health page."""

    facts: Facts
    hops: Sequence[Hop]
    ends: Sequence[End]

    @property
    def troubles(self) -> Sequence[Hop]:
        """The hops that need somebody."""
        return [hop for hop in self.hops if hop.tone == "problem"]

    @property
    def overdue_words(self) -> str:
        """How many grants are past their target, as the beginning of a sentence."""
        count = self.facts.overdue_count
        number = count_words(count, MOST_COUNTED).capitalize()
        return f"{number} grant{' is' if count == 1 else 's are'}"

    @property
    def grants(self) -> Sequence[tuple[str, int, int]]:
        """Status in words, how many, and how many of them are stuck."""
        named = dict(GrantStatus.choices)
        return [
            (named.get(status, status), count, self.facts.stuck.get(status, 0))
            for status, count in sorted(self.facts.grants.items())
        ]

    @property
    def stuck(self) -> Sequence[tuple[str, int]]:
        """What besides grants nobody takes, and how many of each."""
        return [(words, count) for kind, words in NOBODY if (count := self.facts.stuck.get(kind))]

    @property
    def budgets(self) -> Sequence[tuple[str, int]]:
        """Bucket family, and how many calls may be made at once now."""
        return [(family, int(left)) for family, left in sorted(self.facts.budgets.items())]


def health() -> Health:
    """As of now; see `facts` for its cost."""
    found = facts()
    hops = [*_machines(found), *_catalogue(found), _provisioning(found), *_clouds(found), *_flow(found)]
    return Health(found, hops, list(_ends(found)))


def _seen(real: datetime | None) -> datetime | None:
    return business_clock().at(real) if real else None


def _machines(found: Facts) -> Iterator[Hop]:
    yield Hop("Web", "live", "Works", found.now, "")
    broker = ("live", "Works") if found.redis_reachable else ("problem", "Not reachable")
    yield Hop("Broker (Redis)", *broker, found.now if found.redis_reachable else None, found.redis_problem)
    for name, beat, lost in (
        ("Sweeper", SWEEP, "No worker has swept for a while: are beat, Redis and a worker alive?"),
        ("Watching", WATCH, "No worker has watched for a while: are beat, Redis and a worker alive?"),
    ):
        age = found.age_of(beat)
        late = age is None or age > LATE_BEAT
        state = "Never seen" if age is None else "Late" if late else "Works"
        yield Hop(
            name, "problem" if late else "live", state, _seen(found.beats.get(beat)), lost if late else ""
        )
    workers = {name: at for name, at in found.beats.items() if name.startswith("worker:")}
    for name, at in sorted(workers.items()):
        age = found.real - at
        if age < WORKER_GONE_AFTER:
            tone, state = ("live", "Works") if age <= LATE_BEAT else ("waiting", "Quiet")
            yield Hop(f"Worker {name.partition(':')[2]}", tone, state, _seen(at))
    late = found.seal_lag > LATE_SEAL
    number, lag = count_words(found.unsealed, MOST_WAITING).capitalize(), duration_words(found.seal_lag)
    sentence = f"{number} events wait for their seal, the oldest for {lag}."
    if found.unsealed == 1:
        sentence = f"1 event has waited for its seal for {lag}."
    yield Hop(
        "Sealer",
        "problem" if late else "live",
        "Late" if late else "Works",
        _seen(found.real - found.seal_lag),
        sentence if late else "",
    )
    yield from _anchors(found)
    yield _verification(found)
    yield from _streams(found)


def _anchors(found: Facts) -> Iterator[Hop]:
    for anchor in found.anchors:
        late = anchor.lag > LATE_ANCHOR
        state = "Late" if late else "Works" if anchor.at else "Nothing anchored yet"
        sentence = (
            f"The oldest seal that isn't there has waited for {duration_words(anchor.lag)}. "
            "The sealer's log says why under anchor.failed; it tries for ever."
        )
        yield Hop(
            f"Anchor of seals: {anchor.place}",
            "problem" if late else "live" if anchor.at else "waiting",
            state,
            _seen(anchor.at),
            sentence if late else "",
        )


def _verification(found: Facts) -> Hop:
    """When the whole trail was last verified, and what that found; and how it is with the one under way."""
    state, whole = found.verification, found.verification.whole
    tone, word, sentence = "waiting", "Not verified yet", ""
    if whole is not None:
        tone, word = "live", "Works"
        sentence = f"nothing in {whole.events:,} events up to batch {whole.last_batch:,}"
        if not whole.keys:
            tone, word = "waiting", "Without signatures"
            sentence += (
                "; signatures are checked once AUDIT_VERIFY_KEYS names the sealer's public key for workers"
            )
    told = verification_words(state, found.real)
    if state.newest is not None and (state.newest.problem or state.stands_still(found.real)):
        tone, word, sentence = "waiting", "Not finished", told
    if state.overdue(found.real):
        tone, word, sentence = "problem", "Late", told
    if whole is not None and whole.findings:
        tone, word = "problem", "Differs"
        sentence = f"Not as sealed or told: {whole.names}. Have the trail verified (manage.py audit_verify)."
    return Hop("Verification of the trail", tone, word, _seen(whole.finished_at if whole else None), sentence)


def verification_words(state: VerificationState, real: datetime) -> str:
    """How it is with a verification that hasn't ended, in sentences; "" where there is none."""
    newest = state.newest
    if newest is None or newest.status == Verification.Status.DONE:
        return ""
    begun = f"{business_clock().at(newest.started_at):%Y-%m-%d %H:%M} UTC"
    if newest.status == Verification.Status.GIVEN_UP:
        words = [f"The one of {begun} was given up; it came to batch {newest.last_batch:,}."]
    elif newest.step:
        words = [f"The one of {begun} isn't finished; it came to batch {newest.last_batch:,}."]
    else:
        words = ["One is about to begin."]
    if newest.problem:
        words.append(f"{newest.problem}.")
    if state.stands_still(real):
        words.append(f"Nobody has gone on with it for {duration_words(real - newest.moved_at)}.")
    return " ".join(words)


def _streams(found: Facts) -> Iterator[Hop]:
    for stream in found.streams:
        late = stream.lag > LATE_STREAM
        tone, state = "live", "Works"
        if late:
            tone, state = "problem", "Late"
        elif stream.problem:
            tone, state = "waiting", "Failing"
        elif stream.acknowledged_at is None:
            tone, state = "waiting", "Nothing sent yet"
        waits = f"The oldest event that it lacks has waited for {duration_words(stream.lag)}; it is tried on."
        gone = ""
        if stream.missing:
            tone, state = "problem", "Lacks events"
            gone = (
                f"Of what was sealed {stream.missing:,} could not be sent: no longer in the trail, and no removed month "
                "says why. Have the trail verified (manage.py audit_verify)."
            )
        sentence = " ".join(
            filter(None, (gone, stream.problem, waits if stream.lag and (late or stream.problem) else ""))
        )
        yield Hop(f"Trail to {stream.name}", tone, state, _seen(stream.acknowledged_at), sentence)


def _catalogue(found: Facts) -> Iterator[Hop]:
    for age in found.catalogue:
        tone, state = ("problem", "Failing") if age.problem else ("live", "Works")
        if age.read_at is None and not age.problem:
            tone, state = "waiting", "Not read yet"
        yield Hop(f"Catalogue: {age.label}", tone, state, age.read_at, age.problem)


def _provisioning(found: Facts) -> Hop:
    seen = found.provisioning
    tone, state = {
        HealthState.WELL: ("live", "Works"),
        HealthState.SLOW: ("waiting", "Slow"),
        HealthState.STOPPED: ("problem", "Stopped"),
        HealthState.UNKNOWN: ("problem", "Not known"),
    }[seen.state]
    return Hop("Provisioning job (SCIM)", tone, state, seen.observed_at, seen.sentence)


def _clouds(found: Facts) -> Iterator[Hop]:
    for circuit in found.circuits:
        if circuit.open:
            tone, state = "problem", "Postponed"
            sentence = f"{circuit.failures} calls in a row failed ({circuit.code}); the next is a probe."
        elif circuit.answered_at is None:
            tone, state, sentence = "waiting", "Not asked yet", ""
        else:
            tone, state, sentence = "live", "Works", ""
        yield Hop(f"Calls to {circuit.name}", tone, state, _seen(circuit.answered_at), sentence)


def _flow(found: Facts) -> Iterator[Hop]:
    run = found.last_drift
    age = found.now - run.started_at if run else timedelta(0)
    # A fast demo clock asks for more comparisons than the schedule rings for.
    late = run is not None and age > LATE_DRIFT and real_age(run.started_at, found.now) > 2 * LATE_BEAT
    failed = run is not None and run.status == DriftRun.Status.FAILED
    doubted = run is None or bool(run.problem)
    tone = "problem" if late or failed else "waiting" if doubted else "live"
    state = (
        "Not compared yet" if run is None else "Late" if late else "Incomplete" if run.problem else "Works"
    )
    yield Hop("Comparison (drift)", tone, state, run.finished_at if run else None, run.problem if run else "")
    yield _rules(found)
    for name, at in (
        ("Arrivals in AWS", found.last_arrival_at),
        ("Removals from AWS", found.last_removal_at),
    ):
        yield Hop(name, "live" if at else "waiting", "Seen" if at else "None yet", at)


def _rules(found: Facts) -> Hop:
    """Whether every rule could reach its quorum at the last look."""
    at, many = _seen(found.beats.get(REACH)), len(found.out_of_reach)
    if not many:
        tone, state = ("live", "Reach it") if at else ("waiting", "Not looked at yet")
        return Hop("Rules and their quorum", tone, state, at)
    told = [f"“{row.rule.name}”: {row.sentence}" for row in found.out_of_reach[:MOST_RULES]]
    more = [f"And {many - MOST_RULES} more."] if many > MOST_RULES else []
    return Hop("Rules and their quorum", "problem", f"{many} can't", at, " ".join([*told, *more]))


def _ends(found: Facts) -> Iterator[End]:
    kept = {expiry.name: expiry for expiry in found.expiries}
    for name, label in LABELS.items():
        expiry = kept.get(name)
        if expiry is None:
            yield End(label, None, "waiting", "Not known")
            continue
        left = expiry.ends_at - found.real
        if left <= timedelta(0):
            yield End(label, expiry, "problem", "Over")
        elif left < WARN_BEFORE:
            yield End(label, expiry, "problem", f"In {duration_words(left)}")
        else:
            yield End(label, expiry, "live", f"In {left.days} days")
