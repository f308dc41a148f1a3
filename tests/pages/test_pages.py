from __future__ import annotations
from tests.pages.conftest import World

def test_all(world: World) -> None:
    item = world.ask()
    ada, ben = world.sign_in(world.ada), world.sign_in(world.ben)
    if 1:
        for client, path in [(ada,"/"),(ada,"/access/"),(ada,f"/access/{world.group.object_id}/"),(ada,f"/access/{world.group.object_id}/request/"),(ada,f"/access/{world.group.object_id}/request/preview/?length=60"),(ada,"/requests/"),(ada,f"/requests/{item.request_id}/"),(ada,"/live/"),(ben,"/approvals/"),(ben,f"/approvals/{item.pk}/"),(ben,f"/requests/{item.request_id}/"),(ben,"/components/")]:
            r = client.get(path)
            print(path, r.status_code, len(r.content))
            assert r.status_code == 200, (path, r.get("Location"))
