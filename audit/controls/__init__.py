"""The controls page: figures about a period that auditors of SOC 2, ISO 27001, PCI DSS and NIST 800-53 ask for."""
