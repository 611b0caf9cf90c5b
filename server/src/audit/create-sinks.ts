import { randomUUID } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import { eventKind, type LoggedEvent } from '#shared/events.ts';
import type { Config } from '../config/config.ts';
import type { Clock } from '../platform/clock.ts';
import type { AuditSink, SinkName } from './sink.ts';
import { createJsonLines } from './sinks/json-lines.ts';
import { createLoki } from './sinks/loki.ts';
import { createSplunk } from './sinks/splunk.ts';
import { createStandardOutput, type Output } from './sinks/standard-output.ts';
import { createSyslog, type SyslogTls } from './sinks/syslog.ts';

const DEFAULT_FILES = 5;
const DEFAULT_BUFFER = 4096;

/** As it is configured: what makes no sense was always read as the default. */
export const bufferSizeOf = ({ bufferSize }: Config['audit']): number => (bufferSize > 0 ? bufferSize : DEFAULT_BUFFER);

async function tlsOf(config: Config['audit']): Promise<SyslogTls> {
  const read = async (path: string | null) => (path === null ? null : await readFile(path, 'utf8'));
  const ca = config.syslogCaCert?.startsWith('/') ? await read(config.syslogCaCert) : config.syslogCaCert;
  return { ca, cert: await read(config.syslogClientCert), key: await read(config.syslogClientKey) };
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

/** The sinks that are configured, each with the events that are meant for it. */
export function createSinks(config: Config['audit'], deps: SinkDeps): AuditSink[] {
  const names: Record<SinkName, readonly string[]> = {
    jsonlog: config.logEvents,
    syslog: config.syslogEvents,
    splunk_hec: config.splunkEvents,
    loki: config.lokiEvents,
  };
  return createAll(config, deps).map((sink) => ({ ...sink, wants: wantedBy(names[sink.name]) }));
}

interface SinkDeps {
  output: Output;
  clock: Clock;
  /** Milliseconds of a clock that nobody sets. */
  now: () => number;
}

function createAll(config: Config['audit'], deps: SinkDeps): AuditSink[] {
  const { log, logMaxSize, logMaxFiles } = config;
  const sinks: AuditSink[] = [];
  if (log?.to === 'stdout') sinks.push(createStandardOutput(deps));
  if (log?.to === 'file') {
    const maxFiles = logMaxFiles > 0 ? logMaxFiles : DEFAULT_FILES;
    sinks.push(createJsonLines({ path: log.path, maxSize: logMaxSize, maxFiles, now: deps.now }));
  }
  if (config.syslogUrl !== null) {
    sinks.push(
      createSyslog({
        target: config.syslogUrl,
        tls: () => tlsOf(config),
        origin: { hostname: hostname(), pid: process.pid, enterprise: config.syslogEnterpriseNumber },
        windowMs: config.syslogSafetyWindow,
        now: deps.now,
      }),
    );
  }
  if (config.splunkUrl !== null) {
    sinks.push(
      createSplunk({
        url: config.splunkUrl,
        // Configuration was refused without it.
        token: config.splunkToken ?? '',
        index: config.splunkIndex,
        gzip: config.splunkGzip,
        host: hostname(),
        now: deps.clock.now,
        channel: config.splunkAck ? randomUUID() : null,
      }),
    );
  }
  if (config.lokiUrl !== null) {
    const { lokiUrl: url, lokiToken: token, lokiTenant: tenant, lokiGzip: gzip } = config;
    sinks.push(createLoki({ url, token, tenant, gzip, now: deps.clock.now }));
  }
  return sinks;
}
