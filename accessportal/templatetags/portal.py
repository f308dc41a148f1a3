"""The template side of the design system: small tags around templates/components/.

They are built-ins of every template (settings.TEMPLATES). `/components/` shows each of them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any

import heroicons
from django import template
from django.core.paginator import Page
from django.forms import BoundField
from django.http import HttpRequest, QueryDict
from django.template.context import Context
from django.template.loader import render_to_string
from django.utils.html import format_html
from django.utils.safestring import SafeString, mark_safe

from base.clock import business_now
from base.words import duration_words, moment_words, relative_words
from requests_app.estimates import short_words

register = template.Library()

# One shape per tone, so that a state is never told by colour alone (heroicons, micro).
TONE_SHAPES = {
    "live": "check-circle",
    "moving": "arrow-path",
    "waiting": "clock",
    "ending": "arrow-right-start-on-rectangle",
    "ended": "minus-circle",
    "problem": "exclamation-triangle",
}
NOTICE_SHAPES = {
    "info": "information-circle",
    "success": "check-circle",
    "warning": "exclamation-triangle",
    "error": "x-circle",
}


@register.simple_tag
def icon(name: str, size: int = 20) -> SafeString:
    """A decorative heroicon: 16 px from the micro set, 20 from mini, 24 from outline."""
    return _drawn(str(name), size)


@lru_cache(maxsize=512)  # the package copies and writes a tree each time, and a page has dozens
def _drawn(name: str, size: int) -> SafeString:
    style = {16: "micro", 20: "mini"}.get(size, "outline")
    svg = heroicons._render_icon(style, name, size, {"aria-hidden": "true"})
    return mark_safe(svg)  # noqa: S308 - from the icon package, with no input of a visitor


@register.simple_tag
def badge(tone: str, text: str, shape: str = "") -> SafeString:
    """A state in words, with a shape and a colour."""
    return format_html(
        '<span class="badge tone-{}">{}{}</span>', tone, icon(shape or TONE_SHAPES[tone], 16), text
    )


@register.simple_tag
def when(moment: datetime | None, distance: bool = True, absent: str = "not known") -> SafeString:
    """An instant: absolute with its zone, and how far away it is on the business clock."""
    if moment is None:
        return format_html('<span class="soft">{}</span>', absent)
    exact, now = moment.isoformat(timespec="seconds"), business_now()
    relative = (
        format_html(' <span class="relative">({})</span>', relative_words(moment - now)) if distance else ""
    )
    return format_html(
        '<local-time><time datetime="{}">{}</time>{}</local-time>', exact, moment_words(moment, now), relative
    )


@register.simple_tag
def countdown(until: datetime, since: datetime | None = None, over: str = "ending now") -> SafeString:
    """The time that is left until an instant; it ticks where scripts run and stands still elsewhere."""
    left = until - business_now()
    words = duration_words(left) if left > timedelta(0) else over
    return format_html(
        '<time-left role="timer" until="{}" since="{}" over="{}">{}</time-left>',
        until.isoformat(timespec="seconds"),
        since.isoformat(timespec="seconds") if since else "",
        over,
        words,
    )


@register.simple_tag
def share_left(since: datetime, until: datetime) -> str:
    """What is left of a window, between 0 and 1, for a progress bar."""
    if until <= since:
        return "0"
    return f"{max(0.0, min(1.0, (until - business_now()) / (until - since))):.3f}"


@register.filter
def duration(value: timedelta | None) -> str:
    """A span in words, e.g. "1 h 30 min"."""
    return duration_words(value) if value is not None else "not known"


@register.filter
def short_duration(value: timedelta) -> str:
    """A span in words; below two minutes in seconds."""
    return short_words(value)


@register.inclusion_tag("components/field.html")
def field(bound: BoundField, choices: bool = False) -> dict[str, Any]:
    """A form field with label, hint and its refusal; `choices` lays radio buttons out as chips."""
    demanded = bound.field.required or bound.name in getattr(bound.form, "demanded", ())
    return {"field": bound, "choices": choices, "demanded": demanded}


@register.inclusion_tag("components/crumbs.html")
def crumbs(*path: str) -> dict[str, Any]:
    """The way to this page: address and name in turn, then the name of the page itself."""
    pairs = list(zip(path[:-1:2], path[1::2], strict=False))
    return {"trail": pairs, "here": path[-1]}


@register.inclusion_tag("components/tracker.html")
def tracker(phases: Sequence[Any]) -> dict[str, Any]:
    """The steps of a request in their phases, each done, current, to come, skipped or in trouble."""
    return {"phases": phases}


@register.inclusion_tag("components/pager.html")
def pager(
    newest: str = "", older: str = "", note: str = "", back: str = "Newest", on: str = "Older"
) -> dict[str, Any]:
    """Keyset paging: back to the first page, on to the next. Empty addresses show nothing."""
    return {"newest": newest, "older": older, "note": note, "back": back, "on": on}


@register.inclusion_tag("components/page_numbers.html", takes_context=True)
def page_numbers(
    context: Context, page: Page[Any], things: str, kept: Mapping[str, str] | None = None
) -> dict[str, Any]:
    """Numbered paging that keeps the other parameters of the address, and names what is `kept` besides."""
    request: HttpRequest | None = context.get("request")
    query = request.GET.copy() if request else QueryDict(mutable=True)
    for name, value in (kept or {}).items():
        query[name] = value
    return {"page": page, "things": things, "query": query}


@register.inclusion_tag("components/snippet.html")
def snippet(name: str, label: str, text: str) -> dict[str, Any]:
    """Text to take along, with a copy button where the browser allows one."""
    return {"name": name, "label": label, "text": text}


@register.inclusion_tag("components/tabs.html")
def tabs(label: str, entries: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """Links to the parts of a page: mappings with `address`, `name`, `current` and perhaps `count`."""
    return {"label": label, "entries": entries}


@register.simple_block_tag
def pagehead(content: str, title: str, lede: str = "") -> SafeString:
    """The page's one h1, a sentence under it, and on the other side its actions."""
    return render_to_string(
        "components/pagehead.html",
        {"content": content, "filled": bool(content.strip()), "title": title, "lede": lede},
    )


@register.simple_block_tag
def notice(content: str, tone: str = "info", title: str = "") -> SafeString:
    """Something to know before going on; errors and warnings are announced."""
    return render_to_string(
        "components/notice.html",
        {"content": content, "tone": tone, "title": title, "shape": NOTICE_SHAPES[tone]},
    )


@register.simple_block_tag
def empty(content: str, title: str, shape: str = "inbox") -> SafeString:
    """What to say where nothing is, and what to do about it."""
    return render_to_string("components/empty.html", {"content": content, "title": title, "shape": shape})


@register.simple_block_tag(takes_context=True)
def confirm(
    context: Context,
    content: str,
    action: str,
    label: str,
    title: str,
    agree: str,
    keep: str = "Cancel",
    name: str = "confirm",
    shape: str = "",
    kind: str = "",
) -> SafeString:
    """A button that posts to `action` after a question; without scripts it posts at once."""
    return render_to_string(
        "components/confirm.html",
        {
            "content": content,
            "action": action,
            "label": label,
            "title": title,
            "agree": agree,
            "keep": keep,
            "name": name,
            "shape": shape,
            "kind": kind,
            "csrf_token": context.get("csrf_token", ""),
        },
    )
