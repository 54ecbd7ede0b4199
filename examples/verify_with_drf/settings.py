"""Settings of a Django service that accepts the access tokens of Identity, with DRF and SimpleJWT.

    pip install django djangorestframework djangorestframework-simplejwt 'pyjwt[crypto]'
    ISSUER=https://id.example.com SECRET_KEY=... python -m django runserver 8001 --settings settings

It has no table of users: `JWTStatelessUserAuthentication` makes a `TokenUser` of the token's claims.
"""

import os

SECRET_KEY = os.environ["SECRET_KEY"]  # Django's own; no token is signed or verified with it
ALLOWED_HOSTS = ["127.0.0.1", "localhost"]
ROOT_URLCONF = "urls"
INSTALLED_APPS = ["django.contrib.auth", "django.contrib.contenttypes"]
USE_TZ = True

REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "rest_framework_simplejwt.authentication.JWTStatelessUserAuthentication"
    ],
    "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAuthenticated"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
}
SIMPLE_JWT = {
    "ALGORITHM": "ES256",  # that of IDENTITY_TOKEN_ALGORITHM; SimpleJWT takes no second one
    "JWK_URL": os.environ.get("KEYS_URL", f"{os.environ['ISSUER']}/.well-known/jwks.json"),
    "SIGNING_KEY": "",  # this service signs nothing
    "ISSUER": os.environ["ISSUER"],  # IDENTITY_ISSUER
    "AUDIENCE": os.environ.get("AUDIENCE", "identity"),  # IDENTITY_AUDIENCE
    "USER_ID_CLAIM": "user_id",
    "LEEWAY": 30,  # seconds that the clocks may be apart
}
