import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { whyNoPrometheus } from './testing/prometheus.ts';

const ROOT = join(import.meta.dirname, '../../..');
const RULES = join(ROOT, 'deploy/prometheus/identree-alerts.yml');

const text = readFileSync(RULES, 'utf8');
const alerts = [...text.matchAll(/^ {6}- alert: (\w+)$/gm)].map(([, name = '']) => name);

/** Cases that take longer than this are about days, minutes. */
const LONG_MINUTES = 600;

/** Series as promtool writes them (`start+step x times`), one value a minute, and when to look. */
interface Case {
  series: Readonly<Record<string, string>>;
  at: string;
}

const created = 'identree_challenges_created_total';
const auto = 'identree_challenges_auto_approved_total';
const denied = 'identree_challenges_denied_total{reason="user_rejected"}';
/** Two servers: what one of them does not count, the other does. */
const slow = (name: string, above: string, below: string): Record<string, string> => ({
  [`${name}_bucket{le="${above}",instance="a"}`]: '0+0x60',
  [`${name}_bucket{le="${below}",instance="a"}`]: '0+10x60',
  [`${name}_bucket{le="+Inf",instance="a"}`]: '0+10x60',
  [`${name}_bucket{le="${above}",instance="b"}`]: '0+0x60',
  [`${name}_bucket{le="${below}",instance="b"}`]: '0+0x60',
  [`${name}_bucket{le="+Inf",instance="b"}`]: '0+0x60',
});
const quick = (name: string, le: string): Record<string, string> => ({
  [`${name}_bucket{le="${le}",instance="a"}`]: '0+10x60',
  [`${name}_bucket{le="+Inf",instance="a"}`]: '0+10x60',
});
const one = (series: string, values: string, at = '30m'): Case => ({ series: { [series]: values }, at });

/** What each alert is for, and what is not worth a call at night. */
const CASES: Readonly<Record<string, { fires: Case; silent: Case }>> = {
  IdentreeDown: {
    fires: one('identree_build_info{instance="a"}', '1x5 stale _x20', '20m'),
    silent: {
      series: { 'identree_build_info{instance="a"}': '1x5 stale', 'identree_build_info{instance="b"}': '1x30' },
      at: '20m',
    },
  },
  IdentreeServerGone: {
    fires: {
      series: { 'up{job="identree",instance="a"}': '1x40', 'up{job="identree",instance="b"}': '0x40' },
      at: '30m',
    },
    silent: {
      series: { 'up{job="identree",instance="a"}': '1x40', 'up{job="other",instance="b"}': '0x40' },
      at: '30m',
    },
  },
  IdentreeUnhealthy: {
    fires: {
      series: {
        'identree_health{component="database",severity="critical",instance="a"}': '1x40',
        'identree_health{component="database",severity="critical",instance="b"}': '0x40',
      },
      at: '30m',
    },
    silent: one('identree_health{component="oidc",severity="degraded"}', '0x40'),
  },
  IdentreeDegraded: {
    fires: one('identree_health{component="oidc",severity="degraded"}', '1x5 0x40'),
    silent: one('identree_health{component="oidc",severity="degraded"}', '1x25 0x40'),
  },
  IdentreeNoRequests: {
    fires: { series: { [created]: '0+1x2880 2880x500', [auto]: '0x3400' }, at: '3300m' },
    silent: { series: { [created]: '0x3400', [auto]: '0+1x2880 2880+0.01x500' }, at: '3300m' },
  },
  IdentreeDenials: {
    fires: one(denied, '0x1500 0+3x30', '1525m'),
    silent: one(denied, '0+3x1600', '1525m'),
  },
  IdentreeApprovalsSlow: {
    fires: { series: slow('identree_challenge_duration_seconds', '60', '90'), at: '50m' },
    silent: { series: quick('identree_challenge_duration_seconds', '45'), at: '50m' },
  },
  IdentreeAuditDropped: {
    fires: one('identree_audit_events_total{sink="_channel",status="dropped"}', '0x20 1x20', '22m'),
    silent: one('identree_audit_events_total{sink="_channel",status="emitted"}', '0+5x40', '22m'),
  },
  IdentreeAuditSinkFailing: {
    fires: one('identree_audit_events_total{sink="loki",status="failed"}', '0x20 1x20', '22m'),
    silent: one('identree_audit_events_total{sink="loki",status="failed"}', '7x40', '22m'),
  },
  IdentreeAuditSinkPaused: {
    fires: one('identree_audit_sink_paused{sink="splunk_hec"}', '1x40'),
    silent: one('identree_audit_sink_paused{sink="splunk_hec"}', '0x40'),
  },
  IdentreeAuditSinkBehind: {
    fires: one('identree_audit_sink_lag_seconds{sink="syslog"}', '301x40'),
    silent: one('identree_audit_sink_lag_seconds{sink="syslog"}', '299x40'),
  },
  IdentreeAuditDeadLetters: {
    fires: one('identree_audit_dead_letters{sink="loki"}', '2x40'),
    silent: one('identree_audit_dead_letters{sink="loki"}', '0x40'),
  },
  IdentreeLogDisputed: { fires: one('identree_log_disputes', '1x40'), silent: one('identree_log_disputes', '0x40') },
  IdentreeLogHeadStale: {
    fires: {
      series: { identree_log_head_age_seconds: '3700x40', 'identree_agent_status{status="online"}': '2x40' },
      at: '30m',
    },
    silent: {
      series: {
        'identree_log_head_age_seconds{instance="a"}': '3700x40',
        'identree_log_head_age_seconds{instance="b"}': '20x40',
        'identree_agent_status{status="online"}': '2x40',
      },
      at: '30m',
    },
  },
  IdentreeEventReaderBehind: {
    fires: one('identree_event_reader_lag_seconds{reader="metrics"}', '400x40'),
    silent: one('identree_event_reader_lag_seconds{reader="metrics"}', '2x40'),
  },
  IdentreeEscrowFailing: {
    fires: one('identree_breakglass_escrow_total{status="failure"}', '0x20 1x20', '25m'),
    silent: one('identree_breakglass_escrow_total{status="success"}', '0+1x40', '25m'),
  },
  IdentreeHostAuthFailures: {
    fires: one('identree_auth_failures_total', '0x1500 0+5x30', '1525m'),
    silent: one('identree_auth_failures_total', '0x1500 0+1x30', '1525m'),
  },
  IdentreeRateLimited: {
    fires: one('identree_rate_limit_rejections_total', '0+1x60', '50m'),
    silent: one('identree_rate_limit_rejections_total', '0x30 0+9x5 45x40', '50m'),
  },
  IdentreeDirectorySyncFailing: {
    fires: one('identree_ldap_sync_failures_total', '0x20 1x20', '25m'),
    silent: one('identree_ldap_sync_failures_total', '4x40', '25m'),
  },
  IdentreeHostsGone: {
    fires: one('identree_registered_hosts', '12x20 11x20', '25m'),
    silent: one('identree_registered_hosts', '11x20 12x20', '25m'),
  },
  IdentreeHostsSilent: {
    fires: {
      series: { 'identree_agent_status{status="silent"}': '3x40', identree_registered_hosts: '10x40' },
      at: '30m',
    },
    silent: {
      series: { 'identree_agent_status{status="silent"}': '2x40', identree_registered_hosts: '10x40' },
      at: '30m',
    },
  },
  IdentreeProviderSlow: {
    fires: { series: slow('identree_oidc_exchange_duration_seconds', '5', '15'), at: '50m' },
    silent: { series: quick('identree_oidc_exchange_duration_seconds', '2'), at: '50m' },
  },
  IdentreeNotificationsFailing: {
    fires: one('identree_notifications_total{channel="ops",status="failed"}', '0x20 0+3x10', '25m'),
    silent: one('identree_notifications_total{channel="ops",status="failed"}', '0x20 2x20', '25m'),
  },
  IdentreeNotificationsGivenUp: {
    fires: one('identree_notifications_total{channel="ops",status="dead_lettered"}', '0x20 1x20', '25m'),
    silent: one('identree_notifications_total{channel="ops",status="failed"}', '0x20 1x20', '25m'),
  },
  IdentreeNotificationsSlow: {
    fires: { series: slow('identree_notification_delivery_duration_seconds', '10', '15'), at: '50m' },
    silent: { series: quick('identree_notification_delivery_duration_seconds', '5'), at: '50m' },
  },
  IdentreeHostCertificatesEnd: {
    fires: one('identree_host_certificates_ending', '1x100', '90m'),
    silent: one('identree_host_certificates_ending', '1x30 0x100', '90m'),
  },
  IdentreeCaEnds: {
    fires: one('identree_mtls_ca_expires_in_seconds', '2500000x40'),
    silent: one('identree_mtls_ca_expires_in_seconds', '2600000x40'),
  },
};

test('[M-08] every alert has a case in which it fires, one in which it does not, and a place in the docs', () => {
  assert.deepEqual([...alerts].sort(), Object.keys(CASES).sort());
  const page = readFileSync(join(ROOT, 'docs/monitoring.md'), 'utf8');
  for (const name of alerts) {
    assert.match(page, new RegExp(`^### ${name}$`, 'm'), name);
    assert.ok(text.includes(`runbook: docs/monitoring.md#${name.toLowerCase()}`), name);
  }
  assert.equal(text.match(/^ {10}summary: /gm)?.length, alerts.length);
});

test('[M-08] no alert asks for what is not measured', () => {
  const page = readFileSync(join(ROOT, 'docs/metrics.md'), 'utf8');
  const measured = new Set([...page.matchAll(/^\| `(identree_\w+)`/gm)].map(([, name]) => name));
  for (const [, name = ''] of text.matchAll(/\b(identree_\w+?)(?:_bucket)?[{[) ]/g))
    assert.ok(measured.has(name), name);
});

test('[M-08] Prometheus takes the rules, and each fires when it should and not before', {
  skip: whyNoPrometheus,
}, () => {
  const check = spawnSync('promtool', ['check', 'rules', RULES], { encoding: 'utf8' });
  assert.equal(check.status, 0, check.stdout + check.stderr);
  const folder = mkdtempSync(join(tmpdir(), 'identree-alerts-'));
  const quoted = (value: string): string => JSON.stringify(value);
  const cases = Object.entries(CASES).flatMap(([alert, { fires, silent }]) =>
    [[fires, true] as const, [silent, false] as const].map(([{ series, at }, fired]) => {
      const input = Object.entries(series).map(
        ([name, values]) => `{series: ${quoted(name)}, values: ${quoted(values)}}`,
      );
      // How often it fires is asked of what Prometheus itself writes of alerts, so that no word of theirs stands here again.
      const fine = `count(ALERTS{alertname="${alert}", alertstate="firing"})`;
      const samples = fired ? `[{labels: "{}", value: 1}]` : '[]';
      const text = [
        `  - name: ${alert} ${fired ? 'fires' : 'is silent'}`,
        '    interval: 1m',
        `    input_series: [${input.join(', ')}]`,
        `    promql_expr_test: [{expr: ${quoted(fine)}, eval_time: ${at}, exp_samples: ${samples}}]`,
      ].join('\n');
      return { text, isLong: Number.parseInt(at, 10) > LONG_MINUTES };
    }),
  );
  // Days are looked at every few minutes: each look is one at all rules.
  for (const isLong of [false, true]) {
    const file = join(folder, `${isLong ? 'long' : 'short'}.yml`);
    const some = cases.filter((one) => one.isLong === isLong).map((one) => one.text);
    const every = isLong ? '5m' : '1m';
    writeFileSync(file, `rule_files: [${quoted(RULES)}]\nevaluation_interval: ${every}\ntests:\n${some.join('\n')}\n`);
    const run = spawnSync('promtool', ['test', 'rules', file], { encoding: 'utf8' });
    assert.equal(run.status, 0, run.stdout + run.stderr);
  }
  rmSync(folder, { recursive: true });
});
