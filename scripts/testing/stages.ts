import { existsSync, globSync, readdirSync } from 'node:fs';
import { basename, join, matchesGlob, relative, resolve } from 'node:path';

/** A program that reports results itself, or one whose exit code is the result. */
export interface Step {
  /** Name of the one check that an exit code stands for; null when the program reports its tests. */
  check: string | null;
  command: string;
  args: readonly string[];
  /** Test files, the last arguments. A step without any prepares something, or is one check. */
  files: readonly string[];
  env?: Record<string, string>;
  /** It runs in a network of its own, so that those that labs make and remove do not disturb its browsers. */
  ownNetwork?: boolean;
}

export interface Stage {
  name: string;
  steps: readonly Step[];
  limitSeconds: number;
  /** Programs without which nothing here can run. */
  needs: readonly string[];
  /** It measures time, or builds what others read: no other stage runs meanwhile. */
  alone: boolean;
}

const NODE_FLAGS = ['--disable-warning=ExperimentalWarning'];
const RUNNER = './scripts/testing/run-node-tests.ts';

interface NodeTestOptions {
  concurrency?: number;
  timeoutSeconds?: number;
  env?: Record<string, string>;
}

function nodeTests(
  files: readonly string[],
  { concurrency = 2, timeoutSeconds = 120, env }: NodeTestOptions = {},
): Step {
  return {
    check: null,
    command: process.execPath,
    args: [...NODE_FLAGS, RUNNER, `--concurrency=${concurrency}`, `--timeout=${timeoutSeconds * 1000}`],
    files,
    ...(env ? { env } : {}),
  };
}

const script = (check: string, file: string, ...args: string[]): Step => ({
  check,
  command: process.execPath,
  args: [...NODE_FLAGS, file, ...args],
  files: [],
});

/** How much more time a stage has in its long form. */
const LONG = 10;

interface E2eStage extends Pick<Stage, 'limitSeconds' | 'needs'>, Partial<Pick<Stage, 'alone'>>, NodeTestOptions {
  /** The same, where ten times is not enough. */
  longFactor?: number;
  /** Which of its files open a browser on nothing but loopback. */
  ownNetwork?: 'all' | readonly string[];
  /** The file that takes longest, where several run at a time: it begins first, so that nothing waits for it alone. */
  longest?: string;
}

/**
 * Stages below e2e/: the folder's name is the stage's name. They run beside each other, and what takes longest comes
 * first, so that they end together.
 */
const E2E: Record<string, E2eStage> = {
  hosts: {
    limitSeconds: 2700,
    needs: ['cc', 'make'],
    concurrency: 4,
    timeoutSeconds: 600,
    longest: 'sssd-setup.test.ts',
    // 333,000 command lines of sudo: 55 a second on two processors with little else to do, 20 where everything else of
    // the long form runs beside them.
    longFactor: 16,
  },
  // Most of it is waiting. What runs in its namespaces ends by itself before.
  desktop: { limitSeconds: 1260, needs: ['Xvfb'], concurrency: 1, timeoutSeconds: 620 },
  browser: { limitSeconds: 1800, needs: ['chromium'], concurrency: 1, ownNetwork: 'all' },
  directory: {
    limitSeconds: 1800,
    needs: ['cc', 'make'],
    concurrency: 2,
    timeoutSeconds: 600,
    longest: 'documented.test.ts',
  },
  interop: {
    limitSeconds: 1800,
    needs: ['cc', 'make'],
    concurrency: 1,
    timeoutSeconds: 300,
    ownNetwork: ['keycloak.test.ts'],
  },
  evaluation: { limitSeconds: 900, needs: ['chromium'], concurrency: 1, ownNetwork: 'all' },
  // What needs slapd says so itself where there is none.
  ldap: { limitSeconds: 480, needs: [], concurrency: 1, timeoutSeconds: 300 },
  // Nothing beside it: latency is measured.
  hostile: { limitSeconds: 480, needs: [], concurrency: 1, timeoutSeconds: 300, alone: true },
};
const E2E_HELPERS = ['harness', 'lab'];
/** Stages on real hosts. */
export const LAB_STAGES = ['interop', 'hosts', 'directory'];
const NEED_BUILD = ['evaluation', 'browser', 'desktop', ...LAB_STAGES];

/** All stages in the order in which they run: what is quick and likely to fail comes first. */
export function listStages(root: string, { long }: { long: boolean }): Stage[] {
  const bin = (name: string): string => join(root, 'node_modules/.bin', name);
  const find = (...patterns: string[]): string[] =>
    globSync(patterns, { cwd: root, exclude: ['**/node_modules/**', '**/dist/**'] }).sort();
  const factor = long ? LONG : 1;
  const stage = (
    name: string,
    limitSeconds: number,
    steps: Step[],
    { needs = [], alone = false, times = factor }: Partial<Pick<Stage, 'needs' | 'alone'>> & { times?: number } = {},
  ): Stage => ({ name, limitSeconds: limitSeconds * times, steps, needs, alone });

  const projects = find('tsconfig.json', 'apps/*/tsconfig.json', 'e2e/*/tsconfig.json', 'server/src/*/tsconfig.json');
  // What takes longest begins first, so that the processors end together.
  const unit = [
    ...new Set([
      ...find('chaos/*.test.ts', 'server/src/testing/*.test.ts'),
      ...find('server/src/{auth,http,passkeys}/*.test.ts', 'agent/src/gate/*.test.ts'),
      ...find('{shared,server,agent}/src/**/*.test.ts', 'apps/*/src/**/*.test.ts', 'scripts/**/*.test.ts'),
    ]),
  ];
  const native = find('agent/native/test/*.test.ts');

  const fuzzing: Step = {
    check: 'the parsers of the hooks survive five minutes of fuzzing each',
    command: 'make',
    args: ['-s', '-C', 'agent/native', 'fuzz', 'FUZZ_SECONDS=300'],
    files: [],
  };
  const fuzz = stage('fuzz', 180, [fuzzing], { needs: ['clang', 'make'] });
  const goals = script('the LDAP server meets its goals side by side with slapd', 'bench/ldap.ts', '--gate', '--json');
  const bench = stage('bench', 300, [goals], { needs: ['cc', 'slapd', 'ldapsearch'], alone: true });

  const stages = [
    stage(
      'types',
      480,
      projects.map((project) => ({
        check: `tsc -p ${project}`,
        command: bin('tsc'),
        args: ['-p', project],
        files: [],
      })),
    ),
    stage('lint', 240, [
      {
        check: 'biome ci',
        command: bin('biome'),
        args: ['ci', '--colors=off', '--max-diagnostics=50', '.'],
        files: [],
      },
    ]),
    stage('docs', 240, [script('reference pages are up to date', 'scripts/docs.ts', '--check')]),
    stage('architecture', 240, [nodeTests(['architecture.test.ts'])]),
    stage('native', 600, [nodeTests(native, { timeoutSeconds: 240 * factor })], { needs: ['cc', 'make'] }),
    ...(long ? [fuzz] : []),
    stage('build', 240, [script('console and approval page are built', 'scripts/build.ts', '--if-stale')], {
      alone: true,
    }),
    // Four: those of the gate and of faults mostly wait.
    stage('unit', 3600, [nodeTests(unit, { concurrency: 4, timeoutSeconds: 900 * factor })]),
  ];
  const folders = readdirSync(join(root, 'e2e'), { withFileTypes: true });
  const found = folders
    .filter((entry) => entry.isDirectory() && !E2E_HELPERS.includes(entry.name))
    .map(({ name }) => name);
  const names = [...new Set([...Object.keys(E2E), ...found])];
  for (const name of names) {
    const known = E2E[name] ?? { limitSeconds: 180, needs: [], alone: true };
    const steps: Step[] = [];
    const config = `e2e/${name}/playwright.config.ts`;
    if (existsSync(join(root, config))) {
      const reporter = join(root, 'scripts/testing/playwright-reporter.ts');
      steps.push({
        check: null,
        command: bin('playwright'),
        args: ['test', '-c', config, `--reporter=${reporter}`],
        files: find(`e2e/${name}/**/*.spec.ts`),
        ownNetwork: known.ownNetwork === 'all',
      });
    }
    // Hosts run what is packaged, so it has to be what is in the tree.
    if (LAB_STAGES.includes(name)) {
      steps.push(script('the agent and its hook are built', 'scripts/build-agent.mjs', '--if-stale'));
      steps.push(script("the image of the lab's hosts is built", 'scripts/lab-image.ts'));
    }
    if (name === 'interop') {
      steps.push(script('PocketID is built where Go can have it', 'scripts/pocketid.ts'));
      steps.push(script('Keycloak is unpacked where Maven can have it', 'scripts/keycloak.ts'));
    }
    const { timeoutSeconds = 180, longest, longFactor = LONG, alone = false, ownNetwork = [], ...options } = known;
    const times = long ? longFactor : 1;
    const tests = [
      ...new Set([...(longest ? find(`e2e/${name}/${longest}`) : []), ...find(`e2e/${name}/**/*.test.ts`)]),
    ];
    const isApart = (file: string): boolean => ownNetwork === 'all' || ownNetwork.includes(basename(file));
    for (const apart of [true, false]) {
      const files = tests.filter((file) => isApart(file) === apart);
      const step = nodeTests(files, { ...options, timeoutSeconds: timeoutSeconds * times });
      if (files.length > 0) steps.push({ ...step, ownNetwork: apart });
    }
    stages.push(stage(name, known.limitSeconds, steps, { needs: known.needs, alone, times }));
  }
  // Last, when nothing else runs.
  return long ? [...stages, bench] : stages;
}

/** What is wanted of the stages; `unknown` is a word that means none of them. */
export type Picked = { ok: true; stages: Stage[] } | { ok: false; unknown: string };

/**
 * Picks whole stages by name, and single test files by what is written of them: with what their stage needs and
 * prepares. A file is named by its path from `folder`, by one from the root, by its own name, by a folder or by a
 * pattern.
 *
 * @param root absolute, as `folder` is: where the words were typed
 */
export function pickStages(
  stages: readonly Stage[],
  words: readonly string[],
  { root, folder }: { root: string; folder: string },
): Picked {
  if (words.length === 0) return { ok: true, stages: [...stages] };
  const whole = new Set(words.filter((word) => stages.some(({ name }) => name === word)));
  const all = stages.flatMap(({ steps }) => steps.flatMap(({ files }) => files));
  const chosen = new Set<string>();
  for (const word of words.filter((other) => !whole.has(other))) {
    const found = filesOf(all, word, { root, folder });
    if (found.length === 0) return { ok: false, unknown: word };
    for (const file of found) chosen.add(file);
  }
  const picked = stages.flatMap((stage) => {
    if (whole.has(stage.name)) return [stage];
    const steps = stage.steps.map((step) => ({ ...step, files: step.files.filter((file) => chosen.has(file)) }));
    if (!steps.some(({ files }) => files.length > 0)) return [];
    // What was no step of tests before prepares for those that were.
    return [
      { ...stage, steps: steps.filter(({ files }, at) => files.length > 0 || stage.steps[at]?.files.length === 0) },
    ];
  });
  const isBuilt = !picked.some(({ name }) => NEED_BUILD.includes(name)) || picked.some(({ name }) => name === 'build');
  const build = isBuilt ? [] : stages.filter(({ name }) => name === 'build');
  const wanted = [...build, ...picked];
  return { ok: true, stages: stages.flatMap(({ name }) => wanted.filter((stage) => stage.name === name)) };
}

function filesOf(all: readonly string[], word: string, { root, folder }: { root: string; folder: string }): string[] {
  const paths = [relative(root, resolve(folder, word)), relative(root, resolve(root, word))];
  for (const path of paths) {
    const found = all.filter((file) => file === path || file.startsWith(`${path}/`) || matchesGlob(file, path));
    if (found.length > 0) return found;
  }
  return word.includes('/') ? [] : all.filter((file) => basename(file) === word);
}
