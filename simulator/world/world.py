"""The world: one state, one clock, and the parts that know the rules."""

import bisect
import json
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

from simulator.scim.service import ScimService
from simulator.world import serial
from simulator.world.access_portal import AccessPortal
from simulator.world.account_access import AccountAccess
from simulator.world.clock import WorldClock
from simulator.world.control_policies import ControlPolicies
from simulator.world.directory import Directory
from simulator.world.faults import Faults
from simulator.world.happenings import happen
from simulator.world.identity_center import IdentityCenter
from simulator.world.identity_store import IdentityStore
from simulator.world.ids import Dice
from simulator.world.objects import Objects
from simulator.world.organization import Organizations
from simulator.world.pim import Pim
from simulator.world.policies import Policies
from simulator.world.provisioning import Provisioning
from simulator.world.state import Due, JournalEntry, State
from simulator.world.switches import Switches
from simulator.world.trail import Trail

MOST_JOURNAL = 500


class World:
    """The simulated clouds. Not thread-safe: whoever shares it holds a lock around each operation."""

    def __init__(self, state: State, clock: WorldClock) -> None:
        self.state = state
        self.clock = clock
        self.dice = Dice(state.seed, state.id_counter)
        self._moment: datetime | None = None
        self.faults = Faults(self)
        self.directory = Directory(self)
        self.policies = Policies(self)
        self.provisioning = Provisioning(self)
        self.pim = Pim(self)
        self.organization = Organizations(self)
        self.control_policies = ControlPolicies(self)
        self.identity_center = IdentityCenter(self)
        self.identity_store = IdentityStore(self)
        self.scim = ScimService(self)
        self.objects = Objects(self)
        self.trail = Trail(self)
        self.access_portal = AccessPortal(self)
        self.account_access = AccountAccess(self)
        self._handlers: dict[str, Callable[..., None]] = {
            "pim.start": self.pim.on_start,
            "pim.end": self.pim.on_end,
            "pim.lapse": self.pim.on_lapse,
            "provisioning.cycle": self.provisioning.on_cycle,
            "provisioning.cycle_end": self.provisioning.on_cycle_end,
            "provisioning.fast": self.provisioning.on_fast,
            "identity_center.provisioned": self.identity_center.on_provisioned,
            "identity_center.acts": self.identity_center.on_acts,
            "control_policies.acts": self.control_policies.on_acts,
        }

    @property
    def switches(self) -> Switches:
        """Answers to what the vendors don't document."""
        return self.state.switches

    # ------------------------------------------------------------ time

    def now(self) -> datetime:
        """The world's time; while something due is handled, the time at which it was due."""
        return self._moment or self.clock.now()

    def schedule(self, at: datetime, kind: str, **arguments: str) -> None:
        """Let something happen by itself at `at`. Handlers check whether it still makes sense then."""
        self.state.due_counter += 1
        due = Due(at, self.state.due_counter, kind, arguments)
        bisect.insort(self.state.due, due, key=lambda each: (each.at, each.number))

    def postpone(self, kind: str, by: timedelta, **arguments: str) -> None:
        """Let what is due of this kind, with these arguments, happen so much later."""
        for due in [each for each in self.state.due if (each.kind, each.arguments) == (kind, arguments)]:
            self.state.due.remove(due)
            self.schedule(due.at + by, kind, **arguments)

    def advance(self) -> int:
        """Let everything happen that is due by now, in time order; returns how many things did."""
        now = self.clock.now()
        count = 0
        try:
            while self.state.due and self.state.due[0].at <= now:
                due = self.state.due.pop(0)
                self._moment = due.at
                self._handlers[due.kind](**due.arguments)
                count += 1
        finally:
            self._moment = None
        return count

    def step(self, by: timedelta) -> datetime:
        """Move the clock forward and let happen what is due."""
        self.clock.step(by)
        self.advance()
        return self.now()

    # ------------------------------------------------------------ telling and keeping

    def journal(self, kind: str, sentence: str, **about: str) -> None:
        """Note something for the state page; the oldest entries go."""
        entries = self.state.journal
        entries.append(JournalEntry(self.now(), kind, sentence, about))
        if len(entries) > MOST_JOURNAL:
            del entries[: len(entries) - MOST_JOURNAL]

    def happen(self, name: str, **arguments: str) -> dict[str, str]:
        """Something happens behind the product's back, see `simulator.world.happenings`.

        Raises ValueError for an unknown name or wrong arguments, WorldError for unknown ids.
        """
        return happen(self, name, arguments)

    def save(self, path: Path) -> None:
        """Write the whole state to a file, replacing it in one step."""
        self.state.id_counter = self.dice.counter
        temporary = path.with_name(path.name + ".new")
        temporary.write_text(json.dumps(serial.dump(self.state), separators=(",", ":")))
        temporary.replace(path)

    @classmethod
    def load(cls, path: Path, clock: WorldClock) -> "World":
        """The world that was saved. Raises OSError or ValueError when the file isn't one."""
        return cls(serial.load(State, json.loads(path.read_text())), clock)
