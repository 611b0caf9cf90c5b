import type { Command, CommandGroup, Operands, Options } from '#shared/command-line/command.ts';
import type { ApproverKey, ApproverKeySet } from '#shared/decision.ts';
import { ACTOR, type CommandIo, coreCommand, EXIT } from './command.ts';

/** Written once: a file that is carried is not replaced by one that is not. */
async function writeOnce(path: string, content: object | string): Promise<void> {
  const { writeNew } = await import('../platform/key-files.ts');
  await writeNew(path, typeof content === 'string' ? content : `${JSON.stringify(content, null, 2)}\n`);
}

const IS_OFF_LINE = 'The trust root is not on this server. It was taken off line.\n';

const show = coreCommand({
  name: 'show',
  help: 'write the keys that hosts and auditors pin',
  operands: { file: { optional: true } },
  async run({ core, out }, { operands: { file } }) {
    const text = `${JSON.stringify(core.trust, null, 2)}\n`;
    if (file === null) out(text);
    else await writeOnce(file, text);
    return EXIT.ok;
  },
});

const exportRoot = coreCommand({
  name: 'export',
  help: 'write the private key of the trust root into a new file, to be carried away',
  operands: { file: {} },
  async run({ core, config, out, err }, { operands: { file } }) {
    if (core.keys.trustRoot.key === null) {
      err(IS_OFF_LINE);
      return EXIT.failed;
    }
    const { exportTrustRoot } = await import('../platform/trust-root.ts');
    await exportTrustRoot(config.keysDir, file);
    out(`${file} holds the trust root ${core.trust.trustRoot.kid}.\n`);
    out('Nothing has changed on this server yet. Copy it to two places that are kept apart, then:\n');
    out(`  identree-server trust detach ${file}\n`);
    return EXIT.ok;
  },
});

const detach = coreCommand({
  name: 'detach',
  help: 'take the trust root off this server; FILE is the one that it was exported to',
  operands: { file: {} },
  async run({ core, config, out, err }, { operands: { file } }) {
    if (core.keys.trustRoot.key === null) {
      err(IS_OFF_LINE);
      return EXIT.failed;
    }
    const { detachTrustRoot, lastSignedOf } = await import('../platform/trust-root.ts');
    const { noteDetached } = await import('../passkeys/off-line-root.ts');
    const { token: lastSigned } = await core.approverKeys.current(core.db.query);
    await detachTrustRoot(config.keysDir, { carried: file, lastSigned }, core.clock.now());
    await noteDetached(core, ACTOR);
    out('The trust root is off line. What is left to do:\n');
    out('- Restart every server: one that runs still has the key in its memory.\n');
    out(`- Copy ${config.keysDir} to the other servers, and remove trust-root.pem from theirs.\n`);
    out(
      `- Carry ${file} and ${lastSignedOf(file)} away, remove them here, and destroy backups of the keys folder that were made before.\n`,
    );
    return EXIT.ok;
  },
});

/** Works without a configuration: the trust root is where no server is. */
const command = <const O extends Options, const P extends Operands>(declared: Command<CommandIo, O, P>) => declared;

/** Null when nothing is noted. */
async function readNote(path: string): Promise<string | null> {
  const { readText } = await import('../platform/key-files.ts');
  return readText(path).then(
    (text) => text.trim(),
    (error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT') return null;
      throw error;
    },
  );
}

/** What a set changes, for people who are to answer for it. Who wrote it may want them to see something else. */
async function tellChanges(out: CommandIo['out'], before: ApproverKeySet, set: ApproverKeySet): Promise<void> {
  const { changesBetween } = await import('#shared/approver-key-request.ts');
  const { canonicalJson } = await import('#shared/canonical-json.ts');
  const { visibleText } = await import('#shared/visible-text.ts');
  const quoted = (text: string) => visibleText(JSON.stringify(text));
  const line = (sign: string, { username, issuer, subject, credentialId }: ApproverKey, more = '') =>
    out(`  ${sign} ${quoted(username)}  ${quoted(subject)} at ${quoted(issuer)}  passkey ${credentialId}${more}\n`);
  const { added, removed, changed } = changesBetween(before.keys, set.keys);
  out(`Version ${set.version} after ${before.version}: ${set.keys.length} passkeys may approve.\n`);
  for (const key of added) line('+', key);
  for (const key of removed) line('-', key);
  for (const { from, to } of changed) {
    line('-', from);
    line('+', to, canonicalJson(from.jwk) === canonicalJson(to.jwk) ? '' : '  WITH ANOTHER PUBLIC KEY');
  }
  const address = ({ rpId, origins }: ApproverKeySet) => `${quoted(rpId)} at ${origins.map(quoted).join(', ')}`;
  if (address(before) !== address(set)) out(`  address: ${address(before)} → ${address(set)}\n`);
}

const request = coreCommand({
  name: 'request',
  help: 'write what waits for the signature of the trust root into a new file; without FILE, show it',
  operands: { file: { optional: true } },
  async run({ core, out }, { operands: { file } }) {
    const waiting = await core.approverKeys.waiting(core.db.query);
    if (waiting === null) {
      out('Nothing waits for a signature.\n');
      return EXIT.ok;
    }
    const { approverKeySet } = await import('#shared/decision.ts');
    const payload = Buffer.from(waiting.request.inForce.split('.')[1] ?? '', 'base64url').toString('utf8');
    await tellChanges(out, approverKeySet.parse(JSON.parse(payload)), waiting.request.set);
    if (file === null) return EXIT.ok;
    await writeOnce(file, waiting.request);
    out(`Carry ${file} to the trust root, and there: identree-server trust sign ${file} --root KEY\n`);
    return EXIT.ok;
  },
});

const sign = command({
  name: 'sign',
  help: 'where the trust root is: show what a request would change, and with --digest sign it',
  options: {
    root: { value: 'FILE', help: 'the private key of the trust root' },
    digest: { value: 'DIGEST', help: 'of the set that is meant, as it is shown without this option' },
    signature: { value: 'FILE', help: 'where the signed set is written, a new file' },
  },
  operands: { file: {} },
  async run({ out, err }, { operands, options }) {
    const [
      { approverKeyRequest, setDigest },
      { readKey, readText, signingKey },
      { lastSignedOf, noteLastSigned },
      { readApproverKeySet },
      { signToken, tokenType },
      { parseJson },
    ] = await Promise.all([
      import('#shared/approver-key-request.ts'),
      import('../platform/key-files.ts'),
      import('../platform/trust-root.ts'),
      import('#shared/verify-verdict.ts'),
      import('#shared/token.ts'),
      import('#shared/parse-json.ts'),
    ]);
    const { root: rootFile, digest: meant, signature } = options;
    if (!rootFile || (meant !== null) !== (signature !== null)) {
      err('It takes --root, and --digest together with --signature.\n');
      return EXIT.usage;
    }
    const { file } = operands;
    const root = await readKey(rootFile, 'Ed25519 key in PEM', signingKey);
    const parsed = approverKeyRequest.safeParse(parseJson(await readText(file)));
    if (!parsed.success) throw new Error(`${file} is no request of identree-server trust request.`);
    const { serverId, inForce, set } = parsed.data;
    const before = await readApproverKeySet(inForce, { serverId, trustRoot: root.public }, 0);
    // What is shown is the difference to what hosts have: it must be theirs, and not what a server says that it is.
    if (!before.ok) throw new Error(`${file} was not made for this trust root: the set in force is not signed by it.`);
    if (set.iss !== serverId || set.version !== before.set.version + 1)
      throw new Error(`${file} does not follow the set that is in force.`);
    const note = lastSignedOf(rootFile);
    const noted = await readNote(note);
    const last = noted === null ? null : await readApproverKeySet(noted, { serverId, trustRoot: root.public }, 0);
    if (last?.ok === false) throw new Error(`${note} is not a set that this root has signed.`);
    const digest = setDigest(set);
    const isAgain = last !== null && setDigest(last.set) === digest;
    // Else a set of before would be what the next request is compared with.
    if (last !== null && set.version <= last.set.version && !isAgain)
      throw new Error(
        `This root has signed version ${last.set.version} already, which is in ${note}. Attach that on the server, and make a new request.`,
      );
    if (last === null) out(`There is no ${note}: whether a newer set was signed is not known.\n`);
    else if (last.set.version < before.set.version)
      out(
        `${note} ends with version ${last.set.version}, and version ${before.set.version} was signed too: what is shown is the difference to that. Whether a newer one was signed elsewhere is not known.\n`,
      );
    // A set of before would bring back what was removed since, and show no difference.
    await tellChanges(out, last?.set.version === before.set.version ? last.set : before.set, set);
    if (meant === null) {
      out('Nothing was signed. Ask each person whether the passkey is theirs. Then sign exactly this:\n');
      out(`  identree-server trust sign ${file} --root ${rootFile} --digest ${digest} --signature NEW-FILE\n`);
      return EXIT.ok;
    }
    if (meant !== digest) {
      err(`The digest of this request is ${digest}, not ${meant}. Nothing was signed.\n`);
      return EXIT.failed;
    }
    const signed = isAgain && noted !== null ? noted : await signToken(tokenType.approverKeys, set, root);
    // Noted first: one that was signed and is not noted could be shown as no change later.
    await noteLastSigned(rootFile, signed);
    await writeOnce(signature ?? '', `${signed}\n`);
    out(`Signed. Carry ${signature} to the server, and there: identree-server trust attach ${signature}\n`);
    return EXIT.ok;
  },
});

const attach = coreCommand({
  name: 'attach',
  help: 'publish the set that was signed where the trust root is',
  operands: { file: {} },
  async run({ core, out }, { operands: { file } }) {
    const { readText } = await import('../platform/key-files.ts');
    const signed = (await readText(file)).trim();
    const set = await core.approverKeys.attach(signed, ACTOR).catch((error: unknown) => {
      throw new Error(`${file}: ${error instanceof Error ? error.message : String(error)}`, { cause: error });
    });
    out(`Version ${set.version} is in force: ${set.keys.length} passkeys. Hosts take it with their next request.\n`);
    if ((await core.approverKeys.waiting(core.db.query)) !== null)
      out('Passkeys were changed meanwhile, which waits: identree-server trust request\n');
    return EXIT.ok;
  },
});

export const trust: CommandGroup<CommandIo> = {
  name: 'trust',
  help: 'the key that hosts pin, and taking it off line',
  commands: [show, exportRoot, detach, request, sign, attach],
};
