"""Embedded servers, process supervisor and installation. Nobody in the product imports this package."""
