"""Which controls each figure is evidence for: ids as their publishers spell them, never their text.

Editions: AICPA Trust Services Criteria 2017 (points of focus revised 2022), ISO/IEC 27001:2022 Annex A, PCI DSS 4.0.1,
NIST SP 800-53 Revision 5. A figure supports a control; whether the control is met is for the auditor to say.

Each id was looked up, with what it is about, in November 2026. Left out is what only sounds alike: 8.2.6 and AC-2(3)
for unused eligibilities (both are about accounts), A1.1 (it is about capacity), CC7.3 (what becomes of a security event).
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


# What each is about, and where that was read; the publishers' own texts are theirs to sell.
# CC6.1  logical access security           truvocyber.com/blog/soc-2-cc6-1-logical-access-security-1
# CC6.2  users authorised, then removed     ce.prod.cloudaware.com/frameworks/soc-2/cc6/02
# CC6.3  access given, changed, removed; least privilege; segregation of duties   .../frameworks/soc-2/cc6/03
# CC7.2  anomalies are monitored            www.auditfront.com/frameworks/soc-2/common-criteria/cc7-2
# A.5.3 segregation of duties, A.5.18 access rights, A.5.33 protection of records   gabriel.hk/iso-27001-4-themes-93-controls
# A.8.2 privileged access rights            www.isms.online/iso-27001/annex-a/8-2-use-of-privileged-access-rights-2022
# A.8.15 logging                            www.isms.online/iso-27001/annex-a/8-15-logging-2022
# 7.2.1 a model of access, 7.2.2 least privilege, 7.2.3 privileges are approved     withpci.com/requirements/7/7.2
# 7.2.4  access is reviewed                 ce.prod.cloudaware.com/frameworks/pci-dss-v4.0.1/07/02/04
# 8.2.4  only what the approval says        withpci.com/requirements/8/8.2/8.2.4
# 8.2.5  leavers lose access at once        withpci.com/requirements/8/8.2/8.2.5
# 10.3.2 logs can't be changed, 10.3.3 kept elsewhere, 10.3.4 changes are noticed   .../frameworks/pci-dss-v4.0.1/10/03
# AC-2   accounts, with approval and review www.stigviewer.com/controls/nist-800-53/AC-2
# AC-2(2) temporary ones end by themselves  csf.tools/reference/nist-sp-800-53/r5/ac/ac-2/ac-2-2
# AC-2(3) expired ones are disabled         www.myctrl.tools/frameworks/nist-800-53-r5/ac-2-3
# AC-3 enforcement, AC-5 separation of duties, AC-6 least privilege   NIST's OSCAL catalog of Revision 5
# AC-6(7) privileges are reviewed           www.nistcontrols.io/controls/AC-6(7)
# AU-9(2) records on another system         www.stigviewer.com/controls/nist-800-53/AU-9(2)
# AU-9(3) signed hashes                     www.nistcontrols.io/controls/AU-9(3)
# AU-10  non-repudiation                    www.cardinalsixcyber.com/nist-800-53/au-10
SUPPORTED: Mapping[str, Sequence[Controls]] = {
    "self_approvals": _of("CC6.3", "A.5.3", "7.2.3", "AC-5"),
    "late_removals": _of("CC6.2 CC6.3", "A.5.18", "8.2.4 8.2.5", "AC-2(2) AC-2(3)"),
    "ungranted_members": _of("CC6.1 CC7.2", "A.5.18 A.8.2", "7.2.1 7.2.2", "AC-2 AC-3 AC-6"),
    "undecidable": _of("CC6.3", "A.5.18", "7.2.3", "AC-2"),
    "unreviewed_emergencies": _of("CC6.3", "A.5.18 A.8.2", "7.2.4", "AC-6(7)"),
    "automatic_approvals": _of("CC6.3", "A.5.18", "7.2.3", "AC-2 AC-3"),
    "time_to_decide": _of("CC6.3", "A.5.18", "7.2.3", "AC-2"),
    "time_to_remove": _of("CC6.2 CC6.3", "A.5.18", "8.2.4 8.2.5", "AC-2(2) AC-2(3)"),
    "unused": _of("CC6.3", "A.5.18 A.8.2", "7.2.4", "AC-6(7)"),
    "unused_access": _of("CC6.3", "A.5.18 A.8.2", "7.2.4", "AC-6(7)"),
    "seal_lag": _of("CC7.2", "A.8.15 A.5.33", "10.3.2 10.3.4", "AU-9(3) AU-10"),
    "verification": _of("CC7.2", "A.8.15 A.5.33", "10.3.4", "AU-9(3)"),
    "anchor_lag": _of("CC7.2", "A.8.15 A.5.33", "10.3.3", "AU-9(2)"),
}
