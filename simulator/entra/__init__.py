"""Stand-in for Microsoft Entra: sign-in, tokens and Microsoft Graph, spoken over real HTTP."""
