import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { after, before, describe, test } from 'node:test';
import { ARGV_SHOWN_BYTES, type HostRecord, hostRecord } from '#shared/decision.ts';
import { unescapeBytes } from '#shared/visible-text.ts';
import { CODE, granted, pendingCode } from '../harness/person.ts';
import { type Asked, ask, asked, eventsBecome, mark, openWorld, skip, type World } from '../harness/world.ts';

const recordOf = (request: Asked): HostRecord => hostRecord.parse(JSON.parse(request.row().record));

describe('sudo on a real host: what is asked for', { concurrency: 4 }, () => {
  let world: World;
  before(async () => {
    if (!skip) world = await openWorld();
  });
  after(() => world?.close());

  const approve = async (request: Asked, confirmTruncated = false): Promise<void> => {
    granted(await world.person(request.row().username).approve(request.code, { confirmTruncated }));
  };

  test('[W-3] [E-P11] the record says who, where, what and why', { skip }, async () => {
    const host = world.host();
    const request = await ask(world, host, 'alice', ['sudo', 'id'], {
      cwd: '/usr/share',
      env: { SUDO_REASON: 'ticket 4711' },
    });
    const record = recordOf(request);
    assert.equal(record.user, 'alice');
    assert.equal(record.uid, 2001);
    assert.equal(record.runAs.user, 'root');
    assert.equal(record.gate, 'pam');
    assert.equal(record.service, 'sudo');
    assert.equal(record.mode, 'command');
    assert.equal(record.cwd, '/usr/share');
    assert.equal(record.reason, 'ticket 4711');
    assert.equal(record.target?.path, '/usr/bin/id');
    const bytes = await host.sh('sha256sum /usr/bin/id');
    assert.equal(Buffer.from(record.target?.sha256 ?? '', 'base64url').toString('hex'), bytes.slice(0, 64));
    assert.equal(record.argvSha256, createHash('sha256').update('sudo\0id\0').digest('base64url'));
    const page = await world.person('alice').open(request.code);
    assert.match(page.view.command, /^sudo id$|^id$/);
    await approve(request);
    assert.equal(await request.terminal.exit, 0);
    assert.match(request.terminal.text(), /uid=0\(root\)/);
  });

  for (const [name, args, expected] of [
    ['-u bob', ['-u', 'bob', 'id', '-un'], { runAs: 'bob', mode: 'command', shows: /^bob$/m }],
    ['-ubob, glued', ['-ubob', 'id', '-un'], { runAs: 'bob', mode: 'command', shows: /^bob$/m }],
    ['-Hubob, a group of short options', ['-Hubob', 'id', '-un'], { runAs: 'bob', mode: 'command', shows: /^bob$/m }],
    ['--user=bob', ['--user=bob', 'id', '-un'], { runAs: 'bob', mode: 'command', shows: /^bob$/m }],
    [
      '-u bob -g alice',
      ['-u', 'bob', '-g', 'alice', 'id', '-gn'],
      { runAs: 'bob', mode: 'command', shows: /^alice$/m },
    ],
    ['-s with a command', ['-s', 'id', '-u'], { runAs: 'root', mode: 'shell', shows: /^0$/m }],
    ['-i with a command', ['-i', 'id', '-u'], { runAs: 'root', mode: 'login-shell', shows: /^0$/m }],
    ['--login with a command', ['--login', 'id', '-u'], { runAs: 'root', mode: 'login-shell', shows: /^0$/m }],
    ['variables before the command', ['LC_ALL=C', 'id', '-u'], { runAs: 'root', mode: 'command', shows: /^0$/m }],
    ['-- ends the options', ['--', 'id', '-u'], { runAs: 'root', mode: 'command', shows: /^0$/m }],
  ] as const) {
    test(`sudo ${name}`, { skip }, async () => {
      const request = await ask(world, world.host(), 'alice', ['sudo', ...args]);
      const record = recordOf(request);
      assert.equal(record.runAs.user, expected.runAs);
      assert.equal(record.mode, expected.mode);
      assert.equal(record.service, expected.mode === 'login-shell' ? 'sudo-i' : 'sudo');
      assert.deepEqual(record.argv, ['sudo', ...args]);
      if (expected.mode !== 'command') assert.ok(record.unrestricted.includes('shell'), record.unrestricted.join());
      await approve(request);
      assert.equal(await request.terminal.exit, 0, request.terminal.text());
      assert.match(request.terminal.text(), expected.shows);
    });
  }

  test('sudo -s and sudo -i open a shell only after the approval', { skip }, async () => {
    for (const option of ['-s', '-i']) {
      const request = await ask(world, world.host(), 'alice', ['sudo', option]);
      assert.ok(recordOf(request).unrestricted.includes('shell'));
      await approve(request);
      await request.terminal.see(/# $/);
      request.terminal.type('id -u; exit 5\r');
      assert.equal(await request.terminal.exit, 5);
      assert.match(request.terminal.text(), /^0$/m);
    }
  });

  test('sudo -e edits only after the approval', { skip }, async () => {
    const file = mark();
    for (const command of [
      ['sudo', '-e', file],
      ['sudoedit', file],
      ['sudo', '--edit', file],
    ]) {
      const script = `EDITOR='sh -c "echo ${command[0]} >> \\$1" sh' ${command.join(' ')}`;
      const request = await ask(world, world.host(), 'alice', ['sh', '-c', script]);
      const record = recordOf(request);
      assert.equal(record.mode, 'edit');
      assert.ok(record.unrestricted.includes('editor'));
      await approve(request);
      assert.equal(await request.terminal.exit, 0, request.terminal.text());
    }
    assert.equal(await world.host().read(file), 'sudo\nsudoedit\nsudo\n');
  });

  test('sudo -n asks nobody and is refused', { skip }, async () => {
    const before = world.server.data.lastSeq();
    const file = mark();
    const terminal = world.host().terminal('alice', ['sudo', '-n', 'touch', file]);
    assert.equal(await terminal.exit, 1);
    assert.equal(world.host().exists(file), false);
    const rows = world.server.data.events({ after: before }).filter(({ data }) => JSON.stringify(data).includes(file));
    assert.equal(rows.length, 0);
  });

  test('sudo -l and sudo -v ask', { skip }, async () => {
    for (const [option, mode] of [
      ['-l', 'list'],
      ['-v', 'validate'],
    ] as const) {
      const request = await ask(world, world.host(), 'alice', ['sudo', option]);
      assert.equal(recordOf(request).mode, mode);
      await approve(request);
      assert.equal(await request.terminal.exit, 0);
    }
  });

  test('control characters, bidi and invalid UTF-8 are shown, not obeyed, and arrive unchanged', { skip }, async () => {
    const host = world.host();
    const file = mark();
    const nasty = 'a\\x1b[31mred\\x07\\xe2\\x80\\xae\\xff\\xc3(\\n\\rb\\\\x41';
    const script = `sudo sh -c 'printf %s "$1" > ${file}' sh "$(printf '${nasty}')"`;
    const request = await ask(world, host, 'alice', ['bash', '-c', script]);
    const record = recordOf(request);
    const bytes = Buffer.from('a\x1b[31mred\x07\xe2\x80\xae\xff\xc3(\n\rb\\x41', 'latin1');
    assert.deepEqual(Buffer.from(unescapeBytes(record.argv.at(-1) ?? '')), bytes);
    const { view } = await world.person('alice').open(request.code);
    for (const text of [JSON.stringify(view), request.terminal.text().replaceAll('\n', '')]) {
      assert.doesNotMatch(text, /[\u0000-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069]/);
    }
    assert.doesNotMatch(request.terminal.raw(), /\x1b\[31mred/);
    await approve(request);
    assert.equal(await request.terminal.exit, 0);
    const written = await host.exec(['od', '-An', '-v', '-tx1', file]);
    assert.equal(written.stdout.replace(/\s/g, ''), bytes.toString('hex'));
  });

  test('100 kB of arguments: cut for display, covered by the hash, confirmed a second time', { skip }, async () => {
    const host = world.host();
    const file = mark();
    const script = `sudo sh -c 'printf %s "$1" | wc -c > ${file}' sh "$(head -c 100000 /dev/zero | tr '\\0' x)"`;
    const request = await ask(world, host, 'alice', ['bash', '-c', script]);
    const record = recordOf(request);
    assert.equal(record.argvTruncated, true);
    assert.ok(Buffer.byteLength(record.argv.join('')) <= ARGV_SHOWN_BYTES);
    const all = ['sudo', 'sh', '-c', `printf %s "$1" | wc -c > ${file}`, 'sh', 'x'.repeat(100_000), ''].join('\0');
    assert.equal(record.argvSha256, createHash('sha256').update(all).digest('base64url'));
    const unconfirmed = await world.person('alice').approve(request.code);
    assert.equal(unconfirmed.ok, false);
    assert.equal(!unconfirmed.ok && unconfirmed.reason, 'confirm_truncated');
    assert.equal(request.row().status, 'pending');
    await approve(request, true);
    assert.equal(await request.terminal.exit, 0);
    assert.equal((await host.read(file)).trim(), '100000');
  });

  test('script swapped between request and approval: refused', { skip }, async () => {
    const host = world.host();
    const ran = mark();
    for (const [way, swap] of [
      ['replaced', 'echo "#!/bin/sh\ntouch RAN-evil" > new; chmod 755 new; mv new job'],
      ['rewritten in place', 'echo "#!/bin/sh\ntouch RAN-evil" > job'],
      ['replaced by a link', 'echo "#!/bin/sh\ntouch RAN-evil" > other; chmod 755 other; ln -sf other job'],
      ['gone', 'rm job'],
    ] as const) {
      const folder = `/home/alice/swap-${way.replaceAll(' ', '-')}`;
      await host.as('alice', [
        'sh',
        '-c',
        `mkdir ${folder}; cd ${folder}; printf '#!/bin/sh\\ntouch ${ran}\\n' > job; chmod 755 job`,
      ]);
      const request = await ask(world, host, 'alice', ['sudo', `${folder}/job`]);
      assert.ok(recordOf(request).unrestricted.includes('user-writable-target'), way);
      const result = await host.as('alice', ['sh', '-ec', `cd ${folder}; ${swap.replaceAll('RAN', ran)}`]);
      assert.equal(result.code, 0, result.stderr);
      await approve(request);
      assert.equal(await request.terminal.exit, 1, way);
      assert.match(request.terminal.text(), /changed/, way);
      assert.equal(host.exists(ran), false, way);
      assert.equal(host.exists(`${ran}-evil`), false, way);
      await eventsBecome(request, ['challenge_created', 'challenge_approved', 'challenge_outcome']);
      assert.equal(request.row().outcome, 'refused', way);
      assert.equal(request.row().outcome_detail, 'target_changed', way);
    }
  });

  test('directory swapped between request and approval: refused', { skip }, async () => {
    const host = world.host();
    const ran = mark();
    const setUp = `cd ~; mkdir a b; printf '#!/bin/sh\\ntouch ${ran}\\n' > a/job; printf '#!/bin/sh\\ntouch ${ran}-evil\\n' > b/job; chmod 755 a/job b/job`;
    await host.as('alice', ['sh', '-ec', setUp]);
    const request = await ask(world, host, 'alice', ['sudo', '/home/alice/a/job']);
    assert.ok(recordOf(request).unrestricted.length > 0);
    await host.as('alice', ['sh', '-ec', 'cd ~; mv a c; ln -s b a']);
    await approve(request);
    assert.equal(await request.terminal.exit, 1);
    assert.equal(host.exists(ran), false);
    assert.equal(host.exists(`${ran}-evil`), false);
    await eventsBecome(request, ['challenge_created', 'challenge_approved', 'challenge_outcome']);
    assert.equal(request.row().outcome_detail, 'target_changed');
  });

  test('an unchanged script of the person runs, shown as unrestricted root', { skip }, async () => {
    const host = world.host();
    const ran = mark();
    await host.as('alice', ['sh', '-ec', `printf '#!/bin/sh\\ntouch ${ran}\\n' > ~/good; chmod 755 ~/good`]);
    const request = await ask(world, host, 'alice', ['sudo', '/home/alice/good']);
    const record = recordOf(request);
    assert.equal(record.target?.path, '/home/alice/good');
    assert.equal(record.target.sha256, null, 'it may change until it runs');
    assert.ok(record.unrestricted.includes('user-writable-target'));
    await approve(request);
    assert.equal(await request.terminal.exit, 0, request.terminal.text());
    assert.equal(host.exists(ran), true);
  });

  test('the terminal is wide: a QR code; narrow: the link alone, unbroken', { skip }, async () => {
    const wide = await ask(world, world.host(), 'bob', ['sudo', 'true'], { size: '120x60' });
    // A corner: what is between the corners differs from link to link.
    await wide.terminal.see(/█▀▀▀▀▀█/);
    const narrow = await ask(world, world.host(), 'bob', ['sudo', 'true'], { size: '30x60' });
    assert.doesNotMatch(narrow.terminal.text(), /[▀▄█]/);
    assert.match(narrow.terminal.text(), new RegExp(`${world.server.url}/approve/${narrow.code}`));
    for (const { terminal } of [wide, narrow]) {
      terminal.type('\x03');
      assert.equal(await terminal.exit, 1);
    }
  });
});

describe('hostile working directory, home and environment change nothing', () => {
  let world: World;
  const evil = '/srv/evil';
  const folder = '/home/alice/hostile';
  const environment = {
    NODE_OPTIONS: `--require ${folder}/evil.js --import file://${folder}/evil.js`,
    NODE_PATH: `${folder}/node_modules`,
    NODE_EXTRA_CA_CERTS: `${folder}/ca.pem`,
    NODE_TLS_REJECT_UNAUTHORIZED: '0',
    NODE_REPL_EXTERNAL_MODULE: `${folder}/evil.js`,
    BUN_CONFIG_PRELOAD: `${folder}/evil.js`,
    BUN_OPTIONS: `--preload ${folder}/evil.js`,
    BUN_BE_BUN: '1',
    DENO_DIR: folder,
    LD_PRELOAD: `${folder}/evil.so`,
    LD_LIBRARY_PATH: folder,
    LD_AUDIT: `${folder}/evil.so`,
    GCONV_PATH: folder,
    MALLOC_CHECK_: '3',
    OPENSSL_CONF: `${folder}/openssl.cnf`,
    SSL_CERT_FILE: `${folder}/ca.pem`,
    HTTPS_PROXY: 'http://127.0.0.1:9',
    https_proxy: 'http://127.0.0.1:9',
    IDENTREE_SERVER_URL: 'https://evil.example.net',
    IDENTREE_MINIMUM_CLASS: 'policy',
    IDENTREE_CA_CERT: `${folder}/ca.pem`,
    PAM_USER: 'root',
    XDG_CONFIG_HOME: folder,
    ENV: `${folder}/evil.sh`,
    BASH_ENV: `${folder}/evil.sh`,
  };

  before(async () => {
    if (skip) return;
    world = await openWorld({ people: ['alice'] });
    const host = world.host();
    const script = `require('fs').appendFileSync('${evil}', process.argv.join(' ') + '\\n')`;
    const files: Record<string, string> = {
      'evil.js': script,
      'evil.sh': `echo sh >> ${evil}`,
      'evil.so': 'not a library',
      'ca.pem': 'not a certificate',
      'openssl.cnf': 'openssl_conf = evil',
      'bunfig.toml': `preload = ["${folder}/evil.js"]\n[run]\npreload = ["${folder}/evil.js"]\n`,
      '.env': `NODE_OPTIONS=--require ${folder}/evil.js\nIDENTREE_SERVER_URL=https://evil.example.net\n`,
      'package.json': JSON.stringify({ type: 'module', main: 'evil.js', imports: { '#shared/*': './evil.js' } }),
      'tsconfig.json': JSON.stringify({ compilerOptions: { paths: { '*': ['./evil.js'] } } }),
      '.node-version': '0',
      'node.config.json': JSON.stringify({ nodeOptions: { import: [`${folder}/evil.js`] } }),
      'sea-config.json': JSON.stringify({ main: 'evil.js' }),
      '.npmrc': `node-options=--require ${folder}/evil.js`,
      identree: `#!/bin/sh\necho identree >> ${evil}\n`,
    };
    for (const module of ['fs', 'zod', 'jose', 'node:fs', 'identree']) {
      files[`node_modules/${module}/index.js`] = script;
      files[`node_modules/${module}/package.json`] = JSON.stringify({ name: module, main: 'index.js' });
    }
    for (const [name, content] of Object.entries(files)) {
      await host.write(`${folder}/${name}`, content, 0o755);
      if (!name.includes('/')) await host.write(`/home/alice/${name}`, content, 0o755);
    }
    await host.sh(`chown -R alice:alice /home/alice; touch ${evil}; chmod 666 ${evil}`);
  });
  after(() => world?.close());

  for (const [name, agent] of [
    ['resident agent', 'start'],
    ['direct gate', 'stop'],
  ] as const) {
    test(`with the ${name}`, { skip }, async () => {
      const host = world.host();
      await host.sh(`systemctl ${agent} identree-agent; : > ${evil}`);
      const file = mark();
      const env = { ...environment, PATH: `${folder}:/usr/bin:/bin`, HOME: folder };
      const terminal = host.terminal('alice', ['/usr/bin/sudo', 'touch', file], { cwd: folder, env });
      const [code] = await terminal.see(CODE);
      const request = asked(world, terminal, code);
      const record = recordOf(request);
      assert.equal(record.user, 'alice');
      assert.equal(record.cwd, folder);
      assert.equal(host.exists(file), false);
      granted(await world.person('alice').approve(code));
      assert.equal(await terminal.exit, 0, terminal.text());
      assert.equal(host.exists(file), true);
      assert.equal(await host.read(evil), '', 'nothing of the person ran as root, or at all');
    });
  }

  test('a folder that the person removed, and one without a right to enter', { skip }, async () => {
    const host = world.host();
    await host.sh('systemctl start identree-agent');
    const file = mark();
    const script = `mkdir -p ~/gone; cd ~/gone; rmdir ~/gone; sudo touch ${file}`;
    const running = host.terminal('alice', ['bash', '-c', script]);
    granted(await world.person('alice').approve(await pendingCode(world.server, 'alice', file)));
    assert.equal(await running.exit, 0, running.text());
    assert.equal(host.exists(file), true);
  });
});
