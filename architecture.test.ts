import assert from 'node:assert/strict';
import { existsSync, globSync, readdirSync, readFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { describe, test } from 'node:test';
import { CONSOLE_FRAME, CONSOLE_PAGES, type ConsolePage } from '#shared/console.ts';
import { EVENTS, type EventKind } from '#shared/events.ts';
import { readExportedTypes } from './scripts/exported-types.ts';
import {
  findCircles,
  findProjects,
  type Import,
  packageOf,
  reachable,
  readImportGraph,
} from './scripts/import-graph.ts';
import { listSettings } from './server/src/config/config.ts';

/** The layer rule of ARCHITECTURE.md. A new folder or exception is a decision: make it here, with its reason. */

const root = import.meta.dirname;
const graph = readImportGraph(root, findProjects(root));
const product = [...graph].filter(([file]) => /^(shared|server|agent|apps)\//.test(file));
const isTest = (file: string): boolean => /\.test\.tsx?$|\/testing\/|\/test-[^/]+\.ts$/.test(file);

function violations(broken: (file: string, found: Import) => boolean, files = product): string[] {
  return files.flatMap(([file, imports]) =>
    imports.filter((found) => broken(file, found)).map(({ specifier }) => `${file} imports ${specifier}`),
  );
}

/** `server/src/challenges/store.ts` → `challenges`; null for files directly in server/src and outside it. */
const moduleOf = (file: string): string | null => /^server\/src\/([^/]+)\//.exec(file)?.[1] ?? null;

describe('between packages', () => {
  const packageFolder = (file: string): string => /^(shared|server|agent|apps\/[^/]+)/.exec(file)?.[1] ?? file;

  test('shared is imported by all and imports nobody; nothing else crosses but types of app.ts', () => {
    const crossing = violations((file, { file: target, typeOnly, started }) => {
      // A process of its own is talked to in what shared says.
      if (target === null || target === 'package.json' || started) return false;
      const [from, to] = [packageFolder(file), packageFolder(target)];
      if (from === to || to === 'shared') return false;
      // Tests may look over the fence: they hold both ends of a contract against each other.
      if (isTest(file)) return false;
      return !(from === 'apps/console' && target === 'server/src/app/app.ts' && typeOnly);
    });
    assert.deepEqual(crossing, []);
  });

  test('shared depends on nothing but zod, jose and Node', () => {
    const foreign = violations(
      (file, { specifier }) =>
        file.startsWith('shared/') && !isTest(file) && !['zod', 'jose', null].includes(packageOf(specifier)),
    );
    assert.deepEqual(foreign, []);
  });

  test('no imports run in a circle, types included', () => {
    assert.deepEqual(findCircles(graph), []);
  });

  test('every source file belongs to a TypeScript project, so that it is checked and seen here', () => {
    const sources = globSync('**/*.{ts,tsx}', { cwd: root, exclude: ['**/node_modules', '**/dist', '**/.cache'] });
    assert.deepEqual(
      sources.filter((file) => !graph.has(file)),
      [],
    );
  });
});

describe('inside the server', () => {
  /** What the rest is built on. */
  const FLOOR = ['platform', 'outbound', 'db', 'config'];
  /** And what every surface of a module stands on. */
  const BASE = [...FLOOR, 'events', 'pages', 'http'];
  /** Where everything comes together: entry points, the composition root and the command line. */
  const isRoot = (file: string): boolean =>
    moduleOf(file) === null || ['app', 'commands', 'evaluation'].includes(moduleOf(file) ?? '');
  /** Functions without state or surface that another module may call: the domain's own words, schemas and templates. */
  const PURE = [
    'server/src/policies/policy.ts',
    'server/src/policies/glob.ts',
    'server/src/auth/step-up.ts',
    'server/src/passkeys/assertion-response.ts',
  ];
  const isPure = (file: string): boolean => PURE.includes(file);

  test('the ground knows no module, not even its types', () => {
    const upward = violations((file, { file: target, typeOnly }) => {
      if (target === null || isTest(file)) return false;
      const [from, to] = [moduleOf(file), moduleOf(target)];
      if (from === null || to === null || !BASE.includes(from)) return false;
      if (!BASE.includes(to)) return true;
      return FLOOR.includes(from) && !FLOOR.includes(to) && !typeOnly;
    });
    assert.deepEqual(upward, []);
  });

  test('a module constructs no collaborator: app/ hands it the others, and it imports their types at most', () => {
    const sideways = violations((file, { file: target, typeOnly }) => {
      if (target === null || typeOnly || isTest(file) || isRoot(file)) return false;
      const [from, to] = [moduleOf(file), moduleOf(target)];
      if (from === null || to === null || from === to || BASE.includes(to)) return false;
      return !isPure(target);
    });
    assert.deepEqual(sideways, []);
  });

  test('what others may call stays pure', () => {
    const impure = violations(
      (file, { file: target, specifier, typeOnly }) =>
        isPure(file) &&
        !typeOnly &&
        (target === null
          ? !['zod', 'node:crypto'].includes(specifier)
          : !target.startsWith('shared/') && !isPure(target)),
    );
    assert.deepEqual(impure, []);
    const sideways = PURE.filter((pure) =>
      product.some(
        ([file, imports]) =>
          !isTest(file) &&
          moduleOf(file) !== moduleOf(pure) &&
          imports.some((found) => found.file === pure && !found.typeOnly),
      ),
    );
    assert.deepEqual(PURE, sideways, 'one that no other module calls needs no exception');
  });

  test('the rooms of the directory import those before them, from the source to what is published', () => {
    const ROOMS = ['source', 'pocketid', 'scim', 'sudo', 'numbers', 'guards', 'tree', 'rules', 'publish'];
    /** The module's own settings come before all rooms; its surfaces, beside them, may see every room. */
    const levelOf = (file: string): number | null => {
      const [, room, rest] = /^server\/src\/directory\/(?:([^/]+)\/)?([^/]+)$/.exec(file) ?? [];
      if (rest === undefined) return null;
      return room === undefined ? (rest === 'settings.ts' ? -1 : ROOMS.length) : ROOMS.indexOf(room);
    };
    const backward = violations((file, { file: target }) => {
      const [from, to] = [levelOf(file), target === null ? null : levelOf(target)];
      return !isTest(file) && from !== null && to !== null && to > from;
    });
    assert.deepEqual(backward, []);
    const rooms = product.flatMap(([file]) => /^server\/src\/directory\/([^/]+)\//.exec(file)?.[1] ?? []);
    assert.deepEqual(new Set(rooms), new Set(ROOMS), 'a new room has its place in the order');
  });

  test('ldap sees snapshots and sockets, and nothing else of the server', () => {
    const curious = violations(
      (file, { file: target }) =>
        file.startsWith('server/src/ldap/') &&
        !isTest(file) &&
        target !== null &&
        !/^(server\/src\/(ldap|platform)|shared)\//.test(target),
    );
    assert.deepEqual(curious, []);
  });

  test('nothing of the evaluation is known outside it', () => {
    const curious = violations(
      (file, { file: target }) =>
        target !== null && moduleOf(target) === 'evaluation' && moduleOf(file) !== 'evaluation' && !isTest(file),
    );
    assert.deepEqual(curious, []);
  });

  test('the composition root is known to entry points and commands only', () => {
    const early = violations(
      (file, { file: target }) =>
        target !== null && moduleOf(target) === 'app' && file.startsWith('server/') && !isTest(file) && !isRoot(file),
    );
    assert.deepEqual(early, []);
  });
});

describe('who may see a library', () => {
  const only = (packages: RegExp, allowed: RegExp) =>
    violations(
      (file, { specifier }) => packages.test(packageOf(specifier) ?? '') && !allowed.test(file) && !isTest(file),
    );

  test('kysely and the database drivers: stores and db', () => {
    assert.deepEqual(only(/^(kysely|better-sqlite3|pg)$/, /^server\/src\/(db\/|.*store\.ts$)/), []);
  });

  test('what the database is asked is written in stores alone; others hand a query on and cannot open it', () => {
    const asking = violations(
      (file, { file: target, typeOnly }) =>
        target === 'server/src/db/query.ts' &&
        !typeOnly &&
        !/^server\/src\/(db\/|.*store\.ts$)/.test(file) &&
        !isTest(file),
    );
    assert.deepEqual(asking, []);
  });

  const isStore = (file: string): boolean => /^server\/src\/.*store\.ts$/.test(file);
  const isDatabase = (file: string): boolean => file.startsWith('server/src/db/');

  test('stores hand out what they found, and nothing that others could ask on with; nor is that seen of the database', () => {
    const files = product.map(([file]) => file).filter((file) => (isStore(file) || isDatabase(file)) && !isTest(file));
    const types = readExportedTypes(root, 'tsconfig.json', files);
    assert.match(types.get('server/src/challenges/store.ts')?.get('findChallenge') ?? '', /=> Promise</);
    const asksOn = /\b(Kysely|Transaction|\w*(Builder|QueryNode|Expression|CompiledQuery))\b/;
    const open = [...types].flatMap(([file, named]) =>
      [...named].filter(([, type]) => asksOn.test(type)).map(([name, type]) => ({ file, name, type })),
    );
    assert.deepEqual(
      open.filter(({ file }) => isStore(file)),
      [],
    );
    const engine = open.filter(({ file, name }) => file === 'server/src/db/engine.ts' && name === 'Engine');
    assert.equal(engine.length, 1, 'a member of what has a name is looked at');
    // The one door to a query has a test of its own, which says who may go through.
    const hidden = new Set(open.map(({ file }) => file).filter((file) => file !== 'server/src/db/query.ts'));
    const seen = violations(
      (file, { file: target }) =>
        target !== null && hidden.has(target) && !isDatabase(file) && !isStore(file) && !isTest(file),
    );
    assert.deepEqual(seen, []);
  });

  test('an identity provider of its own: the evaluation', () => {
    assert.deepEqual(only(/^oidc-provider$/, /^server\/src\/evaluation\//), []);
  });

  test('Fastify and tRPC: routes and routers; pages and cookies see their types', () => {
    const libraries = /^(fastify|@fastify\/.*|fastify-.*|@trpc\/.*)$/;
    const surface = /^server\/src\/(http\/|app\/|.*(routes|router|plugin)\.ts$)|^apps\/console\//;
    const around = /^server\/src\/((auth|approval-page|pages|events|evaluation)\/|platform\/module\.ts$)/;
    const wrong = violations(
      (file, { specifier, typeOnly }) =>
        libraries.test(packageOf(specifier) ?? '') &&
        !isTest(file) &&
        !surface.test(file) &&
        !(typeOnly && around.test(file)),
    );
    assert.deepEqual(wrong, []);
  });

  test('electron: one folder of the desktop shell', () => {
    const users = new Set(
      product
        .filter(
          ([file, imports]) =>
            !isTest(file) &&
            imports.some(({ specifier, typeOnly }) => packageOf(specifier) === 'electron' && !typeOnly),
        )
        .map(([file]) => file),
    );
    for (const file of users) assert.match(file, /^apps\/desktop\/src\/(main|preload)/);
  });

  test('React and Mantine: the console', () => {
    assert.deepEqual(only(/^(react|react-dom|@mantine\/.*|@tanstack\/.*|@tabler\/.*)$/, /^apps\/console\//), []);
  });
});

describe('what the console asks', () => {
  const CONSOLE = 'apps/console/src/';
  const calls = /(?<!\w\.?)(?:api|client)\s*\.\s*([\w.\s]+?)\s*\.\s*(?:query|queryOptions|mutate|mutationOptions)\b/g;
  const callsOf = (files: Iterable<string>): Set<string> =>
    new Set(
      [...files].flatMap((file) =>
        [...readFileSync(join(root, file), 'utf8').matchAll(calls)].map(([, name = '']) => name.replace(/\s/g, '')),
      ),
    );
  const consoleFiles = product.map(([file]) => file).filter((file) => file.startsWith(CONSOLE) && !isTest(file));
  const folderOf = (path: string): string => `${CONSOLE}pages/${path === '/' ? 'inbox' : path.slice(1)}/`;
  /** The files of a page and what they stand on. */
  const filesOf = (path: string): Set<string> => {
    const own = consoleFiles.filter((file) => file.startsWith(folderOf(path)));
    assert.ok(own.length > 0, `${path} has its files in ${folderOf(path)}`);
    return new Set(own.flatMap((file) => [...reachable(graph, file).files].filter((name) => name.startsWith(CONSOLE))));
  };
  const pages: readonly ConsolePage[] = CONSOLE_PAGES;
  const frame = new Set<string>(CONSOLE_FRAME.queries);

  test('around every page is declared for all of them, and nothing else is', () => {
    const around = new Map([...graph].filter(([file]) => !file.startsWith(`${CONSOLE}pages/`)));
    const { files } = reachable(around, `${CONSOLE}main.tsx`);
    const asked = callsOf([...files].filter((file) => around.has(file)));
    assert.deepEqual([...asked].sort(), [...frame].sort());
  });

  for (const { path, queries, mutations = [] } of pages) {
    test(`${path} is declared with the page, and nothing else is: the desktop app would let it through`, () => {
      const asked = callsOf(filesOf(path));
      const declared = new Set<string>([...queries, ...mutations]);
      assert.deepEqual(
        [...asked].filter((name) => !declared.has(name) && !frame.has(name)),
        [],
        'asked for and not declared in shared/src/console.ts',
      );
      assert.deepEqual(
        [...declared].filter((name) => !asked.has(name)),
        [],
        'declared in shared/src/console.ts and asked for by nobody there',
      );
    });
  }

  test('is looked at in a browser, page by page: light and dark, phone and desktop, by axe', () => {
    const specs = globSync('e2e/browser/*.spec.ts', { cwd: root }).map((file) =>
      readFileSync(join(root, file), 'utf8'),
    );
    const inspected = specs.filter((text) => text.includes('inspect(')).join('\n');
    const unseen = pages.filter(({ path }) => !new RegExp(`['"\`]${path}['"\`?]`).test(inspected));
    assert.deepEqual(
      unseen.map(({ path }) => path),
      [],
      'no spec in e2e/browser that inspects anything opens it',
    );
  });
});

describe('what is declared once', () => {
  test('every module is used by app.ts: one that is only made serves nothing, and nobody is told', () => {
    const app = readFileSync(join(root, 'server/src/app/app.ts'), 'utf8');
    const made = product
      .filter(([file]) => file.startsWith('server/src/'))
      .flatMap(([file]) => [
        ...readFileSync(join(root, file), 'utf8').matchAll(/^export (?:async )?function (\w+Module)\(/gm),
      ])
      .map(([, name]) => name!);
    assert.ok(made.length > 10, `${made.length} modules seen`);
    assert.deepEqual(
      made.filter((name) => !new RegExp(`\\buse\\(\\s*(?:await )?${name}\\(`).test(app)),
      [],
    );
  });

  test('every event says what happened, which topic it makes old, and whose it is: feed, docs and console follow', () => {
    const unsaid = Object.entries<Partial<EventKind>>(EVENTS)
      .filter(([, { text, topic, own }]) => !text?.endsWith('.') || !topic || typeof own !== 'boolean')
      .map(([name]) => name);
    assert.deepEqual(unsaid, []);
  });

  test('what is called a secret, or given by the environment alone, is one: held against the others and never printed', () => {
    const open = listSettings()
      .filter(({ meta }) => meta.toml === null || /_(SECRET|PASSWORD|TOKEN|(?<!VERIFY_)KEY|DSN)$/.test(meta.env))
      .filter(({ meta }) => meta.secret !== true || meta.toml !== null)
      .map(({ meta }) => meta.env);
    assert.deepEqual(open, []);
  });

  test('one secret may be the same as another where it says why, and that is the address of the database', () => {
    const exempt = listSettings().flatMap(({ meta }) => (meta.mayRepeat === undefined ? [] : [meta.env]));
    assert.deepEqual(exempt, ['IDENTREE_DATABASE_DSN']);
  });

  test('what only takes what nobody can guess is a secret, whatever it is called', () => {
    const guessable = 'abababababababababababababababababababab';
    const strong = 'b4bQ1wWqvJ7m0r9cXk2ZsT5uA8cDeFgHiJkLmNoP';
    const open = listSettings()
      .filter(({ type, meta }) => !meta.secret && type.safeParse(strong).success && !type.safeParse(guessable).success)
      .map(({ meta }) => meta.env);
    assert.deepEqual(open, []);
  });

  test('the environment is read by the two programs alone: what they do not declare as a setting has no effect', () => {
    const readers = product
      .map(([file]) => file)
      .filter((file) => /^(server|agent)\/src\//.test(file) && !isTest(file))
      .map((file) => [file, readFileSync(join(root, file), 'utf8')] as const);
    const whole = readers.filter(([, text]) =>
      /process\.env|\benv\b[^;\n]*\} = process\b|from 'node:process'/.test(text),
    );
    assert.deepEqual(whole.map(([file]) => file).sort(), ['agent/src/main.ts', 'server/src/main.ts']);
    const single = readers.filter(
      ([file, text]) => !file.startsWith('server/src/config/') && /\benv(\.[A-Z]|\[)/.test(text),
    );
    assert.deepEqual(
      single.filter(([file]) => file !== 'agent/src/main.ts').map(([file]) => file),
      [],
      'a setting is declared in server/src/config/sections',
    );
  });
});

describe('what nobody needs any more', () => {
  const textOf = (file: string): string => readFileSync(join(root, file), 'utf8');
  const sources = globSync('**/*.{ts,tsx,mjs,html,css,json}', {
    cwd: root,
    exclude: ['**/node_modules', '**/dist', '**/.cache', '**/test-results'],
  });

  test('is not exported: what no other file imports is used where it stands, or goes', () => {
    const wanted = new Map<string, Set<string>>();
    for (const { file, names } of [...graph.values()].flat()) {
      if (file === null) continue;
      wanted.set(file, new Set([...(wanted.get(file) ?? []), ...names]));
    }
    const made = /^export (?:async )?(?:function\*?|const|let|class|interface|type|enum) (\w+)/gm;
    const unused = product
      .filter(([file]) => !wanted.get(file)?.has('*') && !isTest(file) && !/\.(test-d|d)\.ts$/.test(file))
      .flatMap(([file]) => {
        const text = textOf(file);
        return [...text.matchAll(made)]
          .map(([, name]) => name!)
          .filter((name) => !wanted.get(file)?.has(name) && text.match(new RegExp(`\\b${name}\\b`, 'g'))?.length === 1)
          .map((name) => `${file} exports ${name}`);
      });
    assert.deepEqual(unused, []);
  });

  test('is no file: each is imported, or started by its name', () => {
    const imported = new Set([...graph.values()].flat().map(({ file }) => file));
    const texts = sources
      .filter((file) => file !== 'architecture.test.ts')
      .map((file) => [file, textOf(file)] as const);
    const lonely = product
      .map(([file]) => file)
      .filter((file) => !imported.has(file) && !/\.(test|test-d|d)\.tsx?$/.test(file))
      .filter((file) => !texts.some(([other, text]) => other !== file && text.includes(basename(file))));
    assert.deepEqual(lonely, []);
  });
});

describe('what production runs', () => {
  const entries = ['server/src/main.ts', 'agent/src/main.ts'].filter((entry) => graph.has(entry));
  const { dependencies } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as {
    dependencies: Record<string, string>;
  };

  test('both programs are there', () => {
    assert.deepEqual(entries, ['server/src/main.ts', 'agent/src/main.ts']);
  });

  for (const entry of entries) {
    test(`${entry} reaches no evaluation code and no identity provider of its own`, () => {
      const { files, packages } = reachable(graph, entry);
      assert.ok(files.size > 5);
      assert.deepEqual(
        [...files].filter((file) => /evaluation\//.test(file)),
        [],
      );
      assert.ok(!packages.has('oidc-provider'));
    });

    test(`${entry} reaches no test code and only declared run-time dependencies`, () => {
      const { files, packages } = reachable(graph, entry);
      assert.deepEqual(
        [...files].filter((file) => isTest(file) || file.startsWith('e2e/')),
        [],
      );
      assert.deepEqual(
        [...packages].filter((name) => !Object.hasOwn(dependencies, name)),
        [],
      );
    });
  }

  test('every package of the lockfile has its digest, those of other systems too: without it anything is accepted', () => {
    const { packages } = JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8')) as {
      packages: Record<string, { integrity?: string; link?: boolean }>;
    };
    const open = Object.entries(packages)
      .filter(([path, { integrity, link }]) => path !== '' && !link && !integrity?.startsWith('sha512-'))
      .map(([path]) => path);
    assert.deepEqual(open, []);
  });

  test('every imported file exists', () => {
    const missing = violations((_, { file }) => file !== null && !existsSync(join(root, file)), [...graph]);
    assert.deepEqual(missing, []);
  });
});

test('ARCHITECTURE.md has a row for every folder of the tree, and for none that is gone', () => {
  const [, table = ''] = readFileSync(join(root, 'ARCHITECTURE.md'), 'utf8').split('\n## The tree\n');
  const rows = table
    .split('\n## ')[0]!
    .split('\n')
    .filter((line) => line.startsWith('| `'));
  const named = rows.flatMap((row) => {
    const [first = '', ...more] = [...row.split('|')[1]!.matchAll(/`([^`]+)`/g)].map(([, name]) => name!);
    return [first, ...more.map((name) => join(dirname(first), name))];
  });
  const ignored = readFileSync(join(root, '.gitignore'), 'utf8').split('\n');
  const foldersIn = (folder: string): string[] =>
    readdirSync(join(root, folder), { withFileTypes: true })
      .filter((entry) => entry.isDirectory() && !entry.name.startsWith('.'))
      .filter(({ name }) => !ignored.includes(name) && !ignored.includes(`${name}/`))
      .map(({ name }) => join(folder, name));
  const there = ['.', 'agent', 'agent/src', 'apps', 'server', 'server/src', 'shared'].flatMap(foldersIn);
  const isNamed = (folder: string) => named.some((name) => name === folder || name.startsWith(`${folder}/`));
  assert.deepEqual(
    there.filter((folder) => !isNamed(folder)),
    [],
    'a folder without a row',
  );
  assert.deepEqual(
    named.filter((name) => !existsSync(join(root, name))),
    [],
    'a row without a folder',
  );
});

test('comments refer to nothing that a reader of this project does not have', () => {
  const sources = globSync('**/*.{ts,tsx,c,h,mjs}', {
    cwd: root,
    exclude: ['**/node_modules', '**/dist', '**/.cache'],
  });
  // A number of somebody else's page says nothing here: the reason itself does. RFCs and standards are everybody's.
  // What tests promise stands between brackets, and is listed.
  const dangling = /\btrust rule \d|\barchitecture,? \d|\(architecture\b|\b[\w-]+\.md \d|(?<!\[)\bW-\d{2}\b/;
  const found = sources
    .filter((file) => file !== 'architecture.test.ts')
    .flatMap((file) =>
      readFileSync(join(root, file), 'utf8')
        .split('\n')
        .flatMap((line, index) => (dangling.test(line) ? [`${file}:${index + 1}: ${line.trim()}`] : [])),
    );
  assert.deepEqual(found, []);
});

test('nothing is kept in the shared temporary folder under a name that others can have made before', () => {
  const sources = globSync('**/*.{ts,tsx,mjs}', { cwd: root, exclude: ['**/node_modules', '**/dist', '**/.cache'] });
  const found = sources.filter((file) =>
    /(?<!mkdtemp(Sync)?\()join\(tmpdir\(\), ['"]/.test(readFileSync(join(root, file), 'utf8')),
  );
  assert.deepEqual(found, []);
});

test('who asks over HTTP hears of an answer that changes the protocol: Node tells nothing else then, and it would be waited for', () => {
  const deaf = product
    .filter(([file, imports]) => !isTest(file) && imports.some(({ specifier }) => specifier === 'node:https'))
    .map(([file]) => file)
    .filter((file) => {
      const text = readFileSync(join(root, file), 'utf8');
      return /\brequest\b\)?\(/.test(text) && !/\.on\('upgrade'|\.once\('close', \(\) => reject/.test(text);
    });
  assert.deepEqual(deaf, []);
});
