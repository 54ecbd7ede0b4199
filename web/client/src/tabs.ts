const GRACE = 500; // milliseconds at most that a message comes later than the lock that its sender has let go
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
  let isTold = () => {};
  if (channel) {
    channel.onmessage = (event: MessageEvent<Message>) => {
      hear(event.data);
      isTold();
    };
    (channel as { unref?: () => void }).unref?.(); // of Node: does not keep the process alive
  }

  /** Who had to wait for a turn first hears what came of the one before, or they would do the same again. */
  async function locked<T>(work: () => Promise<T>): Promise<T> {
    if (!locks) return work();
    let isMine = false;
    const doIt = () => {
      isMine = true;
      return work();
    };
    try {
      const atOnce = await locks.request(name, { ifAvailable: true }, async (lock) => lock && { is: await doIt() });
      if (atOnce) return atOnce.is;
      const news = new Promise<void>((resolve) => (isTold = resolve));
      return await locks.request(name, { signal: AbortSignal.timeout(PATIENCE) }, async () => {
        if (channel) await Promise.race([news, new Promise((resolve) => setTimeout(resolve, GRACE))]);
        return doIt();
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
