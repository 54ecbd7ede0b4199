const GRACE = 50; // milliseconds in which a message overtakes the lock that its sender has let go

export interface Tabs<Message> {
  /** Runs `work` while no other tab, and nothing else in this one, runs its own. */
  inTurn<T>(work: () => Promise<T>): Promise<T>;
  tell(message: Message): void;
}

/** Without Web Locks (a page without TLS) only this tab takes turns; without BroadcastChannel it is alone. */
export function joinTabs<Message>(name: string, hear: (message: Message) => void): Tabs<Message> {
  const locks = globalThis.navigator?.locks;
  const channel = "BroadcastChannel" in globalThis ? new BroadcastChannel(name) : null;
  if (channel) {
    channel.onmessage = (event: MessageEvent<Message>) => hear(event.data);
    (channel as { unref?: () => void }).unref?.(); // of Node: does not keep the process alive
  }

  async function locked<T>(work: () => Promise<T>): Promise<T> {
    if (!locks) return work();
    const { held = [] } = await locks.query();
    const isTaken = held.some((lock) => lock.name === name);
    return locks.request(name, async () => {
      if (isTaken && channel) await new Promise((resolve) => setTimeout(resolve, GRACE));
      return work();
    });
  }

  let last: Promise<unknown> = Promise.resolve();
  return {
    inTurn(work) {
      const turn = last.then(() => locked(work));
      last = turn.catch(() => undefined);
      return turn;
    },
    tell: (message) => channel?.postMessage(message),
  };
}
