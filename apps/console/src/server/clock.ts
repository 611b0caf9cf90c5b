import { useEffect, useState } from 'react';

let offset = 0;

/**
 * Learns the server's clock from an answer that carries it: countdowns must not depend on this device's clock.
 *
 * @param receivedAt when the answer came, by this device's clock.
 */
export function learnServerTime(now: number, receivedAt: number): void {
  offset = now - receivedAt;
}

export const serverNow = () => Date.now() + offset;

/** The server's time, renewed every `everyMs`. */
export function useServerNow(everyMs = 1000): number {
  const [now, setNow] = useState(serverNow);
  useEffect(() => {
    const timer = setInterval(() => setNow(serverNow()), everyMs);
    return () => clearInterval(timer);
  }, [everyMs]);
  return now;
}
