from typing import Any, ClassVar

import django.db.models.deletion
from django.db import migrations, models

from policy.demands import parse_demands, serialise_demands
from policy.document import document_hash


def make_terms(apps: Any, _editor: Any) -> None:
    """Every request so far was judged by one rule version: that is its terms."""
    items, terms = apps.get_model("requests_app", "RequestItem"), apps.get_model("policy", "Terms")
    versions = apps.get_model("policy", "RuleVersion")
    for version in versions.objects.filter(pk__in=items.objects.values("rule_version")).select_related(
        "rule"
    ):
        demands = serialise_demands(parse_demands(version.document))
        judged_by = [
            {
                "rule": version.rule_id,
                "version": version.pk,
                "name": version.rule.name,
                "number": version.number,
            }
        ]
        made = terms.objects.create(
            demands=demands,
            judged_by=judged_by,
            document_hash=document_hash({"demands": demands, "judged_by": judged_by}),
        )
        items.objects.filter(rule_version=version).update(terms=made)


class Migration(migrations.Migration):
    dependencies: ClassVar = [("requests_app", "0020_favourites"), ("policy", "0002_terms")]

    operations: ClassVar = [
        migrations.AddField(
            model_name="requestitem",
            name="terms",
            field=models.ForeignKey(
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="request_items",
                to="policy.terms",
            ),
        ),
        migrations.RunPython(make_terms, migrations.RunPython.noop, elidable=False),
    ]
