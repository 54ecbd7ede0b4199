import type { Language } from ".";

// The service's messages are in English, by its contract; these are the ones that it has.
const GERMAN: readonly [RegExp, string][] = [
  [/^This field is required\.$/, "Bitte ausfüllen."],
  [/^This field may not be (blank|null)\.$/, "Bitte ausfüllen."],
  [/^Not a valid string\.$/, "Das ist kein Text."],
  [/^Null characters are not allowed\.$/, "Steuerzeichen sind nicht erlaubt."],
  [/^Enter a valid email address\.$/, "Das ist keine gültige E-Mail-Adresse."],
  [/^Ensure this field has no more than (\d+) characters\.$/, "Höchstens $1 Zeichen."],
  [
    /^Enter a valid username\. This value may contain only letters, numbers, and @\/\.\/\+\/-\/_ characters\.$/,
    "Ein Benutzername hat nur Buchstaben, Ziffern und die Zeichen @ . + - _, und ein @ nur, wenn er die eigene E-Mail-Adresse ist.",
  ],
  [/^A user with that username already exists\.$/, "Diesen Benutzernamen hat schon jemand."],
  [/^A user with that email already exists\.$/, "Mit dieser E-Mail-Adresse gibt es schon ein Konto."],
  [
    /^This password is too short\. It must contain at least (\d+) characters\.$/,
    "Dieses Passwort ist zu kurz. Es braucht mindestens $1 Zeichen.",
  ],
  [/^This password is too common\.$/, "Dieses Passwort benutzen zu viele."],
  [/^This password is entirely numeric\.$/, "Dieses Passwort besteht nur aus Ziffern."],
  [/^The password is too similar to the username\.$/, "Das Passwort ist dem Benutzernamen zu ähnlich."],
  [/^The password is too similar to the email address\.$/, "Das Passwort ist der E-Mail-Adresse zu ähnlich."],
  [
    /^The password is too similar to the name of this service\.$/,
    "Das Passwort ist dem Namen dieses Dienstes zu ähnlich.",
  ],
  [/^This is already your email address\.$/, "Das ist schon Ihre E-Mail-Adresse."],
  [
    /^Your username is your email address and cannot be this one\. Choose another username first\.$/,
    "Ihr Benutzername ist Ihre E-Mail-Adresse, und diese kann es nicht sein. Wählen Sie zuerst einen anderen Benutzernamen.",
  ],
  [/^Enter a valid language tag\.$/, "Das ist kein Sprachkürzel."],
  [/^Enter a valid time zone\.$/, "Diese Zeitzone gibt es nicht."],
  [/^Enter a whole number from (\d+) to (\d+)\.$/, "Eine ganze Zahl von $1 bis $2."],
  [/^Enter a time with its zone, such as .*$/, "Das ist keine Zeit."],
  [/^The last superuser cannot be (deleted|disabled|demoted)\.$/, "Mit dem letzten Verwalter geht das nicht."],
];

/** A message of the service in the reader's language; one that is not known stays as it is. */
export function translated(message: string, language: Language): string {
  if (language === "en") return message;
  const known = GERMAN.find(([pattern]) => pattern.test(message));
  return known ? message.replace(...known) : message;
}
