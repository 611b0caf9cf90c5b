import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { createServer, type Server, type Socket } from 'node:net';
import type { Output } from '../../server/src/audit/sinks/standard-output.ts';

/** A standard output whose reader reads nothing. */
export const hungOutput: Output = { write: () => false, on: () => {} };

/** A standard output that says how each event has come through it. */
export function countingOutput(onEvent: (seq: number, now: number) => void): Output {
  return {
    write(text, done) {
      const now = performance.now();
      for (const [, seq] of text.matchAll(/^\{"seq":(\d+),/gm)) onEvent(Number(seq), now);
      setImmediate(done);
    },
    on: () => {},
  };
}

/** Receivers that take connections and then neither read nor answer: syslog, Splunk and Loki alike. */
export async function hungReceivers(): Promise<{ env: Record<string, string>; close(): void }> {
  const sockets = new Set<Socket>();
  const server: Server = createServer((socket) => {
    sockets.add(socket);
    socket.pause();
    socket.on('error', () => {});
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const at = `127.0.0.1:${(server.address() as AddressInfo).port}`;
  return {
    env: {
      IDENTREE_AUDIT_LOG: 'stdout',
      IDENTREE_AUDIT_SYSLOG_URL: `tcp://${at}`,
      IDENTREE_AUDIT_SPLUNK_HEC_URL: `http://${at}/services/collector/event`,
      IDENTREE_AUDIT_SPLUNK_HEC_TOKEN: 'a token of the bench',
      IDENTREE_AUDIT_LOKI_URL: `http://${at}`,
    },
    close() {
      for (const socket of sockets) socket.destroy();
      server.close();
    },
  };
}
