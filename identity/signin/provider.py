from allauth.socialaccount.providers.openid_connect.provider import OpenIDConnectProvider


class EntraProvider(OpenIDConnectProvider):
    pass
