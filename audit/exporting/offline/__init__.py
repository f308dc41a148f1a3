"""The verifier that travels with each evidence pack. It imports nothing of the portal."""
