"""Stand-ins for Microsoft Entra and AWS, for the demo and the tests. Nothing in the product imports this."""
