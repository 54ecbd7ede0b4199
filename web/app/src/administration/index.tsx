import { NavLink, Route, Routes } from "react-router";
import { NotFoundPage } from "../not-found";
import { AuditLogPage } from "./audit-log";
import { useAdministrationWords } from "./language";
import { OutboxPage } from "./outbox";
import { UserPage } from "./user";
import { UsersPage } from "./users";

/** Loaded by those who open it. */
export default function Administration() {
  const { nav } = useAdministrationWords();
  return (
    <>
      <nav className="tabs" aria-label={nav.label}>
        <NavLink to="/admin/users">{nav.users}</NavLink>
        <NavLink to="/admin/audit">{nav.audit}</NavLink>
        <NavLink to="/admin/outbox">{nav.outbox}</NavLink>
      </nav>
      <Routes>
        <Route index element={<UsersPage />} />
        <Route path="users" element={<UsersPage />} />
        <Route path="users/:id" element={<UserPage />} />
        <Route path="audit" element={<AuditLogPage />} />
        <Route path="outbox" element={<OutboxPage />} />
        <Route path="*" element={<NotFoundPage />} />
      </Routes>
    </>
  );
}
