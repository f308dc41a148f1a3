from django.db import migrations

# Alerts are sent as every other message is: what was still owed goes over, once for each alert and channel.
CARRY_OVER = """
INSERT INTO notifications_message
    (occasion, recipient, kind, facts, state, planned_at, retry_at, attempts, problem)
SELECT 'alert-' || a.id || CASE WHEN d.cleared THEN '-cleared' ELSE '-raised' END, 'alert:' || d.channel, 'alert',
       jsonb_build_object(
           'title', CASE WHEN d.cleared THEN 'Over: ' ELSE 'Alert: ' END || a.kind, 'sentence', a.sentence,
           'path', a.address, 'kind', a.kind, 'over', CASE WHEN d.cleared THEN 'yes' ELSE '' END,
           'at', to_char(coalesce(a.cleared_at, a.raised_at) AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"+00:00"')
       ),
       'owed', a.raised_at, d.retry_at, d.attempts, d.problem
FROM oversight_alertdelivery d JOIN oversight_alert a ON a.id = d.alert_id
WHERE d.state = 'owed';
"""


class Migration(migrations.Migration):
    dependencies = [
        ("notifications", "0002_preferences"),
        ("oversight", "0002_alerts_and_heartbeats"),
    ]

    operations = [
        migrations.RunSQL(CARRY_OVER, migrations.RunSQL.noop),
        migrations.DeleteModel(name="AlertDelivery"),
    ]
