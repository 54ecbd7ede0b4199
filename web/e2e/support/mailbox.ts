import { createServer, type Server, type Socket } from "node:net";
import { until } from "./until";

export interface Mail {
  to: string;
  subject: string;
  /** Its plain text. */
  text: string;
}

/** Takes all mail (RFC 5321), and keeps it. */
export class Mailbox {
  readonly mails: Mail[] = [];
  /** Nobody has these addresses: their mail is refused for good. */
  readonly unknown = new Set<string>();
  private readonly seen = new Set<string>();

  private constructor(private readonly server: Server) {}

  static async open(): Promise<Mailbox> {
    const server = createServer((socket) => mailbox.converse(socket));
    const mailbox = new Mailbox(server);
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    return mailbox;
  }

  get url(): string {
    const address = this.server.address();
    if (!address || typeof address === "string") throw new Error("The mailbox is closed.");
    return `smtp://127.0.0.1:${address.port}`;
  }

  close(): void {
    this.server.close();
  }

  /** The link to a page of the app in a mail to `address`: one that was not asked for before, as soon as it is there. */
  link(page: string, address: string): Promise<string> {
    return until(`a link to ${page} for ${address}`, () => {
      for (const { to, text } of this.mails) {
        const link = to === address && new RegExp(`https?://\\S+/${page}/\\S+`).exec(text)?.[0];
        if (link && !this.seen.has(link)) {
          this.seen.add(link);
          return link;
        }
      }
      return null;
    });
  }

  private converse(socket: Socket): void {
    let received = "";
    let to = "";
    let isData = false;
    const say = (line: string) => void socket.write(`${line}\r\n`);
    socket.on("error", () => undefined); // such as a service that was killed
    socket.setEncoding("latin1").on("data", (chunk: string) => {
      received += chunk;
      for (let end; (end = received.indexOf(isData ? "\r\n.\r\n" : "\r\n")) >= 0; ) {
        const line = received.slice(0, end);
        received = received.slice(end + (isData ? 5 : 2));
        if (isData) {
          this.mails.push(parsed(to, line));
          isData = false;
          say("250 Kept");
        } else if (/^RCPT/i.test(line)) {
          to = /<(.*?)>/.exec(line)?.[1] ?? "";
          say(this.unknown.has(to) ? "550 Nobody here has this name" : "250 OK");
        } else if (/^DATA/i.test(line)) {
          isData = true;
          say("354 Go on");
        } else if (/^QUIT/i.test(line)) {
          say("221 Bye");
          socket.end();
        } else {
          say("250 OK");
        }
      }
    });
    say("220 mailbox");
  }
}

function parsed(to: string, raw: string): Mail {
  const subject = /^Subject: (.*)$/im.exec(raw)?.[1]?.trim() ?? "";
  const part = raw.slice(Math.max(0, raw.search(/^Content-Type: text\/plain/im)));
  const [head = "", ...body] = part.split("\r\n\r\n");
  const encoded = body.join("\r\n\r\n").split("\r\n--")[0] ?? "";
  const text = /base64/i.test(head)
    ? Buffer.from(encoded, "base64").toString()
    : /quoted-printable/i.test(head)
      ? encoded.replace(/=\r\n/g, "").replace(/=([0-9A-F]{2})/gi, (_, code) => String.fromCharCode(parseInt(code, 16)))
      : encoded;
  return { to, subject, text };
}
