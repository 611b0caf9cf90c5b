import { type ChildProcess, spawn } from 'node:child_process';
import { createWriteStream, existsSync } from 'node:fs';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describeAttributes, describeClasses } from '../../server/src/ldap/schema/subschema.ts';
import { freePort } from '../../server/src/testing/free-port.ts';

const SCHEMA = '/etc/ldap/schema';
const MODULES = '/usr/lib/ldap';
const PROGRAM = '/usr/sbin/slapd';

/** Why slapd cannot be used here; null when it can. */
export function whyNoSlapd(): string | null {
  if (!existsSync(PROGRAM)) return 'slapd is not installed';
  return existsSync(join(MODULES, 'back_mdb.la')) ? null : 'slapd has no mdb backend';
}

export interface SlapdOptions {
  /** Entries with their parents first, as ldapsearch -LLL prints them. */
  ldif: string;
  baseDn: string;
  /** The account that may do everything. */
  rootDn: string;
  rootPassword: string;
  tls?: { ca: string; certificate: string; key: string };
  /** Modules to be loaded besides the database; `memberof` brings its attribute with it. */
  modules?: readonly string[];
  /** Further lines of slapd.conf, for the database. */
  database?: string;
}

export interface Slapd {
  port: number;
  /** Null without TLS. */
  tlsPort: number | null;
  pid: number;
  version: string;
  stop(): Promise<void>;
}

/** What Debian's schema files define: it cannot be defined twice. */
const THEIRS = new Set(
  (
    'name distinguishedName sn givenName initials generationQualifier title displayName description o ou dc c l st street ' +
    'postalAddress postalCode postOfficeBox physicalDeliveryOfficeName telephoneNumber facsimileTelephoneNumber ' +
    'businessCategory serialNumber seeAlso owner uniqueMember carLicense departmentNumber employeeNumber employeeType ' +
    'preferredLanguage homePhone homePostalAddress mobile pager roomNumber manager secretary labeledURI jpegPhoto ' +
    'ipServicePort ipServiceProtocol ipProtocolNumber oncRpcNumber ipHostNumber ipNetworkNumber ipNetmaskNumber macAddress ' +
    'nisMapName nisMapEntry userPassword member memberUid objectClass cn uid uidNumber gidNumber gecos homeDirectory ' +
    'loginShell shadowLastChange shadowMin shadowMax shadowWarning shadowInactive shadowExpire shadowFlag host ' +
    'userCertificate mail memberNisNetgroup nisNetgroupTriple modifyTimestamp entryUUID createTimestamp entryDN ' +
    'structuralObjectClass hasSubordinates creatorsName modifiersName subschemaSubentry namingContexts ' +
    'supportedControl supportedExtension supportedFeatures supportedLDAPVersion supportedSASLMechanisms vendorName ' +
    'vendorVersion attributeTypes objectClasses matchingRules ldapSyntaxes ' +
    'top country locality organization organizationalUnit person organizationalPerson inetOrgPerson groupOfNames device ' +
    'account dcObject extensibleObject posixAccount shadowAccount posixGroup ipService ipProtocol oncRpc ipHost ipNetwork ' +
    'nisNetgroup nisMap nisObject ieee802Device subentry subschema'
  ).split(' '),
);

/** Our own definitions of everything else, which proves that `cn=subschema` is well-formed. */
function ownSchema(modules: readonly string[]): string {
  const theirs = modules.includes('memberof') ? new Set([...THEIRS, 'memberOf']) : THEIRS;
  const isOurs = (line: string): boolean => !theirs.has(/NAME (?:\( )?'([^']+)'/.exec(line)![1]!);
  const attributes = describeAttributes()
    .filter(isOurs)
    .map((line) => `attributetype ${line.replace(/ NO-USER-MODIFICATION USAGE \w+/, '')}`);
  return [
    ...attributes,
    ...describeClasses()
      .filter(isOurs)
      .map((line) => `objectclass ${line}`),
  ].join('\n');
}

function output(program: string, args: string[]): Promise<{ code: number; text: string }> {
  return new Promise((resolve) => {
    const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'pipe'] });
    let text = '';
    child.stdout.on('data', (chunk) => {
      text += chunk;
    });
    child.stderr.on('data', (chunk) => {
      text += chunk;
    });
    child.on('close', (code) => resolve({ code: code ?? -1, text }));
  });
}

/** Loads a directory into a slapd of its own and starts it on a free port of the loopback interface. */
export async function startSlapd(options: SlapdOptions): Promise<Slapd> {
  const folder = await mkdtemp(join(tmpdir(), 'identree-slapd-'));
  const data = join(folder, 'data');
  await mkdir(data);
  const { tls, modules = [] } = options;
  await writeFile(join(folder, 'own.schema'), `${ownSchema(modules)}\n`);
  if (tls) {
    for (const [name, pem] of Object.entries(tls)) await writeFile(join(folder, `${name}.pem`), pem, { mode: 0o600 });
  }
  const lines = [
    ...['core', 'cosine', 'inetorgperson', 'nis'].map((name) => `include ${SCHEMA}/${name}.schema`),
    `modulepath ${MODULES}`,
    ...['back_mdb', ...modules].map((name) => `moduleload ${name}`),
    `include ${folder}/own.schema`,
    `pidfile ${folder}/slapd.pid`,
    'threads 4',
    'loglevel 0',
    'sizelimit unlimited',
    'timelimit unlimited',
    ...(tls
      ? [
          `TLSCACertificateFile ${folder}/ca.pem`,
          `TLSCertificateFile ${folder}/certificate.pem`,
          `TLSCertificateKeyFile ${folder}/key.pem`,
          'TLSVerifyClient demand',
        ]
      : []),
    'database mdb',
    `suffix "${options.baseDn}"`,
    `rootdn "${options.rootDn}"`,
    `rootpw ${options.rootPassword}`,
    `directory ${data}`,
    'maxsize 4294967296',
    'dbnosync',
    'limits * size=unlimited time=unlimited',
    'access to * by * read',
    'index objectClass,uid,cn,uidNumber,gidNumber,memberUid,member,sudoUser,sudoHost,modifyTimestamp pres,eq',
    options.database ?? '',
  ];
  const config = join(folder, 'slapd.conf');
  await writeFile(config, `${lines.join('\n')}\n`);
  const ldif = join(folder, 'data.ldif');
  await writeText(ldif, options.ldif);
  // Without schema checks: attributes such as accountStatus are in no class of these entries.
  const loaded = await output('/usr/sbin/slapadd', ['-q', '-s', '-f', config, '-l', ldif]);
  await rm(ldif);
  if (loaded.code !== 0) throw new Error(`slapadd failed:\n${loaded.text.slice(-3000)}`);
  const port = await freePort();
  const tlsPort = tls ? await freePort() : null;
  const urls = [`ldap://127.0.0.1:${port}/`, ...(tlsPort === null ? [] : [`ldaps://127.0.0.1:${tlsPort}/`])];
  const child = spawn(PROGRAM, ['-d', '0', '-f', config, '-h', urls.join(' ')], {
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  let complaint = '';
  child.stderr.on('data', (chunk) => {
    complaint = (complaint + chunk).slice(-3000);
  });
  await isListening(child, port, () => complaint);
  // With one V it prints and then serves the machine's own configuration on port 389.
  const version = /slapd (\d+\.\d+\.\d+)/.exec((await output(PROGRAM, ['-VV'])).text)?.[1] ?? '';
  return {
    port,
    tlsPort,
    pid: child.pid!,
    version,
    async stop() {
      if (child.exitCode === null && child.signalCode === null) {
        const gone = new Promise((resolve) => child.once('exit', resolve));
        child.kill('SIGTERM');
        const timer = setTimeout(() => child.kill('SIGKILL'), 10_000);
        await gone;
        clearTimeout(timer);
      }
      await rm(folder, { recursive: true, force: true });
    },
  };
}

/** In pieces: one string of a hundred megabytes in one write would be held several times over. */
async function writeText(file: string, text: string): Promise<void> {
  const stream = createWriteStream(file);
  for (let at = 0; at < text.length; at += 1 << 20) {
    if (!stream.write(text.slice(at, at + (1 << 20))))
      await new Promise<void>((resolve) => stream.once('drain', resolve));
  }
  await new Promise<void>((resolve) => stream.end(() => resolve()));
}

async function isListening(child: ChildProcess, port: number, complaint: () => string): Promise<void> {
  const { connect } = await import('node:net');
  for (let i = 0; i < 300; i++) {
    if (child.exitCode !== null) throw new Error(`slapd ended: ${complaint()}`);
    const open = await new Promise<boolean>((resolve) => {
      const socket = connect(port, '127.0.0.1');
      socket.once('connect', () => {
        socket.destroy();
        resolve(true);
      });
      socket.once('error', () => resolve(false));
    });
    if (open) return;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  throw new Error(`slapd does not listen: ${complaint()}`);
}
