"""The original's React app, as its description has it: axios calls one after the other, unchanged."""

from __future__ import annotations


async def test_the_app_of_the_original_works_unchanged(service):
    axios = service.client

    # Sign up.
    response = await axios.post(
        "/api/auth/register/",
        json={"username": "john_doe", "email": "john@example.com", "password": "yourpassword123"},
    )
    assert response.json()["message"] == "User created successfully"

    # localStorage.setItem('access_token', response.data.access)
    response = await axios.post(
        "/api/auth/login/", json={"username": "john_doe", "password": "yourpassword123"}
    )
    storage = {"access_token": response.json()["access"], "refresh_token": response.json()["refresh"]}

    def headers():
        return {"Authorization": f"Bearer {storage['access_token']}"}

    response = await axios.get("/api/user/profile/", headers=headers())
    profile = {
        "id": 1,
        "username": "john_doe",
        "email": "john@example.com",
        "email_verified": False,
        "date_joined": "2026-01-01T12:00:00Z",
        "last_updated": "2026-01-01T12:00:00Z",
    }
    assert response.json() == {**response.json(), **profile}  # and what came later

    # The app keeps the first refresh token for good.
    for _ in range(3):
        response = await axios.post(
            "/api/auth/token/refresh/", json={"refresh": storage["refresh_token"]}, headers=headers()
        )
        storage["access_token"] = response.json()["access"]
        assert (await axios.get("/api/user/profile/", headers=headers())).status_code == 200

    response = await axios.post(
        "/api/user/change-password/",
        json={"old_password": "youroldpassword123", "new_password": "yournewpassword123"},
        headers=headers(),
    )
    assert response.status_code == 400
    assert response.json()["error"] == "Incorrect old password"
    response = await axios.post(
        "/api/user/change-password/",
        json={"old_password": "yourpassword123", "new_password": "yournewpassword123"},
        headers=headers(),
    )
    assert response.json()["message"] == "Password changed successfully"
    assert (await axios.get("/api/user/profile/", headers=headers())).status_code == 200

    # Forgot it all the same. The mail's link leads to the app's route /reset-password/:uidb64/:token.
    response = await axios.post("/api/auth/forgot-password/", json={"email": "john@example.com"})
    assert response.json()["message"] == "Password reset instructions sent to your email"
    await service.deliver()
    uidb64, token = service.link()
    response = await axios.post(
        "/api/auth/reset-password/", json={"uidb64": uidb64, "token": token, "password": "newpassword123"}
    )
    assert response.json()["message"] == "Password has been reset successfully"

    # With the stale token still in its storage, the app finds itself signed out and signs in again.
    assert (await axios.get("/api/user/profile/", headers=headers())).status_code == 401
    response = await axios.post(
        "/api/auth/login/",
        json={"username": "john@example.com", "password": "newpassword123"},
        headers=headers(),
    )
    storage["access_token"] = response.json()["access"]
    response = await axios.get("/api/user/profile/", headers=headers())
    assert response.json()["username"] == "john_doe"
