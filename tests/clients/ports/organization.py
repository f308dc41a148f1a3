"""Cases of Organization."""

from __future__ import annotations

from tests.clients.ports.cloud import Cloud, case


@case("Organization.units", "Organization.accounts", "Organization.account_tags")
def the_organization_is_read(cloud: Cloud) -> None:
    small, organization = cloud.small, cloud.clients.organization
    unit = small.builder.unit("Production")
    inner = small.builder.unit("Web", unit.id)
    account = small.builder.account(
        "Shop", inner.id, account_id="333344445555", state="SUSPENDED", tags={"a": "b"}
    )
    units = {each.unit_id: each for each in organization.units().value}
    assert (units[inner.id].name, units[inner.id].parent_id) == ("Web", unit.id)
    assert [each.parent_id for each in units.values()].count("") == 1
    accounts = {each.account_id: each for each in organization.accounts().value}
    assert len(accounts) == 3
    found = accounts[account.id]
    assert (found.name, found.email, found.state, found.unit_id) == (
        "Shop",
        account.email,
        "SUSPENDED",
        inner.id,
    )
    assert organization.account_tags(account.id).value == {"a": "b"}
    assert organization.account_tags("222233334444").value == {}
