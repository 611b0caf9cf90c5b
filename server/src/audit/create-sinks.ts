import { randomUUID } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import { eventKind, type LoggedEvent } from '#shared/events.ts';
import type { Config } from '../config/config.ts';
import type { SinkConfig } from '../config/sections/audit-sinks.ts';
import type { Clock } from '../platform/clock.ts';
import type { AuditSink } from './sink.ts';
import { createJsonLines } from './sinks/json-lines.ts';
import { createLoki } from './sinks/loki.ts';
import { createSplunk } from './sinks/splunk.ts';
import { createStandardOutput, type Output } from './sinks/standard-output.ts';
import { createSyslog, type SyslogTls } from './sinks/syslog.ts';

const DEFAULT_FILES = 5;
const DEFAULT_BUFFER = 4096;

/** As it is configured: what makes no sense was always read as the default. */
export const bufferSizeOf = ({ bufferSize }: Config['audit']): number => (bufferSize > 0 ? bufferSize : DEFAULT_BUFFER);

async function tlsOf(sink: SinkConfig & { kind: 'syslog' }): Promise<SyslogTls> {
  const read = async (path: string | null) => (path === null ? null : await readFile(path, 'utf8'));
  const ca = sink.caCert?.startsWith('/') ? await read(sink.caCert) : sink.caCert;
  return { ca, cert: await read(sink.clientCert), key: await read(sink.clientKey) };
}

/**
 * Pure rule: which events a sink gets whose setting names these events and topics. An event of another version, whose topic
 * nobody knows, goes everywhere: rather one too many.
 */
export function wantedBy(names: readonly string[]): (event: Pick<LoggedEvent, 'event'>) => boolean {
  const wanted = new Set(names);
  return ({ event }) => {
    const kind = eventKind(event);
    return wanted.size === 0 || kind === null || wanted.has(event) || wanted.has(kind.topic);
  };
}

interface SinkDeps {
  output: Output;
  clock: Clock;
  /** Milliseconds of a clock that nobody sets. */
  now: () => number;
}

function createSink(sink: SinkConfig, deps: SinkDeps): AuditSink {
  switch (sink.kind) {
    case 'jsonlog': {
      const { to, maxSize, maxFiles } = sink;
      if (to.to === 'stdout') return createStandardOutput(deps);
      const kept = maxFiles > 0 ? maxFiles : DEFAULT_FILES;
      return createJsonLines({ path: to.path, maxSize, maxFiles: kept, now: deps.now });
    }
    case 'syslog':
      return createSyslog({
        target: sink.to,
        tls: () => tlsOf(sink),
        origin: { hostname: hostname(), pid: process.pid, enterprise: sink.enterpriseNumber },
        windowMs: sink.safetyWindow,
        now: deps.now,
      });
    case 'splunk_hec': {
      const { to: url, token, index, gzip } = sink;
      const channel = sink.ack ? randomUUID() : null;
      return createSplunk({ url, token, index, gzip, host: hostname(), now: deps.clock.now, channel });
    }
    case 'loki': {
      const { to: url, token, tenant, gzip } = sink;
      return createLoki({ url, token, tenant, gzip, now: deps.clock.now });
    }
  }
}

/** The sinks that are configured, each under its own name and with the events that are meant for it. */
export const createSinks = (sinks: Config['audit']['sinks'], deps: SinkDeps): AuditSink[] =>
  sinks.map((sink) => ({ ...createSink(sink, deps), name: sink.name, wants: wantedBy(sink.events) }));
