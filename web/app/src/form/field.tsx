import { useId, type InputHTMLAttributes, type ReactNode } from "react";
import { useWords } from "../language";
import { useFieldErrors } from "./form";

export interface FieldProps extends Omit<InputHTMLAttributes<HTMLInputElement>, "id" | "className"> {
  name: string;
  label: string;
  hint?: string;
  /** Beside the input, within its frame. */
  end?: ReactNode;
  /** Below the input, before what is wrong with it. */
  below?: ReactNode;
}

export function Field({ name, label, hint, end, below, required = true, ...input }: FieldProps) {
  const words = useWords();
  const id = useId();
  const errors = useFieldErrors(name);
  const describedBy = [hint && `${id}-hint`, errors.length > 0 && `${id}-errors`].filter(Boolean).join(" ");
  return (
    <div className="field">
      <label htmlFor={id}>
        {label} {!required && <span className="quiet">({words.field.optional})</span>}
      </label>
      <div className="input">
        <input
          {...input}
          id={id}
          name={name}
          required={required}
          aria-invalid={errors.length > 0}
          aria-describedby={describedBy || undefined}
        />
        {end}
      </div>
      {hint && (
        <p id={`${id}-hint`} className="hint">
          {hint}
        </p>
      )}
      {below}
      <FieldErrorList id={`${id}-errors`} errors={errors} />
    </div>
  );
}

export function FieldErrorList({ id, errors }: { id: string; errors: string[] }) {
  if (errors.length === 0) return null;
  return (
    <ul id={id} className="field-errors">
      {errors.map((each) => (
        <li key={each}>{each}</li>
      ))}
    </ul>
  );
}

const AS_TYPED = { autoCapitalize: "none", autoCorrect: "off", spellCheck: false } as const;

export function UsernameField(props: Omit<FieldProps, "name"> & { name?: string }) {
  return <Field name="username" type="text" autoComplete="username" {...AS_TYPED} {...props} />;
}

export function EmailField(props: Omit<FieldProps, "name"> & { name?: string }) {
  return <Field name="email" type="email" inputMode="email" autoComplete="email" {...AS_TYPED} {...props} />;
}

/** For password managers alone: whose password this form sets. */
export function WhoseField({ username }: { username: string }) {
  return <input type="text" name="username" autoComplete="username" value={username} readOnly hidden />;
}
