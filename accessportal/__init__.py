"""The project: settings, processes, and what every page shares."""
