"""An auditor's browser, as for the pages."""

from tests.audit.history.conftest import _site, auditor

__all__ = ["_site", "auditor"]
