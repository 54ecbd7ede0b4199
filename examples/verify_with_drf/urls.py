"""The one view: it tells the bearer of an access token who that is."""

from django.urls import path
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView


class WhoAmI(APIView):
    def get(self, request: Request) -> Response:
        return Response({"user_id": request.user.id})


urlpatterns = [path("", WhoAmI.as_view())]
