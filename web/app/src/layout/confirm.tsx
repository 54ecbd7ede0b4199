import { useEffect, useId, useRef, useState, type ReactNode } from "react";
import { Form, type Values } from "../form/form";
import { useSession } from "../identity";
import { useWords } from "../language";

interface ConfirmButtonProps {
  label: string;
  /** Where the label alone does not tell one button from another. */
  accessibleLabel?: string;
  title: string;
  text: string;
  /** On the button that does it; the label where it is left out. */
  submit?: string;
  isDangerous?: boolean;
  onConfirm(values: Values): Promise<void>;
  /** After the dialog is closed. */
  onDone?(): void;
  explain?: Parameters<typeof Form>[0]["explain"];
  children?: ReactNode;
}

/** A button that asks once more, in a dialog, and says there what went wrong. */
export function ConfirmButton({ label, accessibleLabel, isDangerous = false, ...dialog }: ConfirmButtonProps) {
  const [isOpen, setOpen] = useState(false);
  return (
    <>
      <button
        type="button"
        className={isDangerous ? "button button-quiet button-warning" : "button button-quiet"}
        aria-label={accessibleLabel}
        aria-haspopup="dialog"
        onClick={() => setOpen(true)}
      >
        {label}
      </button>
      {isOpen && (
        <ConfirmDialog
          {...dialog}
          submit={dialog.submit ?? label}
          isDangerous={isDangerous}
          onClose={() => setOpen(false)}
        />
      )}
    </>
  );
}

type ConfirmDialogProps = Omit<ConfirmButtonProps, "label" | "accessibleLabel"> & { submit: string; onClose(): void };

function ConfirmDialog(props: ConfirmDialogProps) {
  const { title, text, submit, isDangerous, onConfirm, onDone, explain, children, onClose } = props;
  const words = useWords();
  const id = useId();
  const dialog = useRef<HTMLDialogElement>(null);
  const cancel = useRef<HTMLButtonElement>(null);
  const session = useSession();
  useEffect(() => {
    dialog.current?.showModal();
    if (!children) cancel.current?.focus(); // pressing Enter twice is to do no harm
  }, []);
  useEffect(() => {
    if (session.status !== "authenticated") onClose(); // it would lie over the page that asks to log in again
  }, [session.status]);

  async function confirm(values: Values) {
    await onConfirm(values);
    dialog.current?.close(); // gives the focus back, unless what comes of it takes it elsewhere
    onDone?.();
  }

  return (
    <dialog ref={dialog} aria-labelledby={`${id}-title`} aria-describedby={`${id}-text`} onClose={onClose}>
      <h2 id={`${id}-title`}>{title}</h2>
      <p id={`${id}-text`}>{text}</p>
      <Form
        onSubmit={confirm}
        submit={submit}
        isDangerous={isDangerous ?? false}
        explain={explain}
        aside={
          <button ref={cancel} type="button" className="button button-quiet" onClick={() => dialog.current?.close()}>
            {words.cancel}
          </button>
        }
      >
        {children}
      </Form>
    </dialog>
  );
}
