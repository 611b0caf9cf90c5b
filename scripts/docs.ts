import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import type { Metric } from 'prom-client';
import { z } from 'zod';
import { manPage } from '#shared/command-line/man-page.ts';
import { referenceChapter } from '#shared/command-line/reference-page.ts';
import { EARLIER_EVENTS, EARLIER_SILENCE, type Earlier } from '#shared/earlier-events.ts';
import { ERRORS } from '#shared/errors.ts';
import { EVENTS } from '#shared/events.ts';
import { PROGRAM as AGENT } from '../agent/src/commands/program.ts';
import { outageMatrix } from '../chaos/outage-matrix.ts';
import { DASHBOARDS } from '../deploy/grafana/dashboards.ts';
import { PROGRAM as SERVER } from '../server/src/commands/program.ts';
import { listSettings } from '../server/src/config/config.ts';
import { DEFAULT_TOML_FILE, TOML_FILE_VARIABLE } from '../server/src/config/sources.ts';
import { LEAVING_CHECK } from '../server/src/http/health-routes.ts';
import { listOperations, REST_PREFIX } from '../server/src/http/operations.ts';
import { type Severity, severityOf } from '../server/src/notify/severity.ts';
import { COMMON_VALUES } from '../server/src/platform/health-check.ts';
import { everyCheck } from '../server/src/testing/every-check.ts';
import { createTestApp } from '../server/src/testing/test-app.ts';

/**
 * `npm run docs`: writes the reference pages from the code that they describe. With `--check` it writes nothing and
 * fails when a page is out of date.
 */

const NOTICE = '<!-- Written by `npm run docs`. Edit the source named below instead. -->';
const cell = (text: string): string => text.replaceAll('|', '\\|').replaceAll('\n', ' ');

function configurationPage(): string {
  const all = listSettings();
  const settings = all.filter(({ meta }) => meta.furtherOf === undefined);
  const further = (env: string): string[] => all.flatMap(({ meta }) => (meta.furtherOf === env ? [meta.env] : []));
  const sections = [...new Set(settings.map(({ meta }) => meta.section))];
  const rows = (section: string): string[] =>
    settings
      .filter(({ meta }) => meta.section === section)
      .flatMap(({ meta }) => [
        `### \`${meta.env}\``,
        '',
        meta.description,
        '',
        ...(meta.required
          ? ['- Required']
          : [`- Default: ${meta.defaultNote ?? (meta.default ? `\`${meta.default}\`` : 'unset')}`]),
        ...(meta.example ? [`- Example: \`${meta.example}\``] : []),
        meta.toml
          ? `- TOML: \`${meta.toml}\``
          : `- Secret: from the environment, or from the file that \`${meta.env}_FILE\` names`,
        ...(further(meta.env).length > 0
          ? [`- Of further ones: \`${further(meta.env)[0]}\` to \`${further(meta.env).at(-1)}\``]
          : []),
        '',
      ]);
  return [
    '# Configuration of the server',
    '',
    `${NOTICE}`,
    '<!-- Source: server/src/config/config.ts -->',
    '',
    `The environment wins over the TOML file, which wins over the default. The file is \`${DEFAULT_TOML_FILE}\`, or the`,
    `one that \`${TOML_FILE_VARIABLE}\` names. An empty variable clears what the file says.`,
    '',
    'The server refuses to start when a value is wrong or missing, and then lists everything that is wrong at once. A name',
    'it does not know gets a warning with the name that was probably meant.',
    '',
    'Secrets are never read from the TOML file. Each has a second variable that ends in `_FILE` and names a file with the',
    'secret in it, for systemd credentials and for the secrets of container platforms.',
    '',
    ...sections.flatMap((section) => [`## ${section}`, '', ...rows(section)]),
  ]
    .join('\n')
    .trimEnd();
}

const earlierRows = (what: Readonly<Record<string, Earlier>>, quote: string): string[] =>
  Object.entries(what).map(
    ([name, { now, text }]) => `| ${quote}${name}${quote} | ${now === null ? '' : `\`${now}\``} | ${cell(text)} |`,
  );

function eventsPage(): string {
  const ofSeverity = (severity: Severity): string =>
    Object.keys(EVENTS)
      .filter((name) => severityOf(name) === severity)
      .map((name) => `\`${name}\``)
      .join(', ');
  return [
    '# Events',
    '',
    NOTICE,
    '<!-- Source: shared/src/events.ts, shared/src/earlier-events.ts -->',
    '',
    'Every change is one row in one append-only log, written in the same transaction as the change. Rows are chained: each',
    'carries the hash of the one before it, and hosts follow signed heads of the log ([how](event-log.md)).',
    '',
    'Administrators see every event. The people whose own accounts it is about see those that say so.',
    '',
    '| Event | Topic | Own | Meaning |',
    '|---|---|---|---|',
    ...Object.entries(EVENTS).map(
      ([name, { text, topic, own }]) => `| \`${name}\` | ${topic} | ${own ? 'yes' : ''} | ${cell(text)} |`,
    ),
    '',
    `Of these are \`critical\` for [who is told](who-is-told.md): ${ofSeverity('critical')}; \`warning\`:`,
    `${ofSeverity('warning')}. All others are \`info\`.`,
    '',
    '## Events of earlier versions',
    '',
    'All that are not named here kept their names.',
    '',
    '| Event | Now | Why |',
    '|---|---|---|',
    ...earlierRows(EARLIER_EVENTS, '`'),
    '',
    'What earlier versions did without an event:',
    '',
    '| What | Now | |',
    '|---|---|---|',
    ...earlierRows(EARLIER_SILENCE, ''),
    '',
    '## Following them',
    '',
    '`GET /api/events` tells who is signed in what happens, as server-sent events with `id` and `data`. It begins with the id',
    'after which it goes on: the newest event, or the one that `Last-Event-ID` names. An id that the log has not reached yet',
    'is of another log, one that was replaced by a backup: then it begins at the newest event, and what the client knows is to',
    'be asked for anew. Who is asking is looked up again before anything is told; when the session ends, so does the stream.',
    '',
    'An event whose data cannot be read any more is told and counted like the others. `identree_unreadable_rows_total` and',
    '`event_log` in `/healthz` say so once it was found, and `identree-server verify-log` names where the chain is broken.',
  ].join('\n');
}

function errorsPage(): string {
  return [
    '# Errors',
    '',
    NOTICE,
    '<!-- Source: shared/src/errors.ts -->',
    '',
    'A refused request is answered with `{"error": {"code": "…", "message": "…"}}`. The code stays the same from version to',
    'version; the message is for people.',
    '',
    '| Code | Status | Message |',
    '|---|---|---|',
    ...Object.entries(ERRORS).map(([code, [status, message]]) => `| \`${code}\` | ${status} | ${cell(message)} |`),
  ].join('\n');
}

async function restPage(): Promise<string> {
  // What the routers say about themselves is the same for every server; this one is not even started.
  const { app, close } = await createTestApp();
  const operations = listOperations(app.router);
  await close();
  return [
    '# REST',
    '',
    NOTICE,
    '<!-- Source: the routers below server/src; an operation says its own place -->',
    '',
    'The operations of the console that other programs may want, under the same rights and with the same refusals. They are',
    'called with the session of a signed-in person: its cookie, and for everything but GET also the header `x-csrf-token`',
    'with the `csrfToken` that `GET /trpc/me.get` answers, and the header `origin` with `IDENTREE_EXTERNAL_URL`.',
    `\`${REST_PREFIX}/openapi.json\` describes them to programs, with everything that an input may hold.`,
    '',
    'Bodies and answers are JSON. What `{…}` stands for goes into the path; with GET and DELETE the rest goes into the query.',
    '',
    '| Operation | What it does | Input |',
    '|---|---|---|',
    ...operations.map(({ rest, input }) => {
      const written = input instanceof z.ZodPipe ? input.in : input;
      const members = written instanceof z.ZodObject ? Object.keys(written.shape) : [];
      const given = members.map((member) => `\`${member}\``).join(', ') || '–';
      return `| \`${rest.method} ${REST_PREFIX}${rest.path}\` | ${cell(rest.summary)} | ${given} |`;
    }),
  ].join('\n');
}

async function metricsPage(): Promise<string> {
  const folder = mkdtempSync(join(tmpdir(), 'identree-docs-'));
  const people = join(folder, 'people.json');
  writeFileSync(people, JSON.stringify({ users: [], groups: [] }), { mode: 0o600 });
  // With a directory, which has metrics of its own.
  const { app, close } = await createTestApp({
    env: {
      IDENTREE_DIRECTORY_SOURCE: 'file',
      IDENTREE_DIRECTORY_FILE: people,
      IDENTREE_LDAP_BASE_DN: 'dc=example,dc=com',
      IDENTREE_LDAP_LISTEN_ADDR: '127.0.0.1:0',
      IDENTREE_LDAP_BIND_DN: 'cn=sssd,dc=example,dc=com',
      IDENTREE_LDAP_BIND_PASSWORD: 'not a secret of anybody',
    },
  });
  const own = app.registry.getMetricsAsArray().filter(({ name }) => name.startsWith('identree_'));
  const rows = await Promise.all(
    own.map(async (metric) => {
      const { name, help, type } = await (metric as unknown as Metric).get();
      const { labelNames = [] } = metric as unknown as { labelNames?: string[] };
      return { name, line: `| \`${name}\` | ${type} | ${labelNames.join(', ')} | ${cell(help)} |` };
    }),
  );
  await close();
  rmSync(folder, { recursive: true });
  return [
    '# Metrics',
    '',
    NOTICE,
    '<!-- Source: the modules below server/src, each of which says what it measures -->',
    '',
    'What `GET /metrics` shows beside what every Node.js process does. How to scrape them, dashboards and alerts are on',
    '[another page](monitoring.md).',
    '',
    '| Metric | Type | Labels | |',
    '|---|---|---|---|',
    ...rows.sort((a, b) => (a.name < b.name ? -1 : 1)).map(({ line }) => line),
  ].join('\n');
}

async function healthPage(): Promise<string> {
  const checks = [LEAVING_CHECK, ...(await everyCheck())];
  return [
    '# Health',
    '',
    NOTICE,
    '<!-- Source: the health checks of the modules below server/src -->',
    '',
    '`GET /healthz` says how the server is, to anybody who asks: `status`, each of its `checks`, and `details` where there is',
    'more to say than a word; `now` is its clock, in milliseconds since 1970. It is there for load balancers, for alerts, and',
    'for `identree doctor` on hosts.',
    '',
    '| `status` | HTTP | When | What a balancer does |',
    '|---|---|---|---|',
    '| `ok` | 200 | all checks are `ok` | sends clients there |',
    '| `degraded` | 200 | a lesser one is not | sends clients there: decisions go on |',
    '| `unhealthy` | 503 | a critical one is not | sends them elsewhere |',
    '',
    'A check is only there when what it looks at is configured. `…` stands for what differs. Every check may also say:',
    '',
    ...Object.entries(COMMON_VALUES).map(([value, text]) => `- \`${value}\`: ${text}`),
    '',
    ...checks.flatMap(({ name, about, severity, values, details, namesParts }) => [
      `## \`${name}\``,
      '',
      about,
      '',
      ...(Object.keys(values).length === 0
        ? []
        : [
            '| Value | HTTP | What it means, and what to do |',
            '|---|---|---|',
            ...Object.entries(values).map(
              ([value, text]) => `| \`${value}\` | ${severity === 'critical' ? 503 : 200} | ${cell(text)} |`,
            ),
            '',
          ]),
      ...(details === undefined ? [] : [`\`details.${name}\`: ${details}.`, '']),
      ...(namesParts
        ? [
            'Where `IDENTREE_METRICS_TOKEN` is set, names and details are told to those alone who give it, as for `/metrics`.',
            '',
          ]
        : []),
    ]),
  ]
    .join('\n')
    .trimEnd();
}

function commandsPage(): string {
  return [
    '# Commands',
    '',
    NOTICE,
    '<!-- Source: agent/src/commands and server/src/commands -->',
    '',
    'The same is in the manual pages `man/identree.8` and `man/identree-server.8`, and behind `--help` of each command. bash',
    'completes commands after `source <(identree completions bash)`.',
    '',
    ...referenceChapter(AGENT),
    ...referenceChapter(SERVER),
  ]
    .join('\n')
    .trimEnd();
}

const outageMatrixPage = (): string =>
  [
    '# Outage matrix',
    '',
    NOTICE,
    '<!-- Source: chaos/expected.json, which `npm run chaos -- --accept` writes -->',
    '',
    ...outageMatrix(),
  ].join('\n');

const PAGES: Record<string, () => string | Promise<string>> = {
  'commands.md': commandsPage,
  'configuration.md': configurationPage,
  'events.md': eventsPage,
  'errors.md': errorsPage,
  'health.md': healthPage,
  'outage-matrix.md': outageMatrixPage,
  'metrics.md': metricsPage,
  'rest.md': restPage,
  'man/identree.8': () => manPage(AGENT).trimEnd(),
  'man/identree-server.8': () => manPage(SERVER).trimEnd(),
  ...Object.fromEntries(Object.entries(DASHBOARDS).map(([name, write]) => [`../deploy/grafana/${name}`, write])),
};

const folder = join(import.meta.dirname, '../docs');
const check = process.argv.includes('--check');
const stale: string[] = [];
for (const [name, render] of Object.entries(PAGES)) {
  const content = `${await render()}\n`;
  let current = '';
  try {
    current = readFileSync(join(folder, name), 'utf8');
  } catch {
    // Not written yet.
  }
  if (current === content) continue;
  stale.push(join('docs', name));
  if (!check) {
    mkdirSync(dirname(join(folder, name)), { recursive: true });
    writeFileSync(join(folder, name), content);
  }
}
if (check && stale.length > 0) {
  process.stderr.write(`out of date: ${stale.join(', ')}. Run: npm run docs\n`);
  process.exitCode = 1;
} else if (!check) {
  process.stdout.write(stale.length > 0 ? `written: ${stale.join(', ')}\n` : 'everything is up to date\n');
}
