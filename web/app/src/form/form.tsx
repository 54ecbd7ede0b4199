import { IdentityError } from "identity-client";
import { createContext, useContext, useEffect, useRef, useState, type FormEvent, type ReactNode } from "react";
import { inWords } from "../language/durations";
import { translated } from "../language/field-messages";
import { useLanguage, type Words } from "../language";
import { wordsOf, waitOf } from "../refusal";
import { useCountdown } from "./countdown";
import { useElapsed } from "./elapsed";

export type Values = Record<string, string>;
export type FieldErrors = Record<string, readonly string[]>;

/** What a form says of a refusal: at its fields, or above them where that is a text. */
type Explain = (error: IdentityError, words: Words) => string | FieldErrors | null;

interface FormProps {
  /** Rejects with what went wrong. What was typed is still there then. */
  onSubmit(values: Values): Promise<void>;
  submit: string;
  /** Where `submit` alone does not tell one button from another. */
  submitLabel?: string;
  /** For refusals that mean something particular here; `null` for all others. */
  explain?: Explain | undefined;
  isDangerous?: boolean;
  children?: ReactNode;
  /** Beside the button. */
  aside?: ReactNode;
}

const REQUIRED = "This field is required.";
const FieldErrorsContext = createContext<FieldErrors>({});

/** What is wrong with the field, in the reader's language. */
export function useFieldErrors(name: string): string[] {
  const { language } = useLanguage();
  const errors = useContext(FieldErrorsContext);
  return (Object.hasOwn(errors, name) ? errors[name]! : []).map((message) => translated(message, language));
}

export function Form({ onSubmit, submit, submitLabel, explain, isDangerous = false, children, aside }: FormProps) {
  const { words, language } = useLanguage();
  const form = useRef<HTMLFormElement>(null);
  const summary = useRef<HTMLDivElement>(null);
  const [error, setError] = useState<unknown>(null);
  const [isSending, setSending] = useState(false);
  const { left, start } = useCountdown();
  const elapsed = useElapsed(isSending);

  const explained = error instanceof IdentityError ? (explain?.(error, words) ?? null) : null;
  const fields = fieldsOf(error, explained);
  const homeless = messagesWithoutField(fields, form.current);
  const isWaiting = left > 0;
  const message = messageOf();

  useEffect(() => {
    if (!error) return;
    const wrong = form.current?.querySelector<HTMLElement>("[aria-invalid=true]");
    (wrong ?? summary.current)?.focus();
  }, [error]);

  async function send(event: FormEvent<HTMLFormElement>) {
    event.preventDefault();
    event.stopPropagation(); // React passes events of a dialog on to the form that it is written in
    if (isSending || left > 0) return;
    const empty = emptyFields(event.currentTarget);
    if (empty) {
      setError(new IncompleteInput(empty));
      return;
    }
    const values = valuesOf(event.currentTarget);
    setSending(true);
    setError(null);
    try {
      await onSubmit(values);
    } catch (refusal) {
      start(waitOf(refusal) ?? 0);
      setError(refusal);
    } finally {
      setSending(false);
    }
  }

  function messageOf(): string | null {
    if (error === null || fields) return null;
    if (waitOf(error) !== null && !isWaiting) return words.sending.nowAgain;
    return typeof explained === "string" ? explained : wordsOf(error, words);
  }

  return (
    <form ref={form} onSubmit={send} noValidate className="form">
      {(message || homeless.length > 0) && (
        <div ref={summary} role="alert" tabIndex={-1} className="notice notice-wrong">
          {message && <p>{message}</p>}
          {homeless.map((each) => (
            <p key={each}>{translated(each, language)}</p>
          ))}
        </div>
      )}
      <FieldErrorsContext value={fields ?? {}}>{children}</FieldErrorsContext>
      <div className="form-end">
        <button
          type="submit"
          className={isDangerous ? "button button-dangerous" : "button"}
          disabled={isSending || isWaiting}
          aria-busy={isSending}
          aria-label={isSending || isWaiting ? undefined : submitLabel}
        >
          {isWaiting ? words.sending.againIn(inWords(left, words)) : isSending && elapsed !== "short" ? words.sending.now : submit}
        </button>
        {aside}
      </div>
      <p role="status" className="form-status">
        {elapsed === "long" && words.sending.slow}
      </p>
    </form>
  );
}

class IncompleteInput extends Error {
  constructor(readonly fields: FieldErrors) {
    super();
  }
}

function fieldsOf(error: unknown, explained: string | FieldErrors | null): FieldErrors | null {
  if (explained) return typeof explained === "string" ? null : explained;
  if (error instanceof IncompleteInput) return error.fields;
  return error instanceof IdentityError && error.kind === "fields" ? error.fields : null;
}

function inputsOf(form: HTMLFormElement): HTMLInputElement[] {
  return [...form.elements].filter((each): each is HTMLInputElement => "value" in each && "name" in each && each.name !== "");
}

function emptyFields(form: HTMLFormElement): FieldErrors | null {
  const empty = inputsOf(form).filter((input) => input.required && input.value === "");
  return empty.length ? Object.fromEntries(empty.map((input) => [input.name, [REQUIRED]])) : null;
}

function valuesOf(form: HTMLFormElement): Values {
  return Object.fromEntries(inputsOf(form).map((input) => [input.name, input.value]));
}

/** A refusal may name what this form does not have a field for; that is told above the fields. */
function messagesWithoutField(fields: FieldErrors | null, form: HTMLFormElement | null): string[] {
  if (!fields || !form) return [];
  const names = new Set(inputsOf(form).map((input) => input.name));
  return Object.entries(fields)
    .filter(([name]) => !names.has(name))
    .flatMap(([, messages]) => messages);
}
