import { useId } from "react";
import { FieldErrorList } from "./field";
import { useFieldErrors } from "./form";

interface SelectFieldProps {
  name: string;
  label: string;
  defaultValue: string;
  /** Values and what they are called. */
  options: readonly (readonly [string, string])[];
}

export function SelectField({ name, label, defaultValue, options }: SelectFieldProps) {
  const id = useId();
  const errors = useFieldErrors(name);
  return (
    <div className="field">
      <label htmlFor={id}>{label}</label>
      <div className="input">
        <select
          id={id}
          name={name}
          defaultValue={defaultValue}
          aria-invalid={errors.length > 0}
          aria-describedby={errors.length > 0 ? `${id}-errors` : undefined}
        >
          {options.map(([value, text]) => (
            <option key={value} value={value}>
              {text}
            </option>
          ))}
        </select>
      </div>
      <FieldErrorList id={`${id}-errors`} errors={errors} />
    </div>
  );
}
