"""Sign-in with Microsoft Entra: allauth's OpenID Connect provider, with what it leaves out."""
