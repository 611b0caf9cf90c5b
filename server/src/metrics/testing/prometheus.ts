import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { TestContext } from 'node:test';

const isThere = (program: string): boolean =>
  spawnSync(program, ['--version'], { stdio: 'ignore' }).error === undefined;

/** Why real Prometheus cannot take part; false when it can. */
export const whyNoPrometheus: string | false =
  isThere('prometheus') && isThere('promtool') && isThere('prometheus-alertmanager')
    ? false
    : 'promtool is needed, with Prometheus and its Alertmanager: sudo apt-get install prometheus prometheus-alertmanager';

/** One series of an answer. */
export interface Sample {
  metric: Record<string, string>;
  value: number;
}

/** Runs until the test ends. @returns the address that it says it listens at, whichever port was free */
async function startProgram(t: Pick<TestContext, 'after'>, program: string, args: readonly string[]): Promise<string> {
  const child: ChildProcess = spawn(program, args, { stdio: ['ignore', 'ignore', 'pipe'] });
  const ended = new Promise<void>((resolve) => child.on('close', () => resolve()));
  t.after(async () => {
    child.kill('SIGKILL');
    await ended;
  });
  const said: string[] = [];
  const lines = createInterface({ input: child.stderr! });
  return new Promise((resolve, reject) => {
    lines.on('line', (line) => {
      said.push(line);
      const address = /msg="Listening on" address=(\S+)/.exec(line)?.[1];
      if (address) resolve(`http://${address}`);
    });
    child.on('error', reject);
    void ended.then(() => reject(new Error(`${program} ended:\n${said.join('\n')}`)));
  });
}

function folderFor(t: Pick<TestContext, 'after'>): string {
  const folder = mkdtempSync(join(tmpdir(), 'identree-prometheus-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

/** An Alertmanager that hands everything to one address at once. */
export function startAlertmanager(t: Pick<TestContext, 'after'>, receiver: string): Promise<string> {
  const folder = folderFor(t);
  const config = join(folder, 'alertmanager.yml');
  const receivers = `receivers: [{name: pager, webhook_configs: [{url: ${JSON.stringify(receiver)}}]}]`;
  writeFileSync(config, `route: {receiver: pager, group_wait: 0s, group_interval: 1s}\n${receivers}\n`);
  return startProgram(t, 'prometheus-alertmanager', [
    `--config.file=${config}`,
    `--storage.path=${join(folder, 'data')}`,
    '--web.listen-address=127.0.0.1:0',
    '--cluster.listen-address=',
  ]);
}

/** Prometheus, which asks its targets every two seconds. */
export async function startPrometheus(
  t: Pick<TestContext, 'after'>,
  options: { targets: readonly string[]; token: string; rules: string; alertmanager: string },
) {
  const folder = folderFor(t);
  const config = join(folder, 'prometheus.yml');
  const list = (values: readonly string[]): string => `[${values.map((value) => JSON.stringify(value)).join(', ')}]`;
  writeFileSync(
    config,
    [
      'global: {scrape_interval: 2s, scrape_timeout: 2s, evaluation_interval: 1s}',
      `rule_files: ${list([options.rules])}`,
      `alerting: {alertmanagers: [{static_configs: [{targets: ${list([options.alertmanager])}}]}]}`,
      'scrape_configs:',
      '  - job_name: identree',
      `    authorization: {credentials: ${JSON.stringify(options.token)}}`,
      `    static_configs: [{targets: ${list(options.targets)}}]`,
    ].join('\n'),
  );
  const url = await startProgram(t, 'prometheus', [
    `--config.file=${config}`,
    `--storage.tsdb.path=${join(folder, 'data')}`,
    '--web.listen-address=127.0.0.1:0',
  ]);

  async function ask(path: string, parameters: Record<string, string> = {}): Promise<unknown> {
    const answer = await fetch(`${url}/api/v1/${path}?${new URLSearchParams(parameters)}`);
    const body = (await answer.json()) as { status: string; error?: string; data: unknown };
    if (body.status !== 'success') throw new Error(`${path} ${JSON.stringify(parameters)}: ${body.error}`);
    return body.data;
  }

  // It listens before it has read what it stored.
  while (!(await fetch(`${url}/-/ready`)).ok) await new Promise((resolve) => setTimeout(resolve, 50));
  return {
    ask,
    /** What an expression is now. */
    async query(expression: string): Promise<Sample[]> {
      const { result } = (await ask('query', { query: expression })) as {
        result: { metric: Record<string, string>; value: [number, string] }[];
      };
      return result.map(({ metric, value }) => ({ metric, value: Number(value[1]) }));
    },
  };
}
