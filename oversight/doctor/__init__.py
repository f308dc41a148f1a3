"""Whether the tenant is as the portal needs it: small checks that read, one call after another, and change nothing.

`examine` runs them all; `manage.py doctor` prints what they find.
"""

from oversight.doctor.examining import examine
from oversight.doctor.findings import Finding, Level

__all__ = ["Finding", "Level", "examine"]
