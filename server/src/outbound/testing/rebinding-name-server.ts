import { createSocket } from 'node:dgram';
import { Resolver } from 'node:dns/promises';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import type { TestContext } from 'node:test';
import type { Resolve } from '../outbound.ts';

const A = 1;
const AAAA = 28;

/**
 * A name server of an attacker, on loopback. Each question for a type is answered with the next list of addresses, the
 * last one from then on, and is to be forgotten at once.
 */
export async function rebindingNameServer(
  t: Pick<TestContext, 'after'>,
  answers: { a: string[][]; aaaa?: string[][] },
) {
  const asked = { a: 0, aaaa: 0 };
  const socket = createSocket('udp4');
  socket.on('message', (query, { port, address }) => {
    const end = query.indexOf(0, 12) + 1;
    const type = query.readUInt16BE(end);
    const kind = type === A ? 'a' : type === AAAA ? 'aaaa' : null;
    const lists = kind === null ? [] : (answers[kind] ?? []);
    const addresses = kind === null ? [] : (lists[Math.min(asked[kind]++, lists.length - 1)] ?? []);
    const head = Buffer.from(query.subarray(0, 12));
    head.writeUInt16BE(0x8180, 2);
    head.writeUInt16BE(1, 4);
    head.writeUInt16BE(addresses.length, 6);
    head.writeUInt32BE(0, 8);
    const records = addresses.map((text) => {
      const data = kind === 'a' ? Buffer.from(text.split('.').map(Number)) : bytesOf(text);
      const record = Buffer.alloc(12);
      record.writeUInt16BE(0xc00c, 0);
      record.writeUInt16BE(type, 2);
      record.writeUInt16BE(1, 4);
      record.writeUInt32BE(0, 6);
      record.writeUInt16BE(data.length, 10);
      return Buffer.concat([record, data]);
    });
    socket.send(Buffer.concat([head, query.subarray(12, end + 4), ...records]), port, address);
  });
  socket.bind(0, '127.0.0.1');
  await once(socket, 'listening');
  t.after(() => socket.close());
  const resolver = new Resolver();
  resolver.setServers([`127.0.0.1:${(socket.address() as AddressInfo).port}`]);
  const orNone = (found: Promise<string[]>): Promise<string[]> => found.catch(() => []);
  const resolve: Resolve = async (name) =>
    (await Promise.all([orNone(resolver.resolve4(name)), orNone(resolver.resolve6(name))])).flat();
  return { resolve, asked };
}

/** An IPv6 address of eight written parts. */
const bytesOf = (text: string): Buffer =>
  Buffer.from(
    text
      .split(':')
      .map((part) => part.padStart(4, '0'))
      .join(''),
    'hex',
  );
