/**
 * The dashboards of this folder, as Grafana imports them: `npm run docs` writes the files. Counters are added up over all
 * servers, one of which counts an event; gauges say the same at each, so the largest is shown.
 */

type Unit = 'short' | 's' | 'ops' | 'percentunit' | 'bytes' | 'dateTimeFromNow';

interface Query {
  expr: string;
  legend: string;
}

interface Panel {
  title: string;
  kind: 'timeseries' | 'stat';
  unit: Unit;
  queries: readonly Query[];
  /** Where a number becomes worth a look, and where it is bad. */
  thresholds?: readonly [yellow: number, red: number];
}

interface Row {
  title: string;
  panels: readonly Panel[];
}

interface Dashboard {
  uid: string;
  title: string;
  rows: readonly Row[];
}

/** What a person chose above the dashboard. */
const CHOSEN = 'instance=~"$instance"';
/** A series of the chosen servers: `identree_name{…}`. */
const series = (name: string, labels = ''): string => `identree_${name}{${labels === '' ? '' : `${labels},`}${CHOSEN}}`;
const by = (label: string): string => (label === '' ? '' : ` by (${label})`);

/** How often something happens, per second. */
const rate = (name: string, label = '', labels = ''): Query => ({
  expr: `sum${by(label)} (rate(${series(name, labels)}[$__rate_interval]))`,
  legend:
    label === ''
      ? 'all'
      : label
          .split(', ')
          .map((one) => `{{${one}}}`)
          .join(' '),
});
/** What is so now. */
const now = (name: string, label = '', labels = ''): Query => ({
  expr: `max${by(label)} (${series(name, labels)})`,
  legend: label === '' ? 'now' : `{{${label}}}`,
});
/** How much happened in the time that is shown. */
const within = (name: string, label = '', labels = ''): Query => ({
  expr: `sum${by(label)} (increase(${series(name, labels)}[$__range]))`,
  legend: label === '' ? 'all' : `{{${label}}}`,
});
/** How much happened since the servers that run now were started. */
const total = (name: string, labels = ''): Query => ({ expr: `sum(${series(name, labels)})`, legend: 'all' });

const quantiles = (name: string, which: readonly number[], label = ''): Query[] =>
  which.map((quantile) => ({
    expr: `histogram_quantile(${quantile}, sum by (${label === '' ? 'le' : `le, ${label}`}) (rate(${series(`${name}_bucket`)}[$__rate_interval])))`,
    legend: `p${quantile * 100}${label === '' ? '' : ` {{${label}}}`}`,
  }));

const named = (queries: Record<string, Query>): Query[] =>
  Object.entries(queries).map(([legend, { expr }]) => ({ expr, legend }));

const graph = (title: string, queries: readonly Query[], unit: Unit = 'short'): Panel => ({
  title,
  kind: 'timeseries',
  unit,
  queries,
});
const stat = (title: string, query: Query, thresholds?: Panel['thresholds'], unit: Unit = 'short'): Panel => ({
  title,
  kind: 'stat',
  unit,
  queries: [query],
  ...(thresholds ? { thresholds } : {}),
});

const OVERVIEW: Dashboard = {
  uid: 'identree-overview',
  title: 'identree: overview',
  rows: [
    {
      title: 'Requests',
      panels: [
        graph('Requests made', [rate('challenges_created_total')], 'ops'),
        graph(
          'Requests decided',
          named({
            'by people': rate('challenges_approved_total'),
            'by policy': rate('challenges_auto_approved_total'),
            denied: rate('challenges_denied_total', '', 'reason="user_rejected"'),
            'ran out': rate('challenges_expired_total'),
            withdrawn: rate('challenges_cancelled_total'),
          }),
          'ops',
        ),
        stat('Waiting now', now('active_challenges'), [10, 50]),
        graph('From request to decision', quantiles('challenge_duration_seconds', [0.5, 0.95, 0.99]), 's'),
        graph('Rules of the policy', [rate('policy_evaluations_total', 'policy, outcome')], 'ops'),
        graph('Approvals by method', [rate('approvals_total', 'method')], 'ops'),
      ],
    },
    {
      title: 'Since the servers were started',
      panels: [
        stat('Asked', total('challenges_created_total')),
        stat('Approved by people', total('challenges_approved_total')),
        stat('Approved by policy', total('challenges_auto_approved_total')),
        stat('Denied', total('challenges_denied_total', 'reason="user_rejected"')),
        stat('Ran out', total('challenges_expired_total')),
        stat('Withdrawn', total('challenges_cancelled_total')),
      ],
    },
    {
      title: 'Notifications',
      panels: [
        graph('Notifications', [rate('notifications_total', 'channel, status')], 'ops'),
        graph('Receivers, how long', quantiles('notification_delivery_duration_seconds', [0.5, 0.95], 'channel'), 's'),
        stat('Failed attempts in this time', within('notifications_total', '', 'status="failed"'), [1, 100]),
        stat('Given up in this time', within('notifications_total', '', 'status="dead_lettered"'), [1, 10]),
      ],
    },
    {
      title: 'Signing in',
      panels: [
        graph('Host requests that were not authentic', [rate('auth_failures_total')], 'ops'),
        graph('Refused by a limit', [rate('rate_limit_rejections_total')], 'ops'),
        graph('Failed sign-ins', [rate('challenges_denied_total', 'reason', 'reason!="user_rejected"')], 'ops'),
        graph('Identity provider', quantiles('oidc_exchange_duration_seconds', [0.5, 0.95, 0.99]), 's'),
        graph('Passkeys that were refused', [rate('webauthn_failures_total')], 'ops'),
        stat('Sessions', now('sessions')),
      ],
    },
    {
      title: 'Directory',
      panels: [
        graph('Rounds that failed', [rate('ldap_sync_failures_total')], 'ops'),
        graph('Rounds', [rate('ldap_refresh_total', 'trigger')], 'ops'),
        graph('Searches', [rate('ldap_queries_total', 'base')], 'ops'),
        graph('Searches, how long', quantiles('ldap_search_duration_seconds', [0.5, 0.95, 0.99]), 's'),
        stat('Refused binds', within('ldap_bind_failures_total'), [10, 100]),
        stat('Source last heard', now('ldap_directory_age_seconds'), [600, 3600], 's'),
        graph('Served', [now('ldap_directory_entries', 'kind')]),
      ],
    },
    {
      title: 'Hosts',
      panels: [
        stat('Registered hosts', now('registered_hosts')),
        stat('On line', now('agent_status', '', 'status="online"')),
        graph('Hosts by state', [now('agent_status', 'status')]),
        graph('Agents by version', [now('agent_versions', 'version')]),
      ],
    },
    {
      title: 'Certificates',
      panels: [
        stat('CA ends in', now('mtls_ca_expires_in_seconds'), undefined, 's'),
        stat('First certificate of a host ends in', now('mtls_cert_expires_in_seconds_min'), undefined, 's'),
        graph('Certificates that end within', [now('mtls_certs_expiring', 'within')]),
        stat('Not renewed in time', now('host_certificates_ending'), [1, 5]),
      ],
    },
    {
      title: 'Break-glass',
      panels: [
        graph('Passwords kept', [rate('breakglass_escrow_total', 'status')], 'ops'),
        graph('Hosts by age of the password', [now('breakglass_password_age_hosts', 'within')]),
      ],
    },
    {
      title: 'Servers',
      panels: [
        stat('Servers', { expr: `count(${series('build_info')})`, legend: 'servers' }),
        graph('Components that are well', [
          { expr: `min by (component) (${series('health')})`, legend: '{{component}}' },
        ]),
        graph('Answers by status', [rate('http_request_duration_seconds_count', 'code')], 'ops'),
        graph('Answers, how long', quantiles('http_request_duration_seconds', [0.95], 'route'), 's'),
        graph('Live feeds', [{ expr: `sum(${series('sse_clients')})`, legend: 'open' }]),
        graph(
          'Memory',
          [{ expr: `max by (instance) (process_resident_memory_bytes{${CHOSEN}})`, legend: '{{instance}}' }],
          'bytes',
        ),
      ],
    },
    {
      title: 'Database',
      panels: [
        graph('Statements', [rate('db_query_duration_seconds_count')], 'ops'),
        graph('Statements, how long', quantiles('db_query_duration_seconds', [0.5, 0.95, 0.99]), 's'),
        graph('Connections', [{ expr: `sum by (state) (${series('db_pool_connections')})`, legend: '{{state}}' }]),
      ],
    },
  ],
};

const AUDIT: Dashboard = {
  uid: 'identree-audit-health',
  title: 'identree: audit and health',
  rows: [
    {
      title: 'Delivery',
      panels: [
        graph('Delivered', [rate('audit_events_total', 'sink', 'status="emitted"')], 'ops'),
        graph('Failed attempts', [rate('audit_events_total', 'sink', 'status="failed"')], 'ops'),
        graph('Dropped', [rate('audit_events_total', 'sink', 'status="dropped"')], 'ops'),
        stat('Dropped in this time', within('audit_events_total', '', 'status="dropped"'), [1, 1]),
        stat('Failed in this time', within('audit_events_total', '', 'status="failed"'), [1, 100]),
        graph('Behind', [now('audit_sink_lag_seconds', 'sink')], 's'),
        graph('Events not delivered yet', [now('audit_sink_lag_events', 'sink')]),
        stat('Dead letters', { expr: `sum(max by (sink) (${series('audit_dead_letters')}))`, legend: 'all' }, [1, 10]),
        graph('Waiting for an operator', [now('audit_sink_paused', 'sink')]),
      ],
    },
    {
      title: 'Proofs',
      panels: [
        stat(
          'Signed head last shown',
          { expr: `min(${series('log_head_age_seconds')})`, legend: 'ago' },
          [600, 3600],
          's',
        ),
        stat('Hosts that saw another log', now('log_disputes'), [1, 1]),
        stat(
          'Rows that cannot be read',
          { expr: `sum(${series('unreadable_rows_total')}) or vector(0)`, legend: 'all' },
          [1, 1],
        ),
      ],
    },
    {
      title: 'Readers of the event log',
      panels: [
        graph('Behind the log', [now('event_reader_lag_seconds', 'reader')], 's'),
        graph('Events not dealt with yet', [now('event_reader_lag_events', 'reader')]),
        graph('Failing', [now('event_reader_failing', 'reader')]),
      ],
    },
  ],
};

const SOURCE = { type: 'prometheus', uid: `\${DS_PROMETHEUS}` };
/** Grafana's grid is so wide. */
const WIDTH = 24;
const SIZE = { timeseries: { w: 8, h: 8 }, stat: { w: 4, h: 4 } } as const;

function panelJson(panel: Panel, id: number, gridPos: object): object {
  const steps = panel.thresholds
    ? [
        { color: 'green', value: null },
        { color: 'yellow', value: panel.thresholds[0] },
        { color: 'red', value: panel.thresholds[1] },
      ]
    : [{ color: 'green', value: null }];
  return {
    id,
    title: panel.title,
    type: panel.kind,
    datasource: SOURCE,
    gridPos,
    fieldConfig: {
      defaults: { unit: panel.unit, thresholds: { mode: 'absolute', steps } },
      overrides: [],
    },
    options:
      panel.kind === 'stat'
        ? {
            reduceOptions: { calcs: ['lastNotNull'], fields: '', values: false },
            colorMode: 'value',
            graphMode: 'area',
          }
        : {
            legend: { displayMode: 'list', placement: 'bottom', showLegend: true },
            tooltip: { mode: 'multi', sort: 'desc' },
          },
    targets: panel.queries.map(({ expr, legend }, at) => ({
      refId: String.fromCharCode(65 + at),
      datasource: SOURCE,
      editorMode: 'code',
      expr,
      legendFormat: legend,
      range: panel.kind === 'timeseries',
      instant: panel.kind === 'stat',
    })),
  };
}

function dashboardJson({ uid, title, rows }: Dashboard): object {
  const panels: object[] = [];
  let id = 0;
  let y = 0;
  for (const row of rows) {
    id += 1;
    panels.push({
      id,
      title: row.title,
      type: 'row',
      collapsed: false,
      gridPos: { x: 0, y, w: WIDTH, h: 1 },
      panels: [],
    });
    y += 1;
    let x = 0;
    let high = 0;
    for (const panel of row.panels) {
      const { w, h } = SIZE[panel.kind];
      if (x + w > WIDTH) {
        x = 0;
        y += high;
        high = 0;
      }
      id += 1;
      panels.push(panelJson(panel, id, { x, y, w, h }));
      x += w;
      high = Math.max(high, h);
    }
    y += high;
  }
  return {
    __inputs: [
      {
        name: 'DS_PROMETHEUS',
        label: 'Prometheus',
        type: 'datasource',
        pluginId: 'prometheus',
        pluginName: 'Prometheus',
      },
    ],
    __requires: [
      { type: 'grafana', id: 'grafana', name: 'Grafana', version: '10.0.0' },
      { type: 'datasource', id: 'prometheus', name: 'Prometheus', version: '1.0.0' },
      { type: 'panel', id: 'timeseries', name: 'Time series', version: '' },
      { type: 'panel', id: 'stat', name: 'Stat', version: '' },
    ],
    uid,
    title,
    tags: ['identree'],
    schemaVersion: 38,
    version: 1,
    editable: true,
    graphTooltip: 1,
    timezone: 'browser',
    refresh: '30s',
    time: { from: 'now-6h', to: 'now' },
    annotations: { list: [] },
    links: [],
    templating: {
      list: [
        {
          name: 'instance',
          label: 'Server',
          type: 'query',
          datasource: SOURCE,
          query: { query: 'label_values(identree_build_info, instance)', refId: 'instance' },
          definition: 'label_values(identree_build_info, instance)',
          refresh: 2,
          multi: true,
          includeAll: true,
          allValue: '.*',
          current: { text: ['All'], value: ['$__all'] },
          sort: 1,
        },
      ],
    },
    panels,
  };
}

/** Files of this folder and what is in them. */
export const DASHBOARDS: Readonly<Record<string, () => string>> = Object.fromEntries(
  [OVERVIEW, AUDIT].map((dashboard) => [
    `${dashboard.uid}.json`,
    () => JSON.stringify(dashboardJson(dashboard), null, 2),
  ]),
);
