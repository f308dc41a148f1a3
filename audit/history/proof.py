"""One event with its proof: how its text leads to the head of its batch, to the seal, and to the places that keep seals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from django.db.models import Min

from audit.history.presentation import Row
from audit.ledger.canonical import instant
from audit.ledger.merkle import audit_path, leaf_hash, node_hash, seal_hash
from audit.ledger.models import AnchorReceipt, Event, Leaf, Seal
from audit.ledger.reading import Position, bounded, events_at
from audit.ledger.verifying import COLUMNS, columns_agree
from base.errors import Missing
from base.visible import visible


@dataclass(frozen=True, slots=True)
class Step:
    """One step up the tree: the hash beside, on which side it stands, and what the two give."""

    beside: str
    left: bool  # whether what stands beside is the left one
    gives: str


@dataclass(frozen=True, slots=True)
class Anchored:
    """The first seal from this batch on that a place outside has receipted."""

    place: str
    batch: int
    at: datetime  # real time


@dataclass(frozen=True, slots=True)
class Proof:
    """An event's way to its seal, computed anew from what is here now."""

    index: int
    leaf: str  # of the event's text as it is now
    steps: Sequence[Step]
    seal: Seal
    wrong: Sequence[str]  # what doesn't agree, in sentences
    anchored: Sequence[Anchored]

    @property
    def root(self) -> str:
        return bytes(self.seal.root).hex()

    @property
    def before(self) -> str:
        return bytes(self.seal.prev_seal).hex()

    @property
    def value(self) -> str:
        return bytes(self.seal.seal).hex()

    @property
    def signature(self) -> str:
        return bytes(self.seal.signature).hex()

    @property
    def last(self) -> int:
        """The index of the batch's last event."""
        return self.seal.n - 1


@dataclass(frozen=True, slots=True)
class ProvenEvent:
    """An event, ready to show, and its proof: None while no batch holds it, or where the batch has lost its seal."""

    row: Row
    canon: str
    sealed_as: str  # the time as the leaf has it
    proof: Proof | None

    @property
    def seal_missing(self) -> bool:
        """Whether a batch holds it whose seal isn't there: both are written at once, so somebody took it away."""
        return self.proof is None and self.row.batch is not None

    @property
    def shown(self) -> str:
        """Its text with what is hidden in it by its number."""
        return visible(self.canon)


def proven_event(event_id: int) -> ProvenEvent:
    """One event with its proof. Raises Missing when there is none of that number."""
    with bounded():
        leaf = Leaf.objects.filter(event_id=event_id).first()
        # A sealed event is found in its month; of one that isn't, each month's key is asked.
        at = leaf.at if leaf else Event.objects.filter(id=event_id).values_list("at", flat=True).first()
        entries = events_at([Position(at, event_id)]) if at else ()
        if not entries or at is None:
            raise Missing("event.missing", "There is no such event.")
        columns = Event.objects.filter(id=event_id, at=at).values(*COLUMNS).get()
        canon: str = columns["canon"]
        proof = _proof(leaf, leaf_hash(event_id, at, canon)) if leaf else None
    if proof and not columns_agree(columns):
        # What is shown for reading is of the columns; what is sealed is the text.
        proof = replace(
            proof, wrong=[*proof.wrong, "What is shown of the event isn't what its sealed text says."]
        )
    return ProvenEvent(Row(entries[0], leaf.batch if leaf else None), canon, instant(at), proof)


def _proof(leaf: Leaf, now: bytes) -> Proof | None:
    """The way from the leaf as it is now to its batch's seal; None where the seal itself is missing. Three queries."""
    seal = Seal.objects.filter(batch=leaf.batch).first()
    if seal is None:
        return None
    leaves = Leaf.objects.filter(batch=leaf.batch).order_by("idx").values_list("leaf", flat=True)
    node, place, wrong, steps = now, leaf.idx, [], []
    level = [bytes(each) for each in leaves]
    if not leaf.idx < len(level) == seal.n:
        wrong.append(f"The batch sealed {seal.n} events, and {len(level)} leaves are here.")
    path, width = audit_path(level, leaf.idx) if leaf.idx < len(level) else [], len(level)
    for beside in path:
        while place == width - 1 and place % 2 == 0:  # a lone last node rises unchanged
            place, width = place // 2, (width + 1) // 2
        left = place % 2 == 1
        node = node_hash(beside, node) if left else node_hash(node, beside)
        steps.append(Step(beside.hex(), left, node.hex()))
        place, width = place // 2, (width + 1) // 2
    if now != bytes(leaf.leaf):
        wrong.append("The event isn't what was sealed: it was altered.")
    if node != bytes(seal.root):
        wrong.append("Its way up the tree doesn't lead to the head that was sealed.")
    made = seal_hash(bytes(seal.prev_seal), bytes(seal.root), seal.n, seal.batch, seal.at)
    if made != bytes(seal.seal):
        wrong.append("The seal isn't the hash of what it seals.")
    receipts = (
        AnchorReceipt.objects.filter(batch__gte=leaf.batch).values("place").annotate(first=Min("batch"))
    )
    firsts = dict(receipts.values_list("place", "first"))
    kept = AnchorReceipt.objects.filter(batch__in=firsts.values()).order_by("place")
    anchored = [
        Anchored(each.place, each.batch, each.at) for each in kept if firsts[each.place] == each.batch
    ]
    return Proof(leaf.idx, now.hex(), steps, seal, wrong, anchored)
