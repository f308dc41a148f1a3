"""People are told of changes of the rules too, which belong to no request."""

from __future__ import annotations

from typing import ClassVar

from django.db import migrations


def _trigger(concerned: str) -> str:
    return f"""
DROP TRIGGER notifications_owe ON public.audit_event;
CREATE TRIGGER notifications_owe AFTER INSERT ON public.audit_event
    FOR EACH ROW
    WHEN (({concerned}) AND NEW.type NOT LIKE 'outside.%')
    EXECUTE FUNCTION public.notifications_owe();
"""


_BEFORE = "NEW.request_id IS NOT NULL OR NEW.grant_id IS NOT NULL OR NEW.type LIKE 'absence.%'"


class Migration(migrations.Migration):
    dependencies: ClassVar = [("notifications", "0003_absences")]

    operations: ClassVar = [
        migrations.RunSQL(_trigger(f"{_BEFORE} OR NEW.type LIKE 'rules.%'"), _trigger(_BEFORE)),
    ]
