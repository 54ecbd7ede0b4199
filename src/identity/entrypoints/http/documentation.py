"""The page at /api/schema/: the OpenAPI document for people, in plain HTML without a script."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import shlex
from collections.abc import Iterator
from html import escape
from typing import Any

import msgspec
from litestar import Request
from litestar.openapi.plugins import OpenAPIRenderPlugin

STYLE = """
:root {
  color-scheme: light dark;
  --ground: #fff; --raised: #f5f6f8; --line: #d5d9df; --text: #1c2127; --quiet: #545d68; --link: #0b57a8;
  --good: #14683a; --bad: #97400f;
}
@media (prefers-color-scheme: dark) {
  :root {
    --ground: #12161b; --raised: #1b2128; --line: #37404a; --text: #e4e8ec; --quiet: #a3adb8; --link: #84b9f5;
    --good: #79cc98; --bad: #efa878;
  }
}
* { box-sizing: border-box; }
html { scroll-padding-top: 1rem; }
body {
  margin: 0 auto; max-width: 72rem; padding: 0 1.25rem 4rem;
  background: var(--ground); color: var(--text);
  font: 1rem/1.55 system-ui, sans-serif; overflow-wrap: break-word;
}
a { color: var(--link); }
:focus-visible { outline: 3px solid var(--link); outline-offset: 2px; border-radius: 2px; }
.skip { position: absolute; left: -100vw; }
.skip:focus { left: 1rem; top: 1rem; padding: .5rem 1rem; background: var(--ground); }
h1 { margin: 2.5rem 0 .5rem; font-size: 2rem; line-height: 1.2; }
h1 small, .quiet { color: var(--quiet); font-weight: normal; }
h1 small { font-size: 1.1rem; }
h2 { margin: 3rem 0 .5rem; padding-bottom: .25rem; border-bottom: 1px solid var(--line); font-size: 1.5rem; }
h3 { margin: 2.5rem 0 .5rem; font-size: 1.2rem; }
h4 { margin: 1.25rem 0 .25rem; font-size: .95rem; color: var(--quiet); }
p { margin: .5rem 0; max-width: 44rem; }
code, pre { font: .9em/1.5 ui-monospace, SFMono-Regular, Menlo, Consolas, monospace; }
code { overflow-wrap: anywhere; }
pre {
  margin: .5rem 0; padding: .75rem 1rem; border: 1px solid var(--line); border-radius: 6px;
  background: var(--raised); white-space: pre-wrap; overflow-wrap: anywhere;
}
pre code { font-size: 1em; }
nav ul { margin: .25rem 0 .75rem; padding: 0; list-style: none; }
nav li { padding: .2rem 0; }
nav p { margin: .75rem 0 0; font-weight: 600; }
nav a { text-decoration: none; }
nav a:hover { text-decoration: underline; }
nav code { display: block; color: var(--quiet); }
.call { font-size: 1.05rem; }
.method {
  display: inline-block; padding: 0 .5rem; border: 1px solid var(--line); border-radius: 4px;
  background: var(--raised); font-weight: 600;
}
dl { margin: .5rem 0; }
dt { margin-top: .5rem; }
dt code { font-weight: 600; }
dd { margin: 0 0 0 1rem; max-width: 43rem; }
details, .answer { border: 1px solid var(--line); border-width: 0 0 1px; }
summary, .answer { padding: .4rem 0; }
summary { cursor: pointer; }
.answer { padding-left: 1.05rem; }
.status { display: inline-block; min-width: 2.5rem; font-weight: 600; color: var(--bad); }
.status.good { color: var(--good); }
details p { margin-top: .75rem; }
@media (min-width: 60rem) {
  .columns { display: grid; grid-template-columns: 15rem minmax(0, 1fr); gap: 3rem; }
  nav {
    position: sticky; top: 0; align-self: start; max-height: 100vh; overflow: auto; padding: 2rem 3px 1rem;
  }
}
"""
_STYLE_HASH = base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()
CONTENT_SECURITY_POLICY = (
    f"default-src 'none'; style-src 'sha256-{_STYLE_HASH}'; img-src data:; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
"""Nothing but the style above, and the empty icon that keeps browsers from asking for one."""

Node = dict[str, Any]


class DocumentationPage(OpenAPIRenderPlugin):
    """Renders the page once: the document does not change while its application lives."""

    def __init__(self, address: str) -> None:
        super().__init__(path="/")
        self._address = address
        self._page = b""

    def render(self, request: Request[Any, Any, Any], openapi_schema: Node) -> bytes:
        if not self._page:
            document = msgspec.to_builtins(openapi_schema)
            url = self.get_openapi_json_route(request)
            self._page = _Page(document, address=self._address, document_url=url).html().encode()
        return self._page


class _Page:
    def __init__(self, document: Node, *, address: str, document_url: str) -> None:
        self._document = document
        self._address = address
        self._document_url = document_url

    def html(self) -> str:
        info = self._document["info"]
        return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{escape(info["title"])} {escape(info["version"])}: API</title>
<link rel="icon" href="data:,">
<style>{STYLE}</style>
</head>
<body>
<a class="skip" href="#operations">Skip to the operations</a>
<header>
<h1>{escape(info["title"])} <small>{escape(info["version"])}</small></h1>
{_prose(info["description"])}
<p>For machines: <a href="{escape(self._document_url)}">the OpenAPI document</a>.</p>
</header>
<div class="columns">
<nav aria-label="Contents">
{self._contents()}
</nav>
<main>
{self._authentication()}
<div id="operations">
{"".join(self._group(tag) for tag in self._document["tags"])}
</div>
{self._common_answers()}
</main>
</div>
</body>
</html>
"""

    def _operations(self, tag: str) -> Iterator[tuple[str, str, Node]]:
        """The path, the method and the operation, for each that bears the tag."""
        for path, item in self._document["paths"].items():
            for method, operation in item.items():
                if tag in operation["tags"]:
                    yield path, method.upper(), operation

    def _contents(self) -> str:
        groups = "".join(
            f"<p>{_link(_anchor(tag['name']), tag['name'])}</p>\n<ul>"
            + "".join(
                f'<li><a href="#{escape(operation["operationId"])}">{escape(operation["summary"])} '
                f"<code>{escape(path)}</code></a></li>\n"
                for path, _, operation in self._operations(tag["name"])
            )
            + "</ul>\n"
            for tag in self._document["tags"]
        )
        return (
            f"<p>{_link('authentication', 'How to authenticate')}</p>\n{groups}"
            f"<p>{_link('answers', 'Common refusals')}</p>"
        )

    def _authentication(self) -> str:
        schemes = self._document["components"]["securitySchemes"].values()
        set_up = (
            f"URL={shlex.quote(self._address)}\nACCESS=...  # the access token that logging in answered with"
        )
        return (
            '<section id="authentication">\n<h2>How to authenticate</h2>\n'
            + "".join(_prose(scheme["description"]) for scheme in schemes)
            + f"<p>The examples are for a shell in which these are set:</p>\n{_code(set_up)}</section>\n"
        )

    def _group(self, tag: Node) -> str:
        operations = "".join(self._operation(*each) for each in self._operations(tag["name"]))
        return (
            f'<section id="{_anchor(tag["name"])}">\n<h2>{escape(tag["name"])}</h2>\n'
            f"{_prose(tag['description'])}{operations}</section>\n"
        )

    def _operation(self, path: str, method: str, operation: Node) -> str:
        protected = bool(operation["security"])
        body = operation.get("requestBody")
        return (
            f'<article id="{escape(operation["operationId"])}">\n<h3>{escape(operation["summary"])}</h3>\n'
            f'<p class="call"><span class="method">{method}</span> <code>{escape(path)}</code></p>\n'
            + _prose(operation.get("description", ""))
            + (f"<p>Needs an {_link('authentication', 'access token')}.</p>\n" if protected else "")
            + _parameters(operation)
            + (self._fields(body) if body else "")
            + f"<h4>Example</h4>\n{_code(_curl(path, method, body, protected=protected))}"
            + "<h4>Answers</h4>\n"
            + "".join(self._answer(status, each) for status, each in operation["responses"].items())
            + "</article>\n"
        )

    def _fields(self, body: Node) -> str:
        schema = self._resolved(body["content"]["application/json"]["schema"])
        fields = "".join(
            f"<dt><code>{escape(name)}</code> <span class='quiet'>{_constraints(name, schema)}</span></dt>\n"
            f"<dd>{_inline(field['description'])}</dd>\n"
            for name, field in schema["properties"].items()
        )
        return f"<h4>Body</h4>\n<dl>\n{fields}</dl>\n"

    def _answer(self, status: str, answer: Node) -> str:
        good = status < "300"
        number = f'<span class="status{" good" if good else ""}">{escape(status)}</span>'
        resolved = self._resolved(answer)
        if "$ref" in answer:
            description = _link(_last(answer["$ref"]), resolved["description"])
            return f'<div class="answer">{number} {description}</div>\n'
        return (
            f"<details{' open' if good else ''}>"
            f"<summary>{number} {_inline(resolved['description'])}</summary>\n"
            f"{_headers(resolved)}{_examples(resolved)}</details>\n"
        )

    def _common_answers(self) -> str:
        answers = "".join(
            f'<article id="{escape(name)}">\n<h3>{escape(answer["description"])}</h3>\n'
            f"{_headers(answer)}{_examples(answer)}</article>\n"
            for name, answer in self._document["components"]["responses"].items()
        )
        return f'<section id="answers">\n<h2>Common refusals</h2>\n{answers}</section>\n'

    def _resolved(self, node: Node) -> Node:
        while "$ref" in node:
            _, kind, name = node["$ref"].removeprefix("#/").split("/")
            node = self._document["components"][kind][name]
        return node


def _parameters(operation: Node) -> str:
    """Those behind the question mark: what is in the path speaks for itself."""
    rows = "".join(
        f"<dt><code>{escape(each['name'])}</code> <span class='quiet'>{each['schema']['type']}, "
        f"optional</span></dt>\n<dd>{_inline(each['description'])}</dd>\n"
        for each in operation.get("parameters", [])
        if each["in"] == "query"
    )
    return f"<h4>Query</h4>\n<dl>\n{rows}</dl>\n" if rows else ""


def _headers(answer: Node) -> str:
    return "".join(
        f"<p>Header <code>{escape(name)}</code>: {_inline(header['description'])}</p>\n"
        for name, header in answer.get("headers", {}).items()
    )


def _examples(answer: Node) -> str:
    media = answer["content"]["application/json"]
    if "example" in media:
        return _code(_json(media["example"]))
    return "".join(
        f"<p>{escape(name[:1].upper() + name[1:])}:</p>\n{_code(_json(example['value']))}"
        for name, example in media["examples"].items()
    )


def _curl(path: str, method: str, body: Node | None, *, protected: bool) -> str:
    lines = [f'curl {"-X POST " if method == "POST" and not body else ""}"$URL{path}"']
    if protected:
        lines.append('-H "Authorization: Bearer $ACCESS"')
    if body:
        lines.append("-H 'Content-Type: application/json'")
        lines.append(f"-d {shlex.quote(json.dumps(body['content']['application/json']['example']))}")
    return " \\\n  ".join(lines)


def _constraints(name: str, schema: Node) -> str:
    field = schema["properties"][name]
    shortest, longest = field.get("minLength", 0), field.get("maxLength")
    length = f"{shortest} to {longest} characters" if longest else "not empty" if shortest else ""
    words = [field["type"], "required" if name in schema["required"] else "optional", length]
    return escape(", ".join(word for word in words if word))


def _json(value: Any) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False)


def _code(text: str) -> str:
    return f"<pre><code>{escape(text)}</code></pre>\n"


def _link(anchor: str, text: str) -> str:
    return f'<a href="#{escape(anchor)}">{escape(text)}</a>'


def _anchor(tag: str) -> str:
    return f"{escape(tag.lower())}-operations"


def _last(reference: str) -> str:
    return reference.rpartition("/")[2]


def _prose(text: str) -> str:
    """Paragraphs of the document's CommonMark, of which it uses no more than `code`."""
    return "".join(f"<p>{_inline(paragraph)}</p>\n" for paragraph in text.split("\n\n") if paragraph)


def _inline(text: str) -> str:
    return re.sub("`([^`]+)`", r"<code>\1</code>", escape(text))
