import { expect, test } from "vitest";
import { firstSpoken, regional } from ".";
import { de as administrationDe } from "../administration/language/de";
import { en as administrationEn } from "../administration/language/en";
import { de } from "./de";
import { inWords } from "./durations";
import { en } from "./en";
import { translated } from "./field-messages";

test.each([
  [[null, "de-AT", "en"], "de"],
  [["en", "de"], "en"],
  [[null, "fr-FR", "de"], "de"],
  [[null, "fr"], "en"],
  [["constructor"], "en"],
  [[], "en"],
])("of %o the app speaks %s", (wishes, language) => {
  expect(firstSpoken(wishes)).toBe(language);
});

test.each([
  ["en", ["en-US@posix", "en-GB"], "en-GB"],
  ["en", ["en-US@posix"], "en"],
  ["de", ["en-GB", "de-AT"], "de-AT"],
  ["en", ["fr-FR", "de-AT"], "en"],
  ["de", ["de-", "de_DE", "de"], "de"],
] as const)("times in %s for who asks for %o are written as in %s", (language, wishes, locale) => {
  expect(regional(language, wishes)).toBe(locale);
  expect(() => new Intl.DateTimeFormat(regional(language, wishes))).not.toThrow();
});

function texts(words: object, path = ""): [string, string][] {
  return Object.entries(words).flatMap(([key, value]): [string, string][] => {
    if (value !== null && typeof value === "object") return texts(value, `${path}${key}.`);
    return [[path + key, typeof value === "function" ? String(value("A", "B")) : String(value)]];
  });
}

// What is the same word in both languages.
const SAME = new Set(["service", "title", "field.displayName", "user.displayName", "seconds"]);

test.each([
  ["the app", en, de],
  ["the administration", administrationEn, administrationDe],
])("every text of %s is there in both languages, and translated", (_, english, german) => {
  const translations = new Map(texts(german));
  for (const [key, text] of texts(english)) {
    expect(text.trim(), key).not.toBe("");
    expect(translations.get(key)?.trim(), key).toBeTruthy();
    if (!SAME.has(key)) expect(translations.get(key), key).not.toBe(text);
  }
});

test.each([
  [0, "1 second"],
  [1, "1 second"],
  [119, "119 seconds"],
  [120, "2 minutes"],
  [900, "15 minutes"],
  [7200, "2 hours"],
  [30 * 86_400, "30 days"],
])("%i seconds are %s", (seconds, words) => {
  expect(inWords(seconds, en)).toBe(words);
});

// As in the contract, and in `domain/` and `application/` of the service.
const MESSAGES = [
  "This field is required.",
  "This field may not be blank.",
  "This field may not be null.",
  "Not a valid string.",
  "Null characters are not allowed.",
  "Enter a valid email address.",
  "Ensure this field has no more than 150 characters.",
  "Enter a valid username. This value may contain only letters, numbers, and @/./+/-/_ characters.",
  "A user with that username already exists.",
  "A user with that email already exists.",
  "This password is too short. It must contain at least 8 characters.",
  "This password is too common.",
  "This password is entirely numeric.",
  "The password is too similar to the username.",
  "The password is too similar to the email address.",
  "The password is too similar to the name of this service.",
  "This is already your email address.",
  "Your username is your email address and cannot be this one. Choose another username first.",
  "Enter a valid language tag.",
  "Enter a valid time zone.",
  "Enter a whole number from 1 to 100.",
  "Enter a time with its zone, such as 2024-12-19T10:00:00Z.",
  "The last superuser cannot be demoted.",
];

test.each(MESSAGES)("the service's message has German words: %s", (message) => {
  expect(translated(message, "de")).not.toBe(message);
  expect(translated(message, "en")).toBe(message);
});

test("the figures of a message are kept, and what is not known stays as it is", () => {
  expect(translated("This password is too short. It must contain at least 12 characters.", "de")).toContain("12 Zeichen");
  expect(translated("Something new.", "de")).toBe("Something new.");
});
