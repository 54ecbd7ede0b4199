"""Login by username or by e-mail address."""

from django.contrib.auth.backends import ModelBackend
from django.contrib.auth.models import User


class UsernameOrEmail(ModelBackend):
    def authenticate(self, request, username=None, password=None, **_):
        field = "email" if "@" in username else "username"
        user = User.objects.filter(**{field: username}).first()
        if user is None:
            User().set_password(password)  # as Django does, so that the time does not tell
            return None
        return user if user.check_password(password) and self.user_can_authenticate(user) else None
