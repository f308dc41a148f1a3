"""Migration operations for what Django has no words for: rights of the application's database roles.

The roles exist before the first migration (they are created with the database); migrations run as
the owner and hand out exactly what each process needs, table by table.
"""

from __future__ import annotations

from django.db.migrations.operations import RunSQL

WEB = "portal_web"
WORKER = "portal_worker"
SEALER = "portal_sealer"
REMOVER = "portal_remover"
SEVERER = "portal_severer"


class GrantRights(RunSQL):
    """Give each role its rights on one table, e.g. `GrantRights("t", web="SELECT", worker="SELECT, UPDATE")`."""

    def __init__(
        self,
        table: str,
        *,
        web: str = "",
        worker: str = "",
        sealer: str = "",
        remover: str = "",
        severer: str = "",
    ) -> None:
        named = {"web": web, "worker": worker, "sealer": sealer, "remover": remover, "severer": severer}
        self._args = (table, named)
        given = dict(zip((WEB, WORKER, SEALER, REMOVER, SEVERER), named.values(), strict=True))
        forward = [f'REVOKE ALL ON "{table}" FROM PUBLIC']
        forward += [f'GRANT {rights} ON "{table}" TO {role}' for role, rights in given.items() if rights]
        backward = [f'REVOKE ALL ON "{table}" FROM {role}' for role, rights in given.items() if rights]
        super().__init__(sql=";\n".join(forward), reverse_sql=";\n".join(backward) or RunSQL.noop)

    def deconstruct(self) -> tuple[str, list[str], dict[str, str]]:
        table, named = self._args
        return (
            self.__class__.__qualname__,
            [table],
            {name: rights for name, rights in named.items() if rights},
        )
