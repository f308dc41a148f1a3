"""Which controls each figure is evidence for: ids as their publishers spell them, never their text.

Editions: AICPA Trust Services Criteria 2017 (points of focus revised 2022), ISO/IEC 27001:2022 Annex A, PCI DSS 4.0.1,
NIST SP 800-53 Revision 5. A figure supports a control; whether the control is met is for the auditor to say.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

SOC2, ISO, PCI, NIST = "SOC 2", "ISO 27001", "PCI DSS", "NIST 800-53"
EDITIONS = {
    SOC2: "Trust Services Criteria 2017",
    ISO: "ISO/IEC 27001:2022, Annex A",
    PCI: "PCI DSS 4.0.1",
    NIST: "SP 800-53 Rev. 5",
}


@dataclass(frozen=True, slots=True)
class Controls:
    """The ids of one framework that a figure supports."""

    framework: str
    ids: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.framework} {', '.join(self.ids)}"


def _of(soc2: str, iso: str, pci: str, nist: str) -> Sequence[Controls]:
    named = ((SOC2, soc2), (ISO, iso), (PCI, pci), (NIST, nist))
    return tuple(Controls(framework, tuple(ids.split())) for framework, ids in named if ids)


SUPPORTED: Mapping[str, Sequence[Controls]] = {
    "self_approvals": _of("CC6.3 CC5.1", "A.5.3", "7.2.3", "AC-5"),
    "late_removals": _of("CC6.2 CC6.3", "A.5.18", "8.2.5", "AC-2(2) AC-2(3)"),
    "ungranted_members": _of("CC6.1 CC7.2", "A.5.18 A.8.2", "7.2.1 7.2.2", "AC-2 AC-3 AC-6"),
    "undecidable": _of("CC6.3 A1.1", "A.5.18", "7.2.3", "AC-2"),
    "time_to_decide": _of("CC6.2", "A.5.18", "7.2.3", "AC-2"),
    "time_to_remove": _of("CC6.2 CC6.3", "A.5.18", "8.2.5", "AC-2(2) AC-2(3)"),
    "unused": _of("CC6.3", "A.5.18 A.8.2", "7.2.4 8.2.6", "AC-2(3) AC-6(7)"),
    "seal_lag": _of("CC7.2 CC7.3", "A.8.15 A.5.33", "10.3.2 10.3.4", "AU-9(3) AU-10"),
    "anchor_lag": _of("CC7.2 CC7.3", "A.8.15 A.5.33", "10.3.3", "AU-9(2)"),
}
