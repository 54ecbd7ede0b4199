const GRACE = 50; // milliseconds in which a message overtakes the lock that its sender has let go
const PATIENCE = 25_000; // milliseconds: who has the lock for longer than any request takes is a tab that hangs

export interface Tabs<Message> {
  /** Runs `work` while no other tab, and nothing else in this one, runs its own. */
  inTurn<T>(work: () => Promise<T>): Promise<T>;
  tell(message: Message): void;
}

/**
 * Without Web Locks (a page without TLS) only this tab takes turns; without BroadcastChannel it is alone. A browser
 * that lets the page keep nothing forbids both.
 */
export function joinTabs<Message>(name: string, hear: (message: Message) => void): Tabs<Message> {
  let locks: LockManager | undefined = globalThis.navigator?.locks;
  const channel = channelOf(name);
  if (channel) {
    channel.onmessage = (event: MessageEvent<Message>) => hear(event.data);
    (channel as { unref?: () => void }).unref?.(); // of Node: does not keep the process alive
  }

  async function locked<T>(work: () => Promise<T>): Promise<T> {
    if (!locks) return work();
    let isMine = false;
    try {
      const { held = [] } = await locks.query();
      const isTaken = held.some((lock) => lock.name === name);
      return await locks.request(name, { signal: AbortSignal.timeout(PATIENCE) }, async () => {
        isMine = true;
        if (isTaken && channel) await new Promise((resolve) => setTimeout(resolve, GRACE));
        return work();
      });
    } catch (error) {
      if (isMine) throw error;
      locks = undefined; // from here on as without: whoever hangs is waited for once
      return work();
    }
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

function channelOf(name: string): BroadcastChannel | null {
  try {
    return new BroadcastChannel(name);
  } catch {
    return null;
  }
}
