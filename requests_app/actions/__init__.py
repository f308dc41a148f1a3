"""The verbs. Each is a keyword-only function: ids in, fresh rows locked, judged, written, refused loudly."""
