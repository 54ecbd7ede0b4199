import { useEffect, useRef, useState } from "react";
import { useWords } from "../language";
import { Field } from "./field";
import { strengthOf, type Strength } from "./strength";

interface PasswordFieldProps {
  name?: string;
  label?: string;
  autoComplete?: "current-password" | "new-password";
}

export function PasswordField({ name = "password", label, autoComplete = "current-password" }: PasswordFieldProps) {
  const words = useWords();
  const { isShown, button } = useShowing();
  return (
    <Field
      name={name}
      label={label ?? words.field.password}
      type={isShown ? "text" : "password"}
      autoComplete={autoComplete}
      {...AS_IT_IS}
      end={button}
    />
  );
}

/** `about`: what the password should not be like, as far as it is known here. */
export function NewPasswordField({ name = "password", label, about = [] }: PasswordFieldProps & { about?: string[] }) {
  const words = useWords();
  const { isShown, button } = useShowing();
  const [password, setPassword] = useState("");
  return (
    <Field
      name={name}
      label={label ?? words.field.newPassword}
      type={isShown ? "text" : "password"}
      autoComplete="new-password"
      hint={words.field.passwordHint}
      {...AS_IT_IS}
      onChange={(event) => setPassword(event.currentTarget.value)}
      end={button}
      below={<StrengthHint strength={strengthOf(password, about)} />}
    />
  );
}

const AS_IT_IS = { autoCapitalize: "none", autoCorrect: "off", spellCheck: false } as const;

/** A shown password is hidden again when its form is sent, or browsers keep it among what was typed into text fields. */
function useShowing() {
  const words = useWords();
  const button = useRef<HTMLButtonElement>(null);
  const [isShown, setShown] = useState(false);
  useEffect(() => {
    const form = button.current?.form;
    const hide = () => setShown(false);
    form?.addEventListener("submit", hide);
    return () => form?.removeEventListener("submit", hide);
  }, []);
  return {
    isShown,
    button: (
      <button
        ref={button}
        type="button"
        className="input-button"
        aria-label={isShown ? words.field.hidePassword : words.field.showPassword}
        onClick={() => setShown(!isShown)}
      >
        {isShown ? words.field.hide : words.field.show}
      </button>
    ),
  };
}

function StrengthHint({ strength }: { strength: Strength | null }) {
  const words = useWords();
  return (
    <div className="strength" data-level={strength?.level ?? 0}>
      <div className="strength-bar" aria-hidden="true">
        <span />
        <span />
        <span />
      </div>
      <p role="status">{strength && say(strength)}</p>
    </div>
  );

  function say({ reason, missing }: Strength): string {
    return reason === "tooShort" ? words.strength.tooShort(missing) : words.strength[reason];
  }
}
