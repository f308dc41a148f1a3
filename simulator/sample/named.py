"""Which world `--seed` means."""

from simulator.sample.generator import generate
from simulator.sample.loader import load_sample
from simulator.world.clock import WorldClock
from simulator.world.world import World

GENERATED = "generated:"
SMALL = {"accounts": 12, "permission_sets": 8, "groups": 10, "people": 40, "eligible_per_group": 6}
SEEDS = (
    ("sample", "the sample organisation"),
    ("large", "1,000 accounts, 750 permission sets, 500 groups, 5,000 people"),
    (f"{GENERATED}TEXT", "a small one, made from the text: the same text gives the same world"),
)


def named_world(seed: str, clock: WorldClock) -> World:
    """The world of this name, its initial cycle done. Raises ValueError for an unknown name."""
    if seed == "sample":
        world: World = load_sample(clock)
        return world
    if seed == "large":
        return generate(clock, seed=seed)
    if seed.startswith(GENERATED) and seed != GENERATED:
        return generate(clock, seed=seed.removeprefix(GENERATED), **SMALL)
    known = "; ".join(f"'{name}': {what}" for name, what in SEEDS)
    raise ValueError(f"there is no world '{seed}'. There are {known}")
