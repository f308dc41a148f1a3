"""Where the vendors end: typed ports, the values they speak and the errors they raise.

The rest of the product imports `clients.ports`, `clients.types`, `clients.errors` and
`clients.registry`, never an adapter and never an SDK.
"""
