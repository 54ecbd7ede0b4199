"""The endpoints, written as one writes them with DRF."""

from django.contrib.auth.models import User
from django.contrib.auth.password_validation import validate_password
from django.contrib.auth.tokens import default_token_generator
from django.core.mail import send_mail
from django.urls import path
from django.utils.encoding import force_bytes, force_str
from django.utils.http import urlsafe_base64_decode, urlsafe_base64_encode
from rest_framework import generics, serializers
from rest_framework.permissions import AllowAny
from rest_framework.response import Response
from rest_framework.views import APIView
from rest_framework_simplejwt.views import TokenObtainPairView, TokenRefreshView


class UserSerializer(serializers.ModelSerializer):
    last_updated = serializers.DateTimeField(source="last_login")

    class Meta:
        model = User
        fields = ("id", "username", "email", "date_joined", "last_updated")


class RegisterSerializer(serializers.ModelSerializer):
    password = serializers.CharField(write_only=True, validators=[validate_password])

    class Meta:
        model = User
        fields = ("username", "email", "password")

    def create(self, validated_data):
        return User.objects.create_user(**validated_data)


class Register(generics.CreateAPIView):
    permission_classes = (AllowAny,)
    serializer_class = RegisterSerializer

    def create(self, request, *args, **kwargs):
        super().create(request, *args, **kwargs)
        return Response({"message": "User created successfully"}, status=201)


class Profile(generics.RetrieveAPIView):
    serializer_class = UserSerializer

    def get_object(self):
        return self.request.user


class ChangePassword(APIView):
    def post(self, request):
        if not request.user.check_password(request.data.get("old_password")):
            return Response({"error": "Incorrect old password"}, status=400)
        validate_password(request.data.get("new_password"), request.user)
        request.user.set_password(request.data["new_password"])
        request.user.save()
        return Response({"message": "Password changed successfully"})


class ForgotPassword(APIView):
    permission_classes = (AllowAny,)

    def post(self, request):
        user = User.objects.filter(email=request.data.get("email")).first()
        if user is not None:
            link = f"{urlsafe_base64_encode(force_bytes(user.pk))}/{default_token_generator.make_token(user)}"
            send_mail("Reset your password", link, None, [user.email])
        return Response({"message": "Password reset instructions sent to your email"})


class ResetPassword(APIView):
    permission_classes = (AllowAny,)

    def post(self, request):
        user = User.objects.filter(pk=force_str(urlsafe_base64_decode(request.data["uidb64"]))).first()
        if user is None or not default_token_generator.check_token(user, request.data["token"]):
            return Response({"error": "Invalid or expired token."}, status=400)
        user.set_password(request.data["password"])
        user.save()
        return Response({"message": "Password has been reset successfully"})


urlpatterns = [
    path("api/auth/register/", Register.as_view()),
    path("api/auth/login/", TokenObtainPairView.as_view()),
    path("api/auth/token/refresh/", TokenRefreshView.as_view()),
    path("api/user/profile/", Profile.as_view()),
    path("api/user/change-password/", ChangePassword.as_view()),
    path("api/auth/forgot-password/", ForgotPassword.as_view()),
    path("api/auth/reset-password/", ResetPassword.as_view()),
]
