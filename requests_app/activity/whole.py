"""Whether access was read whole: only then does nothing found say that it wasn't used."""

from __future__ import annotations

# Of a row `look`. What an earlier reading asked and the last one didn't isn't read to its end. Where as many accounts were
# asked as a reading asks (`asked` is one less), there may have been more: of such access nobody knows that it wasn't used.
WHOLE = """(
    look.complete AND NOT EXISTS (SELECT FROM requests_app_activityplace place WHERE place.look_id = look.id
        AND (place.problem <> '' OR place.cut_off_at IS NOT NULL OR place.unreadable > 0
             OR place.event_name = '' AND place.read_until < look.read_until))
    AND (SELECT count(DISTINCT place.account_id) FROM requests_app_activityplace place
         WHERE place.look_id = look.id AND place.event_name = '') BETWEEN 1 AND %(asked)s
)"""
