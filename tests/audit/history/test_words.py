from audit.history.words import action_choices, action_words, label_words, types_of
from audit.ledger.registry import registered


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
    assert len(types_of("grant.")) <= 20, "one filter takes at most so many"
