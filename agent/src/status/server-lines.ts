import { z } from 'zod';
import { CLOCK_SKEW_SECONDS } from '#shared/http-signature.ts';
import { timestamp } from '#shared/names.ts';
import { visibleText } from '#shared/visible-text.ts';
import { connectServer } from '../app.ts';
import { readFailure, readReply } from '../client/reply.ts';
import type { Paths } from '../paths.ts';
import type { Clock } from '../platform/clock.ts';
import type { Line } from './line.ts';

const texts = z.record(z.string(), z.string()).catch({});

/** As much of /healthz as can be read: an earlier server says less, and a proxy something else. */
const serverHealth = z.object({
  checks: texts,
  details: texts,
  now: timestamp.nullable().catch(null),
});

const LOOK = { method: 'GET', path: '/healthz', headers: {}, body: new Uint8Array(), timeoutMs: 5000 };

/** Where the server is asked, and whether it answers. Of several, one that does not is no fault while another does. */
export async function addressLines(paths: Paths): Promise<Line[]> {
  const { conf, servers } = await connectServer(paths);
  const looks = servers.each.map(async (way, index) => {
    const reply = await way.request(LOOK).then((answer) => readReply(answer, z.unknown()), readFailure);
    way.close();
    const said = 'message' in reply ? reply.message : reply.kind;
    return {
      value: `${conf.serverUrls[index]}, ${reply.kind === 'ok' ? 'answers' : `does not serve: ${said}`}`,
      // Something between this host and a server that lives may well keep strangers from this path.
      isAway: reply.kind === 'unavailable',
    };
  });
  const seen = await Promise.all(looks);
  const problem = seen.every(({ isAway }) => isAway)
    ? 'As long as that is so, nobody can approve anything on this host. Does identree run there, and does the network lead there?'
    : null;
  return seen.map(({ value }, index) => ({ what: 'Server', value, problem: index === 0 ? problem : null }));
}

/**
 * How far the clock of this host is from that of the server.
 *
 * @param askedAt by the clock of this host, milliseconds, as `answeredAt`: the server looked at its own in between.
 */
function clockLine(now: number, askedAt: number, answeredAt: number): Line {
  const offset = (askedAt + answeredAt) / 2 - now;
  const seconds = Math.round(Math.abs(offset) / 1000);
  // What lies within the time of the question is no difference.
  const same = seconds === 0 || Math.abs(offset) <= (answeredAt - askedAt) / 2;
  const apart = `${seconds} ${seconds === 1 ? 'second' : 'seconds'} ${offset > 0 ? 'ahead of' : 'behind'} the server's`;
  return {
    what: 'Clock',
    value: same ? "as the server's" : apart,
    problem:
      !same && Math.abs(offset) > CLOCK_SKEW_SECONDS * 1000
        ? `The server refuses hosts whose clock differs by more than ${CLOCK_SKEW_SECONDS} seconds. Set the clock: timedatectl set-ntp true`
        : null,
  };
}

/** What the server says of its clock and of itself. Nothing where it does not answer: {@link addressLines} tells that. */
export async function serverLines(paths: Paths, clock: Pick<Clock, 'now'>): Promise<Line[]> {
  const { servers } = await connectServer(paths);
  try {
    const askedAt = clock.now();
    const answer = await servers.request(LOOK);
    const answeredAt = clock.now();
    const said = serverHealth.parse(JSON.parse(Buffer.from(answer.body).toString('utf8')));
    const { checks, details, now } = said;
    const notes = new Map(Object.entries(details).map(([name, text]) => [name, `${name}: ${text}`]));
    for (const [name, value] of Object.entries(checks))
      if (value !== 'ok') notes.set(name, `${name} is ${value}${name in details ? `: ${details[name]}` : ''}`);
    return [
      ...(now === null ? [] : [clockLine(now, askedAt, answeredAt)]),
      // No problem of this host, and anybody on the network can bring about some of them: the exit code stays.
      ...[...notes.values()].map((text) => ({
        what: 'Server says',
        value: visibleText(text.slice(0, 400)),
        problem: null,
      })),
    ];
  } catch {
    return [];
  } finally {
    servers.close();
  }
}
