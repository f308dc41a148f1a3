"""Whether the product does what it promises: the operator's pages, drift, alerts and metrics."""
