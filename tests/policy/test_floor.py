"""What PIM itself demands lies under every rule: it raises what is looser, and leaves what is stricter as it is."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta

import pytest
from hypothesis import given
from pytest_django import Settings

from policy.assurance import Assurance, StepUp
from policy.demands import Approvers, Demands, Escalation, Stage
from policy.floor import NO_FLOOR, Floor, floor_of, obstacles, raised, under, unheld
from tests.policy.test_combining import demands

PEOPLE = Approvers(frozenset({"a", "b"}), frozenset())
PIMS = Approvers(frozenset({"a"}), frozenset({"g"}))
APPROVAL = Floor(approval=True, approvers=PIMS)


@dataclass(frozen=True)
class Policy:
    """As PIM has it; nothing demanded unless told."""

    requires_mfa: bool = False
    requires_approval: bool = False
    authentication_context: str = ""
    approver_people: tuple[str, ...] = ()
    approver_groups: tuple[str, ...] = ()


STRICT = Policy(
    requires_mfa=True,
    requires_approval=True,
    authentication_context="c1",
    approver_people=("a",),
    approver_groups=("g",),
)


def test_a_policy_makes_the_floor_and_what_it_means_by_mfa_is_the_installations(settings: Settings) -> None:
    assert floor_of(STRICT, as_person=False) == Floor(frozenset({"c1"}), approval=True, approvers=PIMS)
    assert [code for code, _ in obstacles(STRICT, as_person=False)] == ["pim.mfa"]
    assert "ENTRA_MFA_CONTEXT" in obstacles(STRICT, as_person=False)[0][1]
    settings.ENTRA_MFA_CONTEXT = "c2"
    assert floor_of(STRICT, as_person=False) == Floor(frozenset({"c1", "c2"}), approval=True, approvers=PIMS)
    assert obstacles(STRICT, as_person=False) == []
    assert floor_of(STRICT, as_person=True) == NO_FLOOR
    assert obstacles(replace(STRICT, authentication_context="unnamed"), as_person=True) == []


def test_an_approver_of_pims_has_a_stage_unless_one_is_theirs_alone() -> None:
    theirs = Demands((Stage(Approvers(frozenset({"a"}), frozenset()), 1),))
    assert raised(theirs, APPROVAL) == replace(theirs, pim_approval=True)
    others = Demands((Stage(PEOPLE, 2),))
    assert raised(others, APPROVAL).stages == (*others.stages, Stage(PIMS, 1))
    later = Demands((Stage(PIMS, 1, Escalation(timedelta(hours=1), PEOPLE)),))
    assert raised(later, APPROVAL).stages == (*later.stages, Stage(PIMS, 1)), "others could come in later"
    unnamed = Floor(approval=True)
    assert raised(others, unnamed) == replace(others, pim_approval=True)


@pytest.mark.parametrize(
    ("floor", "words"),
    [
        (Floor(frozenset({"c1", "c2"})), "the authentication context c2"),
        (APPROVAL, "the approval of one of its own"),
        (NO_FLOOR, ""),
    ],
)
def test_where_a_rule_would_be_looser_it_says_so(floor: Floor, words: str) -> None:
    rule = Demands((Stage(PEOPLE, 1),), step_up=StepUp(ask=Assurance(None, frozenset({"c1"}))))
    assert words in " ".join(under(rule, floor))
    assert bool(under(rule, floor)) == bool(words)
    assert unheld(raised(rule, floor), floor) == []


def test_terms_that_do_not_say_that_nothing_waives_the_approval_do_not_hold_it() -> None:
    terms = raised(Demands((Stage(PIMS, 1),)), APPROVAL)
    assert unheld(terms, APPROVAL) == []
    assert unheld(replace(terms, pim_approval=False), APPROVAL)


@given(demands)
def test_raised_once_is_raised_and_never_looser(found: Demands) -> None:
    floor = Floor(frozenset({"c2"}), approval=True, approvers=PIMS)
    made = raised(found, floor)
    assert raised(made, floor) == made
    assert unheld(made, floor) == []
    assert made.stages[: len(found.stages)] == found.stages
    assert made.step_up.ask.contexts >= found.step_up.ask.contexts | {"c2"}
    assert made.step_up.decide == found.step_up.decide
