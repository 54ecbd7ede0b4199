import { lazy, Suspense } from "react";
import { Route, Routes } from "react-router";
import { AccountArea } from "./account-area";
import { ChangeEmailPage } from "./email-change/change-email";
import { ConfirmEmailPage } from "./email-change/confirm-email";
import { UndoEmailChangePage } from "./email-change/undo-email-change";
import { Layout } from "./layout/layout";
import { Waiting } from "./layout/loading";
import { LoginPage } from "./login";
import { AccountClosedPage } from "./my-data/account-closed";
import { MyDataPage } from "./my-data/my-data";
import { UndoDeletionPage } from "./my-data/undo-deletion";
import { NotFoundPage } from "./not-found";
import { OverviewPage } from "./overview";
import { OwnSessionsPage } from "./own-sessions";
import { ChangePasswordPage } from "./passwords/change-password";
import { ForgotPasswordPage } from "./passwords/forgot-password";
import { ResetPasswordPage } from "./passwords/reset-password";
import { ProfilePage } from "./profile";
import { RegistrationPage } from "./registration";
import { VerificationPage } from "./verification";

const Administration = lazy(() => import("./administration"));

export function App() {
  return (
    <Routes>
      <Route element={<Layout />}>
        <Route path="login" element={<LoginPage />} />
        <Route path="register" element={<RegistrationPage />} />
        <Route path="forgot-password" element={<ForgotPasswordPage />} />
        <Route path="reset-password" element={<ResetPasswordPage />} />
        <Route path="verify-email" element={<VerificationPage />} />
        <Route path="confirm-email" element={<ConfirmEmailPage />} />
        <Route path="undo-email-change" element={<UndoEmailChangePage />} />
        <Route path="account-closed" element={<AccountClosedPage />} />
        <Route path="undo-deletion" element={<UndoDeletionPage />} />
        <Route element={<AccountArea />}>
          <Route index element={<OverviewPage />} />
          <Route path="profile" element={<ProfilePage />} />
          <Route path="password" element={<ChangePasswordPage />} />
          <Route path="email" element={<ChangeEmailPage />} />
          <Route path="sessions" element={<OwnSessionsPage />} />
          <Route path="data" element={<MyDataPage />} />
          <Route
            path="admin/*"
            element={
              <Suspense fallback={<Waiting />}>
                <Administration />
              </Suspense>
            }
          />
        </Route>
        <Route path="*" element={<NotFoundPage />} />
      </Route>
    </Routes>
  );
}
