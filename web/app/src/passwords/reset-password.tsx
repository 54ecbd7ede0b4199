import { useState } from "react";
import { Link } from "react-router";
import { WhoseField } from "../form/field";
import { Form, type Values } from "../form/form";
import { NewPasswordField } from "../form/password-field";
import { identity, patience } from "../identity";
import { useWords } from "../language";
import { CardPage } from "../layout/page";
import { mailedLink } from "../links";
import { isBadLink, LinkGonePage } from "../mailed-link";
import { IdentityError } from "identity-client";
import { askedAddress, forgetAskedAddress } from "./asked-address";

export function ResetPasswordPage() {
  const { reset: words } = useWords();
  const [link] = useState(() => mailedLink("reset-password"));
  const [address] = useState(askedAddress);
  const [state, setState] = useState<"asking" | "done" | "expired">("asking");

  if (!link) return <LinkGonePage />;
  if (state === "done") {
    return (
      <CardPage title={words.done.title} intro={words.done.text}>
        <Link to="/login" state={{ username: address }} className="button">
          {words.logIn}
        </Link>
      </CardPage>
    );
  }
  if (state === "expired") {
    return (
      <CardPage title={words.expired.title} intro={words.expired.text}>
        <Link to="/forgot-password" className="button">
          {words.expired.again}
        </Link>
      </CardPage>
    );
  }

  async function submit(values: Values) {
    try {
      const body = { ...link!, password: values["password"] ?? "" };
      await identity.api.POST("/api/auth/reset-password/", { body, signal: patience() });
    } catch (error) {
      // A weak password does not use the link up: the page goes on with it.
      if (!isBadLink(error) || (error instanceof IdentityError && error.fields["password"])) throw error;
      return setState("expired");
    }
    forgetAskedAddress();
    setState("done");
  }

  return (
    <CardPage title={words.title} intro={words.text}>
      <Form onSubmit={submit} submit={words.submit}>
        <WhoseField username={address} />
        <NewPasswordField about={[address]} />
      </Form>
    </CardPage>
  );
}
