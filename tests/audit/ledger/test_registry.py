import pytest

from audit.ledger.registry import EventType, Field, Kind, LedgerError, event_type, register, registered
from tests.audit.ledger.factories import ASKED


def test_a_type_is_found_by_its_name() -> None:
    assert event_type("trial.asked") is ASKED
    assert registered()["trial.asked"] is ASKED


def test_an_undeclared_type_is_refused() -> None:
    with pytest.raises(LedgerError, match=r"No event type is called 'trial\.unheard'"):
        event_type("trial.unheard")


def test_the_same_type_again_is_harmless_and_another_of_its_name_is_refused() -> None:
    register(ASKED)
    with pytest.raises(LedgerError, match="Two event types"):
        register(EventType("trial.asked", "Something else"))


@pytest.mark.parametrize("name", ["asked", "Trial.asked", "trial.", "trial.asked.twice", "trial.asked "])
def test_names_are_area_and_verb(name: str) -> None:
    with pytest.raises(LedgerError, match="isn't an event name"):
        EventType(name, "Something")


def test_a_sentence_names_only_what_is_declared() -> None:
    EventType("trial.fine", "{actor}, {about}, {group}, {reason}", {"group": Field()}, words=("reason",))
    with pytest.raises(LedgerError, match="names \\['colour'\\]"):
        EventType("trial.wrong", "{actor} likes {colour}")


def test_a_name_is_declared_once() -> None:
    with pytest.raises(LedgerError, match="twice"):
        EventType("trial.wrong", "x", {"reason": Field()}, words=("reason",))
    with pytest.raises(LedgerError, match="twice"):
        EventType("trial.wrong", "x", {"actor": Field()})


def test_only_text_can_be_personal() -> None:
    with pytest.raises(LedgerError, match="personal"):
        EventType("trial.wrong", "x", {"age": Field(Kind.NUMBER, personal=True)})
