from audit.history.presentation import Row
from audit.history.words import action_choices, action_words, label_words, types_of
from audit.ledger.models import Event
from audit.ledger.reading import MOST_VALUES, Entry
from audit.ledger.registry import registered
from audit.ledger.sentences import sentence


def test_names_are_spelled_as_people_do() -> None:
    assert action_words("grant.out_of_aws") == "Grant: out of AWS"
    assert action_words("signin.succeeded") == "Sign-in: succeeded"
    assert label_words("pim_request_id") == "PIM request id"


def test_every_declared_action_can_be_chosen_and_so_can_each_area() -> None:
    offered = {value for _, entries in action_choices() if isinstance(entries, list) for value, _ in entries}
    assert set(registered()) <= offered
    assert types_of("") == ()
    assert types_of("item.approved") == ("item.approved",)
    assert set(types_of("item.")) == {name for name in registered() if name.startswith("item.")}
    assert types_of("item.approved,item.denied") == ("item.approved", "item.denied")
    assert {name for value in offered for name in types_of(value)} <= set(registered())
    assert action_words("item.approved,item.denied") == "Item: approved or denied"
    assert len(types_of("grant.")) <= MOST_VALUES, "one filter takes at most so many"


def test_every_declared_event_can_be_shown_even_with_nothing_in_it() -> None:
    for name, declared in registered().items():
        row = Row(Entry(Event(id=1, type=name, outcome="done", actor_kind="system", data={})))
        assert sentence(row.entry)
        assert "{" not in sentence(row.entry)
        assert row.action
        assert row.facts == []
        odd = {field: ["not", "what", 7, "was declared"] for field in declared.fields}
        shown = Row(Entry(Event(id=1, type=name, outcome="done", actor_kind="person", data={"fields": odd})))
        assert sentence(shown.entry)


def test_what_an_event_lists_is_read_as_words_with_nothing_hidden() -> None:
    said = {"app_roles": ["Auditor", "Opera\u202etor"], "first_time": False}
    event = Event(id=1, type="signin.succeeded", outcome="done", actor_kind="person", data={"fields": said})
    facts = {name: str(piece) for name, piece in Row(Entry(event)).facts}
    assert facts == {"App roles": "Auditor, Opera\\u202etor", "First time": "no"}
